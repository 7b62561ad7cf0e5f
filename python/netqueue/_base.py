"""What the queues of threads and those of asyncio share: settings, the name at the broker, which items are held by whom."""
import collections
import itertools
import operator
import secrets
import threading
import weakref
from typing import Any, Deque, Dict, List, Optional, Sequence, Type, Union

from . import _hub
from ._codecs import Codec, find_codec
from ._errors import NO_SUCH_QUEUE, NOT_AUTHORISED, DecodeError
from ._ops import Declare, Finish, Get, Item, OnQueue, Operation, QueueStats, Shutdown, wait_ms

_all_queues: "weakref.WeakSet[Base]" = weakref.WeakSet()


def _forget_parents() -> None:
    for queue in list(_all_queues):
        queue._after_fork()


_hub.after_fork_in_child.append(_forget_parents)


def random_name(kind: str = "python") -> str:
    return "tmp.%s.%s" % (kind, secrets.token_hex(12))


def _remove_temporary(hub: Any, name: bytes, shared: Dict[str, Any]) -> None:
    """A temporary queue that only this process knew ends with the last reference to it."""
    if not shared["pickled"] and shared["forks"] == _hub.forks and hub.closing is None and not hub.closed:
        hub.submit(OnQueue(name, "delete"))


class Base:
    """One queue of one broker."""

    @staticmethod
    def _check(operation: Operation) -> Operation:
        """It has ended well; else its exception, as this kind of queue names it."""
        return operation.check()

    def _setup(self, settings: Dict[str, Any]) -> None:
        self._settings = settings
        self._name: bytes = settings["name"].encode()
        self._codec = find_codec(settings["codec"])
        self._encode, self._decode = self._codec.encode, self._codec.decode
        self._lease_ms, self._hold_max_ms = wait_ms(settings["lease"] or 0), wait_ms(settings["hold_max"] or 0)
        self._done_at_get = settings["done"] == "get"
        self._maxsize = settings["maxsize"]
        self._shared = {"pickled": True, "forks": _hub.forks}  # whether others know the name; the constructor knows better
        self._closed = False
        self._cached_hub: Optional[_hub.Hub] = None
        self._after_fork()
        _all_queues.add(self)

    def _after_fork(self) -> None:
        """A new process, with a session of its own: it holds nothing."""
        self._lock = threading.Lock()
        self._held_by: Dict[Any, Deque[Item]] = {}  # only the holder itself adds and removes its entry, so that needs no lock
        self._keys = itertools.count(1)
        self._cached_hub = None

    def _open(self, maxsize: int, name: Optional[str], server: Optional[str], codec: Union[str, Codec], done: str, lease: Optional[float],
              hold_max: Optional[float], max_deliveries: Optional[int], dead_letter: Optional[str], ttl: Optional[float], temporary: bool, **more: Any) -> None:
        """What every constructor does."""
        if done not in ("task_done", "get"):
            raise ValueError("done must be 'task_done' or 'get'")
        maxsize = operator.index(maxsize)
        find_codec(codec)
        self._setup(dict(name=name or random_name(), server=_hub.resolve_server(server), codec=codec, done=done, maxsize=maxsize, lease=lease,
                         hold_max=hold_max, **more))
        options: Dict[str, Any] = {"maxsize": max(0, maxsize) or None, "max_deliveries": max_deliveries, "temporary": (not name or temporary) or None}
        options["dead_letter"] = dead_letter.encode() if dead_letter else None
        for option, seconds in (("lease_ms", lease), ("hold_max_ms", hold_max), ("ttl_ms", ttl)):
            options[option] = wait_ms(seconds) if seconds else None
        stats = self._declare(options)
        if maxsize == 0 and stats is not None:
            self._maxsize = stats.maxsize  # of a queue that somebody else made
        if not name:
            self._own_temporary()
        elif temporary and stats is not None and stats.ready == 0:
            self._use()

    def _declare(self, options: Dict[str, Any]) -> Optional[QueueStats]:
        """Create the queue, or see that it has these options. Without options the right to administer it is not needed: it is used as it is,
        and its first put or get creates it."""
        asked = any(value is not None for value in options.values())
        if not asked:
            found = self._run(OnQueue(self._name, "stat"))
            if found.status != NO_SUCH_QUEUE:
                return found.check().stats
        declared = self._run(Declare(self._name, options))
        return None if declared.status == NOT_AUTHORISED and not asked else declared.check().stats

    def _use(self) -> None:
        """A temporary queue lives as long as a session that has used it, and declaring is not using: so that it does not end with the first
        child that puts. Should an item come just now, it goes back with the operation."""
        self._run(Get(self._name, 1, 0))

    def _own_temporary(self) -> None:
        self._use()
        self._shared["pickled"] = False
        weakref.finalize(self, _remove_temporary, self._hub, self._name, self._shared).atexit = False

    @property
    def _hub(self) -> "_hub.Hub":
        hub = self._cached_hub
        if hub is None or hub.closing is not None:
            hub = self._cached_hub = _hub.find_hub(self._settings["server"])
        return hub

    def _run(self, operation: Operation) -> Operation:
        return self._hub.run(operation)

    # -- as a value

    def __reduce__(self) -> Any:
        self._shared["pickled"] = True
        return _attach, (type(self), self._settings)

    def __repr__(self) -> str:
        return "<%s.%s %r at %s>" % (type(self).__module__.split(".")[0], type(self).__name__, self.name, self._settings["server"])

    @property
    def name(self) -> str:
        """Its name at the broker; `netqueue stat NAME` shows it."""
        return str(self._settings["name"])

    @property
    def server(self) -> str:
        return str(self._settings["server"])

    # -- items in hand

    def _holder(self) -> Any:
        """Who asks: a thread, or a task."""
        return threading.get_ident()

    def _hold(self, item: Item) -> None:
        item.key = next(self._keys)
        holder = self._holder()
        mine = self._held_by.get(holder)
        if mine is None:
            mine = self._held_by[holder] = collections.deque()
        mine.append(item)

    def _oldest(self, remove: bool) -> Item:
        """The caller's oldest, else the oldest of all. ValueError: there is none."""
        holder = self._holder()
        mine = self._held_by.get(holder)
        if mine is not None:
            try:
                item = mine.popleft() if remove else mine[0]
                if not mine:
                    self._held_by.pop(holder, None)
                return item
            except IndexError:  # another thread has just finished it for us
                pass
        return self._oldest_of_others(remove)

    def _oldest_of_others(self, remove: bool) -> Item:
        while True:
            oldest, lowest = None, 0
            for held in list(self._held_by.values()):
                try:
                    key = held[0].key
                except IndexError:
                    continue
                if oldest is None or key < lowest:
                    oldest, lowest = held, key
            if oldest is None:
                raise ValueError("task_done() called too many times")
            try:
                return oldest.popleft() if remove else oldest[0]
            except IndexError:  # its holder was quicker
                pass

    def task_done(self) -> None:
        """The work on the oldest item that this thread (task) has got is done; if it has none, the oldest that anyone has got through this object.

        Raises ValueError when there is none. The broker hears of it at once, but it is not waited for: use get_item() to know."""
        self._hub.submit(self._oldest(remove=True))

    def _cannot_decode(self, item: Item, error: Exception) -> DecodeError:
        """The item is held, so that it can be dropped or set aside."""
        self._hold(item)
        failure = DecodeError("an item of %r is not %s: %s" % (self.name, self._codec.name, error))
        failure.body = item.body
        return failure

    def _keep(self, item: Item) -> None:
        if self._done_at_get:
            item.hub.submit(item)
        else:
            self._hold(item)

    def _take(self, item: Item) -> Any:
        """The object of an item that was got, and the item is held (or done, if that is how this queue is used)."""
        try:
            value = self._decode(item.body)
        except Exception as error:
            raise self._cannot_decode(item, error) from error
        self._keep(item)
        return value

    def _take_all(self, items: Sequence[Item]) -> List[Any]:
        """Those in front of the first that cannot be decoded: an exception would take them along. It goes back with what is behind it, and comes next."""
        values: List[Any] = []
        for index, item in enumerate(items):
            try:
                value = self._decode(item.body)
            except Exception as error:
                for other in items[index if values else index + 1:]:
                    other.give_back()
                if values:
                    break
                raise self._cannot_decode(item, error) from error
            self._keep(item)
            values.append(value)
        return values


class WholeQueue(Base):
    """The queue as such, for those who wait and for those who await: both mean one round trip."""

    def _get_request(self, max_items: int, timeout: Optional[float]) -> Get:
        return Get(self._name, max_items, timeout, self._lease_ms, self._hold_max_ms)

    def stats(self) -> QueueStats:
        """All numbers of the queue at this moment."""
        stats = self._check(self._run(OnQueue(self._name, "stat"))).stats
        assert stats is not None
        return stats

    def qsize(self) -> int:
        """How many items can be got now."""
        return self.stats().ready

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        stats = self.stats()
        return 0 < stats.maxsize <= stats.ready

    @property
    def maxsize(self) -> int:
        return int(self._maxsize)

    @maxsize.setter
    def maxsize(self, maxsize: int) -> None:
        self._check(self._run(Declare(self._name, {"maxsize": max(0, maxsize)}, update=True)))
        self._maxsize = self._settings["maxsize"] = maxsize

    def shutdown(self, immediate: bool = False) -> None:
        """No more puts; gets go on until the queue is empty. `immediate` empties it. For all processes, and for good."""
        self._check(self._run(Shutdown(self._name, immediate)))

    def delete(self) -> None:
        """Remove the queue from the broker."""
        operation = self._run(OnQueue(self._name, "delete"))
        if operation.status != NO_SUCH_QUEUE:
            self._check(operation)


class LeaseOf:
    """An item on lease, with its object as `value`: what the leases of threads and those of tasks share."""

    def __init__(self, queue: Any, item: Item) -> None:
        self._queue, self._item = queue, item
        self._details = item.read_details()
        self.body: bytes = item.body
        try:
            self.value: Any = queue._decode(item.body)
        except Exception as error:
            raise queue._cannot_decode(item, error) from error

    seq = property(lambda self: self._details["seq"], doc="its place in the queue, from 1")
    deliveries = property(lambda self: self._details["deliveries"], doc="how often it was handed out, this time included")
    failures = property(lambda self: self._details["failures"], doc="how often work on it has failed")
    redelivered = property(lambda self: self._details["redelivered"], doc="may have been in somebody's hands before")
    fence = property(lambda self: self._details["fence"], doc="rises with each delivery, over restarts of the broker, too")
    headers = property(lambda self: dict(self._details["headers"]), doc="what was put along with it, as bytes")

    def _finish(self, how: str, **more: Any) -> Finish:
        if self._item.pointer is None:
            raise ValueError("the item is finished already")
        return Finish(self._item, how, **more)

    def _finish_after(self, kind: Optional[Type[BaseException]], error: Optional[BaseException]) -> Optional[Finish]:
        """What becomes of it at the end of its block."""
        if self._item.pointer is None:  # the block has decided itself
            return None
        if kind is None:
            return self._finish("task_done")
        if issubclass(kind, Exception):
            return self._finish("requeue", failed=True, reason="%s: %s" % (kind.__name__, error))
        return self._finish("requeue")  # KeyboardInterrupt, cancelled and the like say nothing about the item


def _attach(kind: Any, settings: Dict[str, Any]) -> Any:
    """The same queue in another process."""
    queue = kind.__new__(kind)
    queue._setup(settings)
    return queue
