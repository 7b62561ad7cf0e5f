"""netqueue.aio.Queue: the interface of asyncio.Queue.

    from netqueue.aio import Queue      # instead of: from asyncio import Queue

What asyncio.Queue does without await (making the queue, put_nowait, get_nowait, qsize, empty, full, shutdown) is a round trip to the broker here
and holds up the event loop for as long.
"""
import asyncio
from types import TracebackType
from typing import Any, List, Optional, Type, Union

from . import _errors
from ._base import LeaseOf, WholeQueue
from ._codecs import Codec
from ._ops import Finish, Join, Operation, Put

QueueEmpty = asyncio.QueueEmpty
QueueFull = asyncio.QueueFull
QueueShutDown = getattr(asyncio, "QueueShutDown", _errors.ShutDown)  # Python 3.13
__all__ = ["Queue", "QueueEmpty", "QueueFull", "QueueShutDown"]

_ASYNCIO = {_errors.Full: QueueFull, _errors.Empty: QueueEmpty, _errors.ShutDown: QueueShutDown}


class Lease(LeaseOf):
    """As netqueue.Lease, awaited."""

    async def _run(self, finish: Optional[Finish]) -> None:
        if finish is not None:
            await self._queue._wait(finish)

    async def done(self) -> None:
        await self._run(self._finish("task_done"))

    async def requeue(self, delay: float = 0, failed: bool = False, dead: bool = False, reason: Optional[str] = None) -> None:
        await self._run(self._finish("requeue", delay=delay, failed=failed, dead=dead, reason=reason))

    async def extend(self, lease: Optional[float] = None) -> None:
        await self._run(self._finish("extend", lease_ms=int((lease or 0) * 1000)))


class _LeaseContext:
    """async with queue.get_item() as item: finished when the block ends, put back as failed when it raises."""

    def __init__(self, queue: "Queue") -> None:
        self._queue = queue

    async def __aenter__(self) -> Lease:
        self._lease = Lease(self._queue, (await self._queue._wait(self._queue._get_request(1, None))).items[0])
        return self._lease

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        await self._lease._run(self._lease._finish_after(kind, error))


class Queue(WholeQueue):
    """As netqueue.Queue, for tasks."""

    def __init__(self, maxsize: int = 0, name: Optional[str] = None, server: Optional[str] = None, *, codec: Union[str, Codec] = "pickle",
                 done: str = "task_done", lease: Optional[float] = None, hold_max: Optional[float] = None, max_deliveries: Optional[int] = None,
                 dead_letter: Optional[str] = None, ttl: Optional[float] = None, temporary: bool = False) -> None:
        self._open(maxsize, name, server, codec, done, lease, hold_max, max_deliveries, dead_letter, ttl, temporary)

    @staticmethod
    def _check(operation: Operation) -> Operation:
        if operation.status:
            error = operation.error()
            raise _ASYNCIO[type(error)]() if type(error) in _ASYNCIO else error
        return operation

    def _holder(self) -> Any:
        try:
            return asyncio.current_task() or super()._holder()
        except RuntimeError:  # no loop here
            return super()._holder()

    async def _wait(self, operation: Operation) -> Operation:
        loop = asyncio.get_running_loop()
        ended: "asyncio.Future[None]" = loop.create_future()

        def wake() -> None:
            if not ended.done():
                ended.set_result(None)

        def tell(_: Operation) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop is closed: nobody waits any more
                operation.items = ()

        hub = self._hub
        hub.start(operation, tell)
        try:
            await ended
        except asyncio.CancelledError:
            hub.abandon(operation)
            raise
        return self._check(operation)

    async def put(self, item: Any) -> None:
        """Put an item, waiting for room. Cancelled, it may have been put all the same."""
        await self._wait(Put(self._name, (self._codec.encode(item),), None))

    def put_nowait(self, item: Any) -> None:
        self._check(self._run(Put(self._name, (self._codec.encode(item),), 0)))

    async def get(self) -> Any:
        """Remove and return an item, waiting for one. Cancelled, it has had no effect: an item that comes all the same goes back."""
        return self._take((await self._wait(self._get_request(1, None))).items[0])

    def get_nowait(self) -> Any:
        return self._take(self._check(self._run(self._get_request(1, 0))).items[0])

    async def get_many(self, max_items: int) -> List[Any]:
        return self._take_all((await self._wait(self._get_request(max_items, None))).items)

    def get_item(self) -> _LeaseContext:
        return _LeaseContext(self)

    async def join(self) -> None:
        operation = Join(self._name, None)
        try:
            await self._wait(operation)
        except _errors.NoSuchQueue:
            pass
