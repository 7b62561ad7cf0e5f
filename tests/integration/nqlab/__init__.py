"""What the integration tests share: real programs in temporary directories, and a complete small client in Python.

lab.py     starts, stops, kills and questions the programs
client.py  a client of the protocol, written from proto/PROTOCOL.md and proto/netqueue.proto alone
runner.py  runs the scenarios of one test program and prints its report
history.py workers that remember what they were promised, for the crash tests
crew.py    the same as processes, which a test can kill and stop
load.py    putters and getters in C that keep account, for a soak
lines.py   rounds of netqueue-producer, consumers, and what was printed
proxy.py   a TCP proxy that cuts, stalls, swallows and records
keys.py    a broker with keys, and clients that hold some
group.py   a control group of our own with a limit of memory
network.py two network namespaces, for the broker and for its clients
link.py    the link between them, which delays, reorders, repeats, loses, or breaks
netem.py   the same by the kernel's tc netem
"""
from .client import Client, Item, Keeper, Status, WAIT_FOREVER
from .group import ControlGroup
from .keys import KeyRing, read_key
from .lab import Broker, Lab, Result, until
from .runner import Skip, check, check_equal, given_time, main, scenario

__all__ = ["Client", "ControlGroup", "Item", "Keeper", "Status", "WAIT_FOREVER", "Broker", "Lab", "Result", "until", "KeyRing", "read_key",
           "Skip", "check", "check_equal", "given_time", "main", "scenario"]
