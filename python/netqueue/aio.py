"""netqueue.aio.Queue: the interface of asyncio.Queue.

    from netqueue.aio import Queue      # instead of: from asyncio import Queue

What asyncio.Queue does without await (making the queue, put_nowait, get_nowait, qsize, empty, full, shutdown) is a round trip to the broker here
and holds up the event loop for as long.
"""
import asyncio
from types import TracebackType
from typing import Any, List, Optional, Type, Union

from . import _errors
from ._base import Base
from ._codecs import Codec
from ._errors import NO_SUCH_QUEUE
from ._ops import Declare, Finish, Get, Item, Join, OnQueue, Operation, Put, QueueStats, Shutdown

QueueEmpty = asyncio.QueueEmpty
QueueFull = asyncio.QueueFull
QueueShutDown = getattr(asyncio, "QueueShutDown", _errors.ShutDown)  # Python 3.13
__all__ = ["Queue", "QueueEmpty", "QueueFull", "QueueShutDown"]

_ASYNCIO = {_errors.Full: QueueFull, _errors.Empty: QueueEmpty, _errors.ShutDown: QueueShutDown}


def _check(operation: Operation) -> Operation:
    if operation.status:
        error = operation.error()
        raise _ASYNCIO[type(error)]() if type(error) in _ASYNCIO else error
    return operation


class _Lease:
    """async with queue.get_item() as item: finished when the block ends, put back as failed when it raises."""

    def __init__(self, queue: "Queue") -> None:
        self._queue = queue
        self._item: Optional[Item] = None
        self.value: Any = None

    async def __aenter__(self) -> "_Lease":
        self._item = (await self._queue._wait(Get(self._queue._name, 1, None))).items[0]
        for name, value in self._item.read_details().items():
            setattr(self, name, value)
        self.body = self._item.body
        self.value = self._queue._codec.decode(self.body)
        return self

    async def _finish(self, how: str, **more: Any) -> None:
        if self._item is None or self._item.pointer is None:
            raise ValueError("the item is finished already")
        await self._queue._wait(Finish(self._item, how, **more))

    async def done(self) -> None:
        await self._finish("task_done")

    async def requeue(self, delay: float = 0, failed: bool = False, dead: bool = False, reason: Optional[str] = None) -> None:
        await self._finish("requeue", delay=delay, failed=failed, dead=dead, reason=reason)

    async def extend(self, lease: Optional[float] = None) -> None:
        await self._finish("extend", lease_ms=int((lease or 0) * 1000))

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if self._item is None or self._item.pointer is None:
            return
        if kind is None:
            await self.done()
        elif issubclass(kind, Exception):
            await self.requeue(failed=True, reason=("%s: %s" % (kind.__name__, error))[:120])
        else:  # cancelled: that says nothing about the item
            await self.requeue()


class Queue(Base):
    """As netqueue.Queue, for tasks."""

    def __init__(self, maxsize: int = 0, name: Optional[str] = None, server: Optional[str] = None, *, codec: Union[str, Codec] = "pickle",
                 done: str = "task_done", lease: Optional[float] = None, hold_max: Optional[float] = None, max_deliveries: Optional[int] = None,
                 dead_letter: Optional[str] = None, ttl: Optional[float] = None, temporary: bool = False) -> None:
        self._open(maxsize, name, server, codec, done, lease, hold_max, max_deliveries, dead_letter, ttl, temporary)

    def _holder(self) -> Any:
        try:
            return asyncio.current_task() or super()._holder()
        except RuntimeError:  # no loop here
            return super()._holder()

    async def _wait(self, operation: Operation) -> Operation:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def tell(_: Operation) -> None:
            try:
                loop.call_soon_threadsafe(lambda: ended.done() or ended.set_result(None))
            except RuntimeError:  # the loop is closed: nobody waits any more
                operation.items = []

        hub = self._hub
        hub.start(operation, tell)
        try:
            await ended
        except asyncio.CancelledError:
            hub.abandon(operation)
            raise
        return _check(operation)

    async def put(self, item: Any) -> None:
        """Put an item, waiting for room. Cancelled, it may have been put all the same."""
        await self._wait(Put(self._name, (self._codec.encode(item),), None))

    def put_nowait(self, item: Any) -> None:
        _check(self._run(Put(self._name, (self._codec.encode(item),), 0)))

    async def get(self) -> Any:
        """Remove and return an item, waiting for one. Cancelled, it has had no effect: an item that comes all the same goes back."""
        return self._take((await self._wait(Get(self._name, 1, None, self._lease_ms, self._hold_max_ms))).items[0])

    def get_nowait(self) -> Any:
        return self._take(_check(self._run(Get(self._name, 1, 0, self._lease_ms, self._hold_max_ms))).items[0])

    async def get_many(self, max_items: int) -> List[Any]:
        return self._take_all((await self._wait(Get(self._name, max_items, None, self._lease_ms, self._hold_max_ms))).items)

    def get_item(self) -> _Lease:
        return _Lease(self)

    async def join(self) -> None:
        operation = Join(self._name, None)
        try:
            await self._wait(operation)
        except _errors.NoSuchQueue:
            pass

    def stats(self) -> QueueStats:
        stats = _check(self._run(OnQueue(self._name, "stat"))).stats
        assert stats is not None
        return stats

    def qsize(self) -> int:
        return self.stats().ready

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        stats = self.stats()
        return 0 < stats.maxsize <= stats.ready

    @property
    def maxsize(self) -> int:
        return self._maxsize

    @maxsize.setter
    def maxsize(self, maxsize: int) -> None:
        _check(self._run(Declare(self._name, {"maxsize": max(0, maxsize)}, update=True)))
        self._maxsize = self._settings["maxsize"] = maxsize

    def shutdown(self, immediate: bool = False) -> None:
        _check(self._run(Shutdown(self._name, immediate)))

    def delete(self) -> None:
        operation = self._run(OnQueue(self._name, "delete"))
        if operation.status != NO_SUCH_QUEUE:
            _check(operation)
