"""Condition and Barrier of the module threading, between processes and hosts.

Who waits for a condition makes a queue for itself and puts that queue's name into the condition's queue; to notify is to take names from
there and put something into their queues. A waiter that died has no queue any more, and the next one is notified.
"""
import json
import threading
import time
from types import TracebackType
from typing import Any, Callable, List, Optional, Type

from ._base import random_name
from ._errors import EMPTY, NO_SUCH_QUEUE, OK
from ._ops import Declare, Finish, Get, Item, OnQueue, Put
from ._sync import Lock, RLock, Synchroniser


class Condition:
    """threading.Condition between all that name it so. `lock`: a netqueue.Lock or RLock; None: an RLock named after the condition."""

    def __init__(self, lock: Optional[Lock] = None, name: Optional[str] = None, server: Optional[str] = None) -> None:
        self._name = name or random_name("condition")
        self._lock = lock if lock is not None else RLock(name + ".lock" if name else None, server)
        self._waiting = _Waiting(self._name + ".waiting", self._lock.server)
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __reduce__(self) -> Any:
        return Condition, (self._lock, self._name, self._lock.server)

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._lock.__exit__(kind, error, trace)

    def _check_owned(self, what: str) -> None:
        if not self._lock._is_owned():
            raise RuntimeError("cannot %s un-acquired lock" % what)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Let the lock go, wait to be notified (False: not within `timeout` seconds), have the lock again."""
        self._check_owned("wait on")
        mine = self._waiting.add()
        woken = False
        saved = self._lock._release_save()
        try:
            woken = self._waiting.wait(mine, timeout)
        finally:
            self._lock._acquire_restore(saved)
            if not woken:  # nobody notifies while we have the lock: either it happened just before, or we are still in the list
                woken = self._waiting.wait(mine, 0)
                self._waiting.withdraw(mine)
            self._waiting.remove(mine)
        return woken

    def wait_for(self, predicate: Callable[[], Any], timeout: Optional[float] = None) -> Any:
        """Wait until the predicate is true; returns its last value."""
        deadline = None if timeout is None else time.monotonic() + timeout
        result = predicate()
        while not result:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake up to n of those that wait, the longest waiting first."""
        self._check_owned("notify on")
        while n > 0 and self._waiting.wake_next():
            n -= 1

    def notify_all(self) -> None:
        self.notify(2 ** 31)


class _Waiting(Synchroniser):
    """Who waits: names of queues, in order."""

    def __init__(self, name: str, server: Optional[str]) -> None:
        self._create("waiting", name, server, 0, {})

    def add(self) -> bytes:
        mine = random_name("wake").encode()
        self._run(Declare(mine, {"temporary": True})).check()
        self._run(Get(mine, 1, 0))  # so that it ends with us
        self._run(Put(self._name, (mine,), None)).check()
        return mine

    def wait(self, mine: bytes, timeout: Optional[float]) -> bool:
        return self._run(Get(mine, 1, timeout)).status == OK

    def remove(self, mine: bytes) -> None:
        self._run(OnQueue(mine, "delete"))

    def withdraw(self, mine: bytes) -> None:
        others: List[Item] = []
        found = False
        while not found:
            operation = self._run(Get(self._name, 1000, 0))
            for item in operation.items:
                if item.body == mine:
                    self._run(Finish(item, "task_done"))
                    found = True
                else:
                    others.append(item)
            if operation.status != OK:
                break
        for item in others:  # each to its old place
            self._run(Finish(item, "requeue"))

    def wake_next(self) -> bool:
        """False: nobody waits."""
        while True:
            operation = self._run(Get(self._name, 1, 0))
            if operation.status == EMPTY:
                return False
            item = operation.check().items[0]
            alive = self._run(OnQueue(item.body, "stat")).status != NO_SUCH_QUEUE
            if alive:
                self._run(Put(item.body, (b"",), None)).check()
            self._run(Finish(item, "task_done")).check()
            if alive:
                return True


class _State(Synchroniser):
    """A small value, kept as the one item of a queue; for who has the lock that guards it."""

    def __init__(self, name: str, server: Optional[str]) -> None:
        self._create("state", name, server, 1, {})

    def read(self, default: List[int]) -> Any:
        """(value, items to be replaced)"""
        items = self._run(Get(self._name, 10, None)).check().items  # two: who wrote the second died before the first was done
        body = items[-1].body
        return (json.loads(body) if body else list(default)), items

    def write(self, value: List[int], items: List[Item]) -> None:
        self._run(Put(self._name, (json.dumps(value).encode(),), None)).check()
        for item in items:
            self._run(Finish(item, "task_done")).check()


FILLING, DRAINING, RESETTING, BROKEN = 0, 1, -1, -2


class Barrier:
    """threading.Barrier between all that name it so, with the same `parties`. Who dies while it waits breaks nothing: the others wait on (use a timeout)."""

    def __init__(self, parties: int, action: Optional[Callable[[], Any]] = None, timeout: Optional[float] = None, name: Optional[str] = None,
                 server: Optional[str] = None) -> None:
        if parties < 1:
            raise ValueError("parties must be > 0")
        self.parties, self._action, self._timeout = parties, action, timeout
        self._name = name or random_name("barrier")
        self._condition = Condition(None, self._name + ".condition", server)
        self._state = _State(self._name + ".state", self._condition._lock.server)

    def __reduce__(self) -> Any:
        return Barrier, (self.parties, self._action, self._timeout, self._name, self._state.server)

    # The state is [phase, how many wait]; all of these are called with the condition's lock.

    def _look(self) -> List[int]:
        value, _items = self._state.read([FILLING, 0])  # what was read goes back when `_items` go
        return value  # type: ignore[no-any-return]

    def _change(self, change: Callable[[List[int]], None]) -> List[int]:
        value, items = self._state.read([FILLING, 0])
        change(value)
        self._state.write(value, items)
        return value  # type: ignore[no-any-return]

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait for all parties; returns which of them we were, from 0. threading.BrokenBarrierError when the barrier breaks."""
        timeout = self._timeout if timeout is None else timeout
        with self._condition:
            self._condition.wait_for(lambda: self._look()[0] not in (DRAINING, RESETTING))
            if self._look()[0] == BROKEN:
                raise threading.BrokenBarrierError
            index = self._change(lambda value: value.__setitem__(1, value[1] + 1))[1] - 1
            try:
                if index + 1 == self.parties:
                    self._release()
                else:
                    self._wait(timeout)
                return index
            finally:
                self._leave()

    def _release(self) -> None:
        try:
            if self._action is not None:
                self._action()
        except BaseException:
            self._break()
            raise
        self._change(lambda value: value.__setitem__(0, DRAINING))
        self._condition.notify_all()

    def _wait(self, timeout: Optional[float]) -> None:
        if not self._condition.wait_for(lambda: self._look()[0] != FILLING, timeout):
            self._break()
            raise threading.BrokenBarrierError
        if self._look()[0] in (RESETTING, BROKEN):
            raise threading.BrokenBarrierError

    def _leave(self) -> None:
        def leave(value: List[int]) -> None:
            value[1] -= 1
            if value[1] == 0 and value[0] in (RESETTING, DRAINING):
                value[0] = FILLING
        if self._change(leave) == [FILLING, 0]:
            self._condition.notify_all()

    def _break(self) -> None:
        self._change(lambda value: value.__setitem__(0, BROKEN))
        self._condition.notify_all()

    def reset(self) -> None:
        """To its first state; who waits gets BrokenBarrierError."""
        with self._condition:
            self._change(lambda value: value.__setitem__(0, RESETTING if value[1] else FILLING))
            self._condition.notify_all()

    def abort(self) -> None:
        """Break it."""
        with self._condition:
            self._break()

    @property
    def n_waiting(self) -> int:
        with self._condition:
            phase, count = self._look()
        return count if phase == FILLING else 0

    @property
    def broken(self) -> bool:
        with self._condition:
            return self._look()[0] == BROKEN
