"""netqueue: Python's own queue, between threads, processes and hosts.

    from netqueue import Queue          # instead of: from queue import Queue

`Queue()` is a temporary queue of this program; `Queue(name="numbers")` is the same one for every program that names it so.
See docs/python.md for what differs from the module queue.
"""
from ._codecs import Codec
from ._condition import Barrier, Condition
from ._errors import (BadName, Closed, DecodeError, DifferentOptions, Empty, Error, Full, LeaseLost, LimitReached, NoSpace, NoSuchQueue,
                      NotAuthorised, OutcomeUnknown, ShutDown, TooLarge, Unreachable)
from ._hub import close
from ._library import lib as _lib
from ._ops import QueueStats
from ._pool import Pool
from ._queue import JoinableQueue, Lease, Queue, SimpleQueue
from ._sync import BoundedSemaphore, Event, Lock, RLock, Semaphore

__version__: str = _lib.nq_version().decode()

__all__ = ["Queue", "SimpleQueue", "JoinableQueue", "Lease", "QueueStats", "Codec", "close",
           "Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier", "Pool",
           "Empty", "Full", "ShutDown", "Error", "Unreachable", "OutcomeUnknown", "LeaseLost", "TooLarge", "NoSpace", "NoSuchQueue",
           "DifferentOptions", "BadName", "NotAuthorised", "LimitReached", "Closed", "DecodeError"]
