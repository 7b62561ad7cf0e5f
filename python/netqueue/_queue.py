"""Queue: the interface of queue.Queue, between threads, processes and hosts."""
import collections
import threading
import time
from types import GenericAlias, TracebackType
from typing import Any, Dict, Iterable, List, Optional, Sequence, Type, Union

from ._base import Base, LeaseOf, WholeQueue
from ._codecs import Codec
from ._errors import NO_SUCH_QUEUE, OK, TIMED_OUT, Empty, ShutDown
from ._library import ITEMS_PER_REQUEST_MAX
from ._ops import Finish, Get, Item, Join, OnQueue, Outbox, Put

PUT_MANY_ITEMS, PUT_MANY_BYTES = 1000, 1 << 20
PREFETCH_MAX = 500
FLUSH_WINDOW = 10000

HeadersArgument = Optional[Dict[str, Union[str, bytes]]]


class Lease(LeaseOf):
    """An item on lease, with its object as `value`. As a context: done when the block ends, put back as failed when it raises."""

    def _run(self, finish: Optional[Finish]) -> None:
        if finish is not None:
            self._queue._run(finish).check()

    def done(self) -> None:
        """The work is done; returns when that is stored. Raises LeaseLost when somebody else has the item by now."""
        self._run(self._finish("task_done"))

    def requeue(self, delay: float = 0, failed: bool = False, dead: bool = False, reason: Optional[str] = None) -> None:
        """Put it back to its old place: now or after `delay` seconds; `failed` counts, `dead` sends it to the dead-letter queue."""
        self._run(self._finish("requeue", delay=delay, failed=failed, dead=dead, reason=reason))

    def extend(self, lease: Optional[float] = None) -> None:
        """Count lease (seconds; None: as when it was got) and hold_max from now on."""
        self._run(self._finish("extend", lease_ms=int((lease or 0) * 1000)))

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._run(self._finish_after(kind, error))


class _Prefetched:
    """Items got ahead: one thread at a time asks the broker, for more the faster they are used up. What then lies idle goes back (Hub.stocks)."""

    def __init__(self, bound: Optional[int]) -> None:
        self.items: "collections.deque[Item]" = collections.deque()
        self.changed = threading.Condition()
        self.asking: Optional[object] = None  # who does
        self.bound, self.size, self.asked_at = bound or PREFETCH_MAX, 1 if bound is None else bound, 0.0
        self.grows = bound is None
        self.fills = 0
        self.seen = (0, 0)

    def give_back_idle(self) -> bool:
        """In the I/O thread, now and then: since the last time nobody has used any, so that others may have them. True: none are left."""
        seen = self.fills, len(self.items)
        if seen == self.seen:
            self.items.clear()
        self.seen = seen
        return not self.items

    def next_size(self) -> int:
        now = time.monotonic()
        if self.grows:  # no more than about 20 ms of work is held back from others
            used_up_in = now - self.asked_at
            self.size = min(self.size * 2, self.bound) if used_up_in < 0.02 else max(1, self.size // 2) if used_up_in > 0.1 else self.size
        self.asked_at = now
        return self.size

    def take(self) -> Optional[Item]:
        """None: there is none. Other threads, and the I/O thread, take without a lock, too."""
        try:
            item = self.items.popleft()
            while item.hub.closing is not None:  # it goes back, or has done so, with the connection
                item = self.items.popleft()
            return item
        except IndexError:
            return None

    def count(self) -> int:
        return sum(item.hub.closing is None for item in list(self.items))

    def get(self, queue: "Queue", block: bool, timeout: Optional[float]) -> Item:
        deadline = None if timeout is None else time.monotonic() + timeout
        me = object()
        try:
            try:
                with self.changed:
                    item = self.take()
                    while item is None and self.asking is not None:
                        if not block or not self.changed.wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
                            break
                        item = self.take()
                    if item is not None:
                        return item
                    if self.asking is None:
                        self.asking = me
                if self.asking is not me:  # nor is it waited for any longer: whether there is one more is for the broker to say
                    return queue._run(queue._get_request(1, 0)).check().items[0]
                return self._ask(queue, block, deadline)
            finally:
                self._has_asked(me)
        except BaseException:  # KeyboardInterrupt: it may have come while just that was done
            self._has_asked(me)
            raise

    def _ask(self, queue: "Queue", block: bool, deadline: Optional[float]) -> Item:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        operation = queue._run(queue._get_request(self.next_size(), left if block else 0)).check()
        first, *ahead = operation.items
        if ahead:
            self.fills += 1
            self.items.extend(ahead)
            if self.grows:
                first.hub.stocks.add(self)
        return first

    def _has_asked(self, who: object) -> None:
        """The next one may."""
        if self.asking is who:
            with self.changed:
                self.changed.notify_all()
                self.asking = None


class Queue(WholeQueue):
    """A FIFO queue of a broker, with the interface of queue.Queue.

    maxsize         0: no bound (of an existing queue: as it is)
    name            its name at the broker; None: a temporary queue with a name of its own, that other processes get by fork, or by pickling it
    server          "tcp://host:port"; None: NETQUEUE_SERVER, else tcp://127.0.0.1:5510
    confirm         "put": put returns when the item is stored. "flush": put returns when the item is in this process's buffer, as with
                    multiprocessing.Queue; flush() and the end of the process wait (on a bounded queue every put waits all the same)
    codec           "pickle", "json", "bytes", "str", or a Codec. Unpickling runs code that the item names: only where every producer is trusted
    done            "task_done": an item comes back unless task_done() is called for it. "get": it is done when it was got
    prefetch        items to get ahead: None is 0, with confirm="flush" as many as are used up quickly
    lease, hold_max, ttl (seconds), max_deliveries, dead_letter    the queue's options; None: as they are
    temporary       the queue is deleted when no process that used it remains
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize: int = 0, name: Optional[str] = None, server: Optional[str] = None, *, confirm: str = "put",
                 codec: Union[str, Codec] = "pickle", done: str = "task_done", prefetch: Optional[int] = None, lease: Optional[float] = None,
                 hold_max: Optional[float] = None, max_deliveries: Optional[int] = None, dead_letter: Optional[str] = None,
                 ttl: Optional[float] = None, temporary: bool = False) -> None:
        if confirm not in ("put", "flush"):
            raise ValueError("confirm must be 'put' or 'flush'")
        if prefetch is not None and prefetch < 0:
            raise ValueError("prefetch must not be negative")
        self._open(maxsize, name, server, codec, done, lease, hold_max, max_deliveries, dead_letter, ttl, temporary, confirm=confirm, prefetch=prefetch)

    def _after_fork(self) -> None:
        super()._after_fork()
        self._outbox: Optional[Outbox] = None
        settings = self._settings
        wanted = settings["prefetch"] if settings["prefetch"] is not None else None if settings["confirm"] == "flush" else 0
        self._prefetched = None if wanted == 0 else _Prefetched(wanted)
        self._flushes = settings["confirm"] == "flush"

    # -- put

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None, *, delay: float = 0, headers: HeadersArgument = None) -> None:
        """Put an item, waiting for room if need be (at most `timeout` seconds; not at all unless `block`): else Full.

        delay     seconds until it can be got
        headers   {name: bytes or str}, told to who gets it with get_item()"""
        if self._closed:
            raise ValueError("Queue %r is closed" % self)
        body = self._encode(item)
        if self._flushes and self._maxsize <= 0 and not delay and not headers:
            self._buffer().put(body)
            return
        wait = self._put_wait(block, timeout)
        fields = [(name, value.encode() if isinstance(value, str) else value) for name, value in (headers or {}).items()]
        self._run(Put(self._name, (body,), wait, delay, False, fields)).check()

    def put_nowait(self, item: Any) -> None:
        """put(item, block=False)"""
        return self.put(item, block=False)

    def put_many(self, items: Iterable[Any], block: bool = True, timeout: Optional[float] = None, *, atomic: bool = False) -> None:
        """Put several, in order, in few requests. Full, ShutDown and others tell in `accepted` how many were; atomic: all or none (up to 1000)."""
        bodies = [self._codec.encode(item) for item in items]
        wait, accepted = self._put_wait(block, timeout), 0
        deadline = None if wait is None else time.monotonic() + wait
        while accepted < len(bodies):
            some = bodies if atomic else _front(bodies, accepted)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            operation = self._run(Put(self._name, some, left, 0, atomic))
            accepted += len(some) if operation.status == OK else operation.accepted
            if operation.status != OK:
                error: Any = operation.error()
                error.accepted = accepted
                raise error

    def _put_wait(self, block: bool, timeout: Optional[float]) -> Optional[float]:
        if not block:
            return 0
        if timeout is not None and timeout < 0:  # an error on a bounded queue only, and only while that is open
            stats = self.stats()
            if stats.state:
                raise ShutDown
            if stats.maxsize > 0:
                raise ValueError("'timeout' must be a non-negative number")
            return None
        return timeout

    def _buffer(self) -> Outbox:
        outbox = self._outbox
        if outbox is None or outbox.hub.closing is not None:
            with self._lock:
                outbox = self._outbox
                if outbox is None or outbox.hub is not self._hub:
                    if outbox is not None:
                        self._settle(outbox)
                    outbox = self._outbox = Outbox(self._hub, self._name, FLUSH_WINDOW)
        return outbox

    def _settle(self, outbox: Outbox) -> None:
        """Of a connection that is being closed, or was: what it has still comes first, and what it has lost is told, once."""
        try:
            outbox.flush(None)
        except Exception:
            self._outbox = None
            raise

    def flush(self, timeout: Optional[float] = None) -> bool:
        """Wait until all that was put with confirm="flush" is stored (False: not within `timeout`); raises the first failure."""
        return self._outbox.flush(timeout) if self._outbox is not None else True

    # -- get

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """Remove and return an item, waiting for one if need be (at most `timeout` seconds; not at all unless `block`): else Empty.

        It is on lease to this process, and comes back if the process ends before task_done()."""
        prefetched = self._prefetched
        if prefetched is not None and prefetched.items and not self._closed and not (block and timeout is not None and timeout < 0):
            try:
                item = prefetched.items.popleft()
            except IndexError:  # another thread was quicker
                pass
            else:
                if item.hub.closing is None:
                    return self._take(item)
        return self._take(self._get(block, timeout))

    def get_nowait(self) -> Any:
        """get(block=False)"""
        return self.get(block=False)

    def get_item(self, block: bool = True, timeout: Optional[float] = None) -> Lease:
        """As get, but the item with all that is known of it: `with queue.get_item() as item:` finishes it, or puts it back when the block raises."""
        return Lease(self, self._get(block, timeout))

    def get_many(self, max_items: int, block: bool = True, timeout: Optional[float] = None) -> List[Any]:
        """Up to `max_items` objects, at least one. task_done() for each."""
        if max_items < 1:
            raise ValueError("max_items must be positive")
        wait = self._get_wait(block, timeout)
        if self._prefetched is not None:
            items = [self._prefetched.get(self, block, wait)]
            while len(items) < max_items:
                more = self._prefetched.take()
                if more is None:
                    break
                items.append(more)
            return self._take_all(items)
        return self._take_all(self._run(self._get_request(min(max_items, ITEMS_PER_REQUEST_MAX), wait)).check().items)

    def _get(self, block: bool, timeout: Optional[float]) -> Item:
        if self._closed:
            raise ValueError("Queue %r is closed" % self)
        wait = self._get_wait(block, timeout)
        if self._prefetched is not None:
            return self._prefetched.get(self, block, wait)
        return self._run(self._get_request(1, wait)).check().items[0]

    def _get_wait(self, block: bool, timeout: Optional[float]) -> Optional[float]:
        if not block:
            return 0
        if timeout is not None and timeout < 0:
            stats = self.stats()
            if stats.state and not stats.ready:
                raise ShutDown
            raise ValueError("'timeout' must be a non-negative number")
        return timeout

    # -- items in hand

    def requeue(self, delay: float = 0, failed: bool = False, dead: bool = False, reason: Optional[str] = None) -> None:
        """As task_done(), but the item goes back to its old place: now or after `delay` seconds; `failed` counts, `dead` sends it to the
        dead-letter queue. ValueError: none is held."""
        self._run(Finish(self._oldest(remove=True), "requeue", 0, delay, failed, dead, reason)).check()

    def extend(self, lease: Optional[float] = None) -> None:
        """Count lease (seconds; None: as when it was got) and hold_max of the item that task_done() would finish from now on."""
        self._run(Finish(self._oldest(remove=False), "extend", int((lease or 0) * 1000))).check()

    def join(self, timeout: Optional[float] = None) -> bool:
        """Wait until every item that was put into the queue is done. False: not within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.flush(timeout):
            return False
        operation = self._run(Join(self._name, None if deadline is None else max(0.0, deadline - time.monotonic())))
        if operation.status not in (TIMED_OUT, NO_SUCH_QUEUE):  # nothing of a queue that is gone is unfinished
            operation.check()
        return operation.status != TIMED_OUT

    # -- the queue

    def qsize(self) -> int:
        """How many items can be got now."""
        return super().qsize() + (self._prefetched.count() if self._prefetched is not None else 0)

    @property
    def unfinished_tasks(self) -> int:
        return self.stats().unfinished

    @property
    def is_shutdown(self) -> bool:
        return self.stats().state != 0

    def shutdown(self, immediate: bool = False) -> None:
        """No more puts; gets go on until the queue is empty. `immediate` empties it. For all processes, and for good."""
        if self._settings["confirm"] == "flush":
            self.flush()
        super().shutdown(immediate)

    def purge(self) -> int:
        """Drop what could be got; returns how many items that were."""
        return self._run(OnQueue(self._name, "purge")).check().count

    # -- as multiprocessing.Queue

    def close(self) -> None:
        """No more puts and gets through this object in this process."""
        self._closed = True

    def join_thread(self) -> None:
        """As flush(); only after close()."""
        if not self._closed:
            raise AssertionError("Queue %r not closed" % self)
        self.flush()

    def cancel_join_thread(self) -> None:
        """Accepted and ignored: the process does not end before what it put is stored, or that has failed."""


def _front(bodies: Sequence[bytes], first: int) -> Sequence[bytes]:
    """The next run of a put of many."""
    last, size = first, 0
    while last < len(bodies) and last - first < PUT_MANY_ITEMS and (last == first or size + len(bodies[last]) <= PUT_MANY_BYTES):
        size += len(bodies[last])
        last += 1
    return bodies[first:last]


class JoinableQueue(Queue):
    """multiprocessing.JoinableQueue: put returns when the item is in this process's buffer."""

    def __init__(self, maxsize: int = 0, name: Optional[str] = None, server: Optional[str] = None, **options: Any) -> None:
        options.setdefault("confirm", "flush")
        super().__init__(maxsize, name, server, **options)


class SimpleQueue(Base):
    """The interface of queue.SimpleQueue: no bound, no task_done. An item is done when it was got."""

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, name: Optional[str] = None, server: Optional[str] = None, *, codec: Union[str, Codec] = "pickle") -> None:
        self._open(0, name, server, codec, "get", None, None, None, None, None, False)

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """Never waits for room: `block` and `timeout` are there for the sake of the interface."""
        self._run(Put(self._name, (self._codec.encode(item),), None)).check()

    def put_nowait(self, item: Any) -> None:
        self.put(item)

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        if block and timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        return self._take(self._run(Get(self._name, 1, timeout if block else 0)).check().items[0])

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        stats = self._run(OnQueue(self._name, "stat")).check().stats
        return stats.ready if stats is not None else 0

    def empty(self) -> bool:
        return self.qsize() == 0
