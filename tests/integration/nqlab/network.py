"""Two hosts that are network namespaces of their own: the broker's and that of its clients, and a link (link.py, netem.py) between them."""
import json
import os
import subprocess
import sys

from . import link
from .keys import KeyRing
from .lab import Program, until
from .runner import Skip, check

BROKER_HOST, CLIENT_HOST = "10.213.77.1", "10.213.77.2"
TUN = "/dev/net/tun"


class Link:
    """Ways are called after where they lead: "broker", "clients"."""

    lab = None

    def change(self, **weathers):
        """How the ways to `broker` and to `clients` are from now on."""
        raise NotImplementedError

    def counts(self):
        """Of each way, how many packets met with what."""
        raise NotImplementedError

    def end(self):
        raise NotImplementedError

    def both(self, weather):
        return self.change(broker=weather, clients=weather)

    def await_counts(self, *ways, **least):
        """Wait until so many packets more have met with that, on each of these ways (on both)."""
        before = self.counts()

        def happened():
            now = self.counts()
            return all(now[way][what] - before[way][what] >= count for way in ways or now for what, count in least.items())
        until(happened, 120 * self.lab.slow, lambda: "%s on the way to %s; before: %s, now: %s" % (least, ways or "both", before, self.counts()),
              self.lab.look_pause)


class TunLink(Link):
    """The process that carries the packets."""

    def __init__(self, lab, inside, outside):
        if not os.path.exists(TUN):
            raise Skip("no " + TUN)
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        self.buffer = b""
        args = [sys.executable, "-B", link.__file__, str(lab.seed), "broker:%d:here" % inside, "clients:%d:there" % outside]
        with open(orders, "rb") as stdin, open(answers, "wb") as stdout:
            self.program = Program(lab, args, stdin=stdin, stdout=stdout)
        self.lab = lab
        self._answer()

    def _answer(self):
        while not self.buffer.endswith(b"\n"):
            part = os.read(self.answers, 65536)
            if not part:
                self._tell_end()
            self.buffer += part
        self.buffer, line = b"", self.buffer
        return json.loads(line)

    def _tell_end(self):
        code, text = self.program.process.wait(), self.program.err[-1000:].decode("utf-8", "replace").strip()
        if code == link.NO_DEVICE:
            raise Skip("no tun device: " + text)
        raise AssertionError("the link has ended with %s: %s" % (code, text))

    def _order(self, **order):
        os.write(self.orders, json.dumps(order).encode("ascii") + b"\n")
        return self._answer()

    def change(self, **weathers):
        return self._order(weather={name: weather._asdict() for name, weather in weathers.items()})

    def forget(self):
        """Connections that there are do not pass any more, new ones do."""
        return self._order(forget=True)

    def counts(self):
        return self._order()

    def end(self):
        os.close(self.orders)
        os.close(self.answers)
        self.program.kill()


class Network:
    """Each namespace is that of a process we hold; they are gone when these end. With `keys`, the broker demands them."""

    def __init__(self, lab, flags=(), keys=False, make_link=TunLink):
        if os.geteuid() != 0:
            raise Skip("not root: no network namespace")
        self.lab, self.holders, self.link = lab, [], None
        self.patience = "10m"  # of programs, which are to outlast what a test does to the network
        try:
            self.inside, self.outside = self._hold(), self._hold()
            self.link = make_link(lab, self.inside, self.outside)
            if not self._address():
                raise Skip("ip cannot set the devices up")
        except (OSError, Skip) as why:
            self.end()
            raise Skip("no network namespaces with such a link here: %s" % why) from None
        self.ring = self._make_keys() if keys else None
        serve = self.ring.serve if keys else lambda *more, **how: lab.broker("--insecure", *more, **how)
        self.broker = serve(*flags, start=False, prefix=self.prefix(self.inside))
        self.broker.endpoint = "tcp://%s:5510" % BROKER_HOST
        self.number = self.broker.number

    def _make_keys(self):
        ring = KeyRing(self.lab)
        ring.add("worker", "--put", "*", "--get", "*", "--admin", "*")
        return ring

    def _hold(self):
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        if holder.stdout.readline() != b"ready\n":
            raise Skip("unshare -n is refused")
        return holder.pid

    @staticmethod
    def prefix(pid):
        return ["nsenter", "-n", "-t", str(pid), "--"]

    def run(self, pid, *words):
        return subprocess.run(self.prefix(pid) + list(words), check=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0

    def _address(self):
        return (self.run(self.inside, "ip", "address", "add", BROKER_HOST + "/30", "dev", "here")
                and self.run(self.outside, "ip", "address", "add", CLIENT_HOST + "/30", "dev", "there")
                and all(self.run(pid, "ip", "link", "set", name, "up") for pid, name in
                        ((self.inside, "lo"), (self.inside, "here"), (self.outside, "lo"), (self.outside, "there"))))

    def plug(self, state):
        """The clients' device is set "down" or "up"."""
        check(self.run(self.outside, "ip", "link", "set", "there", state), "ip link set %s failed", state)

    @property
    def key_directory(self):
        return self.ring.of("worker") if self.ring else None

    def _command(self, host, name, args):
        keys = ["--keys", self.key_directory] if self.ring else []
        return self.prefix(host) + [self.lab.bin(name), "-s", self.broker.endpoint, *keys, *[str(arg) for arg in args]]

    def ask(self, name, *args):
        """A program on the broker's host, whatever the link is like: its Result, when it has ended."""
        program = Program(self.lab, self._command(self.inside, name, args))
        try:
            return program.wait(60)
        finally:
            program.kill()

    def spawn(self, name, *args, stdin=None, stdout=None):
        """A program on the clients' host."""
        return Program(self.lab, self._command(self.outside, name, args), env={"NETQUEUE_TIMEOUT": self.patience}, stdin=stdin, stdout=stdout)

    # -- questions, asked on the broker's host

    def stat(self, queue="q"):
        return self.ask("netqueue", "stat", queue, "--format", "json").expect(0).json()

    def await_stat(self, queue="q", timeout=60, **values):
        """Wait until there is the queue and its numbers are these."""
        last = [None]

        def holds():
            answer = self.ask("netqueue", "stat", queue, "--format", "json")
            last[0] = answer.json() if answer.code == 0 else answer.one_line_error()
            return answer.code == 0 and all(last[0][name] == value for name, value in values.items())
        until(holds, timeout * self.lab.slow, lambda: "%s %s; last: %s" % (queue, values, last[0]), self.lab.look_pause)

    def connections(self):
        """How many connections of the clients' host the broker's host has."""
        command = self.prefix(self.inside) + ["ss", "-Htn", "state", "established", "dst", CLIENT_HOST]
        return len(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines())

    def let_pass(self, milliseconds):
        """Time passes at the broker: an item comes due there."""
        self.ask("netqueue-producer", "clock", "--delay", "%dms" % milliseconds, "x").expect(0)
        self.ask("netqueue-consumer", "clock", "-n", "1").expect(0)

    def end(self):
        if self.link is not None:
            self.link.end()
        for holder in self.holders:
            holder.kill()
            holder.wait()
