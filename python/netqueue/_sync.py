"""Lock, RLock, Semaphore, BoundedSemaphore and Event of the module threading, between processes and hosts.

A lock is a queue with one empty item: who has got it holds the lock, and requeues it to let go. A semaphore has several. When a holder dies,
its session ends and the item is there for the next. An event is a queue, too: it is set while nothing in it is unfinished, and waiting for it is join.
"""
import threading
import weakref
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

from . import _hub
from ._base import Base, _remove_temporary, random_name
from ._errors import EMPTY, FULL, NO_SUCH_QUEUE, OK, TIMED_OUT
from ._ops import Declare, Finish, Get, Item, Join, OnQueue, Put, QueueStats

YEAR_MS = 31622400000  # how long a lock may be held: the longest time that the broker knows


class Synchroniser(Base):
    """Something with a name, kept as a queue."""

    def _create(self, kind: str, name: Optional[str], server: Optional[str], initial: int, options: Dict[str, Any], **more: Any) -> None:
        self._setup(dict(name=name or random_name(kind), server=_hub.resolve_server(server), codec="bytes", done="task_done", maxsize=0, lease=None,
                         hold_max=None, **more))
        self._run(Declare(self._name, dict(options, temporary=None if name else True), initial)).check()
        if not name:  # a temporary queue lasts as long as one who has used it
            self._run(Get(self._name, 1, 0)).items = ()
            self._shared["pickled"] = False
            weakref.finalize(self, _remove_temporary, self._hub, self._name, self._shared).atexit = False

    def _stats(self) -> QueueStats:
        stats = self._run(OnQueue(self._name, "stat")).check().stats
        assert stats is not None
        return stats

    def delete(self) -> None:
        """Remove it from the broker, when it has a name and is no longer needed."""
        operation = self._run(OnQueue(self._name, "delete"))
        if operation.status != NO_SUCH_QUEUE:
            operation.check()


class _Context:
    """with lock:"""

    def __enter__(self) -> bool:
        return self.acquire()  # type: ignore[attr-defined, no-any-return]

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.release()  # type: ignore[attr-defined]


def _wait_of(blocking: bool, timeout: float) -> Optional[float]:
    """threading's rules for acquire(blocking, timeout) of locks."""
    if not blocking and timeout != -1:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != -1:
        raise ValueError("timeout value must be a non-negative number")
    return 0 if not blocking else None if timeout == -1 else timeout


class Lock(_Context, Synchroniser):
    """threading.Lock between all that name it so. Any thread of the process that acquired it may release it, through the same object.

    fence    a number that rises with each holder, while it is held. A holder whose process stood still for so long that it lost the lock does not know that.
             Where that matters, send the fence along with every change, and let what is changed refuse a smaller fence than it has seen."""

    def __init__(self, name: Optional[str] = None, server: Optional[str] = None) -> None:
        self._create("lock", name, server, 1, {"hold_max_ms": YEAR_MS})

    def _after_fork(self) -> None:
        super()._after_fork()
        self._item: Optional[Item] = None
        self.fence: Optional[int] = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """True: it is ours now. First come, first served."""
        return self._acquire(_wait_of(blocking, timeout))

    def _acquire(self, wait: Optional[float]) -> bool:
        operation = self._run(Get(self._name, 1, wait))
        if operation.status == EMPTY:
            return False
        self._item = operation.check().items[0]
        self.fence = self._item.read_details()["fence"]
        return True

    def release(self) -> None:
        """RuntimeError: it is not held through this object. LeaseLost: somebody else has got it meanwhile."""
        item, self._item, self.fence = self._item, None, None
        if item is None:
            raise RuntimeError("release unlocked lock")
        self._run(Finish(item, "requeue")).check()

    def locked(self) -> bool:
        """Whether anybody holds it."""
        return self._stats().ready == 0

    def _is_owned(self) -> bool:
        return self._item is not None

    def _release_save(self) -> Any:
        self.release()

    def _acquire_restore(self, saved: Any) -> None:
        self._acquire(None)


class RLock(Lock):
    """threading.RLock: the thread that holds it may acquire it again, and releases it as often."""

    def _after_fork(self) -> None:
        super()._after_fork()
        self._owner: Optional[int] = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        wait = _wait_of(blocking, timeout)
        if self._owner != threading.get_ident():
            if not self._acquire(wait):
                return False
            self._owner = threading.get_ident()
        self._count += 1
        return True

    def release(self) -> None:
        if self._owner != threading.get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if self._count == 0:
            self._owner = None
            super().release()

    def _is_owned(self) -> bool:
        return self._owner == threading.get_ident()

    def _release_save(self) -> Any:
        count, self._count, self._owner = self._count, 0, None
        Lock.release(self)
        return count

    def _acquire_restore(self, saved: Any) -> None:
        self._acquire(None)
        self._count, self._owner = saved, threading.get_ident()


class Semaphore(_Context, Synchroniser):
    """threading.Semaphore between all that name it so. `value` counts when it is created.

    With value > 0 the permits are lent: what a process has acquired and not released comes back when it dies. With value 0 the semaphore is a signal, as
    between a producer that releases and a consumer that acquires: then a permit that was acquired is used up."""

    _bounded = False

    def __init__(self, value: int = 1, name: Optional[str] = None, server: Optional[str] = None) -> None:
        if value < 0:
            raise ValueError("semaphore initial value must be >= 0")
        self._create("semaphore", name, server, value, {"hold_max_ms": YEAR_MS}, lent=value > 0)

    def _after_fork(self) -> None:
        super()._after_fork()
        self._permits: List[Item] = []

    def acquire(self, blocking: bool = True, timeout: Optional[float] = None) -> bool:
        if not blocking and timeout is not None:
            raise ValueError("can't specify timeout for non-blocking acquire")
        operation = self._run(Get(self._name, 1, timeout if blocking else 0))
        if operation.status == EMPTY:
            return False
        item = operation.check().items[0]
        if self._settings["lent"]:
            self._permits.append(item)
        else:
            self._run(Finish(item, "task_done")).check()
        return True

    __enter__ = acquire

    def release(self, n: int = 1) -> None:
        """One of those acquired through this object, else one more."""
        if n < 1:
            raise ValueError("n must be one or more")
        for _ in range(n):
            try:
                item = self._permits.pop()
            except IndexError:
                if self._bounded:
                    raise ValueError("Semaphore released too many times") from None
                self._run(Put(self._name, (b"",), None)).check()
            else:
                self._run(Finish(item, "requeue")).check()


class BoundedSemaphore(Semaphore):
    """threading.BoundedSemaphore: ValueError when more is released than was acquired through this object."""

    _bounded = True


class Event(Synchroniser):
    """threading.Event between all that name it so. A new one is not set."""

    def __init__(self, name: Optional[str] = None, server: Optional[str] = None) -> None:
        self._create("event", name, server, 1, {"maxsize": 1})

    def is_set(self) -> bool:
        return self._stats().unfinished == 0

    def set(self) -> None:
        """Wake all that wait, everywhere."""
        self._run(OnQueue(self._name, "purge")).check()

    def clear(self) -> None:
        operation = self._run(Put(self._name, (b"",), 0))
        if operation.status != FULL:  # it is clear already
            operation.check()

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether it was set within `timeout` seconds."""
        operation = self._run(Join(self._name, timeout))
        if operation.status == TIMED_OUT:
            return False
        return operation.check().status == OK
