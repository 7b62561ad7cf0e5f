"""What the queues of threads and those of asyncio share: settings, the name at the broker, which items are held by whom."""
import collections
import operator
import secrets
import threading
import weakref
from typing import Any, Dict, List, Optional, Union

from . import _hub
from ._codecs import Codec, find_codec
from ._errors import DecodeError
from ._ops import Declare, Get, Item, OnQueue, Operation, wait_ms

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
        self._held: "collections.OrderedDict[int, Item]" = collections.OrderedDict()
        self._held_by: Dict[Any, "collections.OrderedDict[int, Item]"] = {}
        self._next_key = 0
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
        declared = self._run(Declare(self._name, options)).check()
        if maxsize == 0 and declared.stats is not None:
            self._maxsize = declared.stats.maxsize  # of a queue that somebody else made
        if not name:
            self._own_temporary()
        elif temporary and declared.stats is not None and declared.stats.ready == 0:
            self._use()

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
        return self._settings["name"]

    @property
    def server(self) -> str:
        return self._settings["server"]

    # -- items in hand

    def _holder(self) -> Any:
        """Who asks: a thread, or a task."""
        return threading.get_ident()

    def _hold(self, item: Item) -> None:
        holder = self._holder()
        with self._lock:
            self._next_key += 1
            item.key, item.holder = self._next_key, holder
            self._held[item.key] = item
            mine = self._held_by.get(holder)
            if mine is None:
                mine = self._held_by[holder] = collections.OrderedDict()
            mine[item.key] = item

    def _oldest(self, remove: bool) -> Item:
        """The caller's oldest, else the oldest of all. ValueError: there is none."""
        with self._lock:
            items = self._held_by.get(self._holder()) or self._held
            if not items:
                raise ValueError("task_done() called too many times")
            item = next(iter(items.values()))
            if remove:
                self._forget(item)
            return item

    def _forget(self, item: Item) -> None:
        self._held.pop(item.key, None)
        mine = self._held_by.get(item.holder)
        if mine is not None:
            mine.pop(item.key, None)
            if not mine:
                del self._held_by[item.holder]

    def task_done(self) -> None:
        """The work on the oldest item that this thread (task) has got is done; if it has none, the oldest that anyone has got through this object.

        Raises ValueError when there is none. The broker hears of it at once, but it is not waited for: use get_item() to know."""
        self._hub.submit(self._oldest(remove=True))

    def _take(self, item: Item) -> Any:
        """The object of an item that was got, and the item is held (or done, if that is how this queue is used)."""
        try:
            value = self._decode(item.body)
        except Exception as error:
            self._hold(item)
            failure = DecodeError("an item of %r is not %s: %s" % (self.name, self._codec.name, error))
            failure.body = item.body
            raise failure from error
        if self._done_at_get:
            item.hub.submit(item)
        else:
            self._hold(item)
        return value

    def _take_all(self, items: List[Item]) -> List[Any]:
        return [self._take(item) for item in items]


def _attach(kind: Any, settings: Dict[str, Any]) -> Any:
    """The same queue in another process."""
    queue = kind.__new__(kind)
    queue._setup(settings)
    return queue
