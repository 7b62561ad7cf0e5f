"""The operations that a hub runs: each makes one request of the library and takes its completion."""
import collections
import threading
from array import array
from ctypes import byref, c_char_p, c_void_p, cast, string_at
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ._errors import BAD_REQUEST, CLOSED, LEASE_LOST, OK, ORDINARY, error_of
from ._library import (COUNTERS, WAIT_FOREVER, Body, GetOptions, HeaderField, PutOptions, RequeueOptions, bytes_at, fill_options, lib,
                       table_of)

Headers = Sequence[Tuple[str, bytes]]


def wait_ms(timeout: Optional[float]) -> int:
    """Milliseconds for the broker; None is for ever. What is not 0 waits at least one."""
    if timeout is None:
        return WAIT_FOREVER
    return 0 if timeout <= 0 else min(max(1, int(timeout * 1000 + 0.5)), 31622400000)


class QueueStats(NamedTuple):
    """The numbers of a queue, as the broker had them at one moment."""

    name: str
    ready: int
    delayed: int
    leased: int
    unfinished: int
    ready_bytes: int
    next_seq: int
    puts: int
    gets: int
    dones: int
    redelivered: int
    requeued: int
    failed: int
    expired: int
    purged: int
    dead_lettered: int
    dropped: int
    quarantined: int
    state: int  # 0 open, 1 shut down, 2 shut down at once
    waiting_gets: int
    waiting_puts: int
    waiting_joins: int
    consumers: int
    maxsize: int
    temporary: bool


def _error_text(hub: Any) -> str:
    return str(lib.nq_error_text(hub.client).decode("utf-8", "replace"))


def _stats_of(raw: Any) -> QueueStats:
    counters = {name: getattr(raw, name) for name in COUNTERS}
    return QueueStats(name=raw.name.decode(), **counters, state=raw.state, waiting_gets=raw.waiting_gets, waiting_puts=raw.waiting_puts,
                      waiting_joins=raw.waiting_joins, consumers=raw.consumers, maxsize=raw.options.maxsize, temporary=raw.options.temporary)


class Item:
    """An item on lease to this process. Made by who drives the client; `pointer` is None once it was finished."""

    __slots__ = ("hub", "queue", "pointer", "body", "key", "_details")

    def __init__(self, hub: Any, queue: bytes, body: bytes) -> None:
        self.pointer: Optional[int] = None
        self.hub, self.queue, self.body = hub, queue, body
        self.key = 0  # its place among those that are held
        self._details: Optional[Dict[str, Any]] = None

    def read_details(self) -> Dict[str, Any]:
        """What is told besides the body. Before it is finished."""
        if self._details is None and self.pointer is not None:
            pointer = self.pointer
            headers = []
            for index in range(lib.nq_item_headers_count(pointer)):
                field = lib.nq_item_header(pointer, index)
                headers.append((field.name.decode("utf-8", "replace"), string_at(field.value, field.value_len)))
            self._details = {"seq": lib.nq_item_seq(pointer), "deliveries": lib.nq_item_deliveries(pointer),
                             "failures": lib.nq_item_failures(pointer), "redelivered": lib.nq_item_redelivered(pointer),
                             "fence": lib.nq_item_fence(pointer), "headers": headers}
        return self._details or {}

    def give_back(self) -> None:
        """To its place, uncounted, unless it is finished."""
        pointer = self.pointer
        if pointer is not None:
            self.pointer = None
            hub = self.hub
            hub.submit(lambda: hub.closed or hub.give_back(pointer))

    __del__ = give_back


def _make_items(hub: Any, queue: bytes, pointers: Any, count: int) -> List[Item]:
    """Still without their pointers: who is interrupted and drops some has not given them back then."""
    bodies, lens = hub.arrays(count)
    lib.nq_items_bodies(pointers, count, bodies, lens)
    return [Item(hub, queue, bytes_at(body, length)) for body, length in zip(bodies[:count], lens[:count])]


class Operation:
    """One request. `status` holds once it has ended."""

    must_end = False  # the connection is not closed before it has ended
    request = status = count = accepted = 0
    text = ""
    signal: Any = None  # released when it has ended
    when_ended: Optional[Callable[["Operation"], None]] = None
    abandoned = ended = False
    wrong: Optional[Exception] = None  # why it could not be started
    items: Sequence[Item] = ()
    stats: Optional[QueueStats] = None

    def __init__(self, queue: bytes, what: str) -> None:
        self.queue, self.what = queue, what

    def start(self, hub: Any) -> int:
        raise NotImplementedError

    def refusal(self, hub: Any) -> int:
        """Why the library did not start it."""
        self.text = _error_text(hub)
        return int(lib.nq_error_status(hub.client))

    def fail(self, hub: Any, error: Exception) -> None:
        """It is made of something that is no part of a request, like a body that is no bytes: told to who wanted it."""
        self.wrong, self.text = error, "%s: %s" % (self._name(), error)
        self.end(hub, BAD_REQUEST)

    def complete(self, hub: Any, completion: Any) -> None:
        """Take what has come with it; once more when that was interrupted."""
        if completion.items_count:
            self.items = self.items or _make_items(hub, self.queue, completion.items, completion.items_count)
            for item, pointer in zip(self.items, completion.items[:completion.items_count]):
                item.pointer = pointer
            completion.items_count = 0
            lib.nq_free(completion.items)
        if completion.stats:
            self.stats = _stats_of(completion.stats.contents)
            stats = cast(completion.stats, c_void_p).value
            completion.stats = None
            lib.nq_free(stats)
        self.count, self.accepted = completion.count, completion.accepted
        if completion.status not in ORDINARY:
            self.text = "%s: %s" % (self._name(), _error_text(hub))
        self.end(hub, completion.status)

    def end(self, hub: Any, status: int) -> None:
        self.status, self.ended = status, True
        if self.abandoned:
            self.items = ()  # back they go
        if self.when_ended is not None:
            self.when_ended(self)
        if self.signal is not None:
            self.signal.release()

    def cancel(self, hub: Any) -> None:
        """Nobody waits any more."""
        self.abandoned = True
        self.items = ()
        if not self.ended and self.request and not hub.closed:
            lib.nq_cancel(hub.client, self.request)

    def error(self) -> Exception:
        return self.wrong or error_of(self.status, "" if self.text else self._name(), self.text)

    def _name(self) -> str:
        return "%s %r" % (self.what, self.queue.decode("utf-8", "replace"))

    def check(self) -> "Operation":
        if self.status != OK:
            raise self.error()
        return self


class Put(Operation):
    """One run of items. It has a lane of its own until it ends, so that one that waits holds up no other thread's."""

    must_end = True
    lane = 0

    def __init__(self, queue: bytes, bodies: Sequence[bytes], timeout: Optional[float], delay: float = 0, atomic: bool = False,
                 headers: Optional[Headers] = None) -> None:
        super().__init__(queue, "put to")
        self.bodies, self.headers = bodies, headers
        self.options = PutOptions(wait_ms(timeout), wait_ms(delay), atomic, 0)

    def start(self, hub: Any) -> int:
        self.lane = self.options.lane = hub.take_lane(self.queue)
        return start_put(hub, self.queue, self.bodies, self.options, self.headers)

    def end(self, hub: Any, status: int) -> None:
        lane, self.lane = self.lane, 0
        if lane:
            hub.free_lane(self.queue, lane)
        super().end(hub, status)


def start_put(hub: Any, queue: bytes, bodies: Sequence[bytes], options: PutOptions, headers: Optional[Headers] = None) -> int:
    count = len(bodies)
    if count > 1 and not headers:
        table, joined = table_of(bodies)
        request = int(lib.nq_start_put(hub.client, queue, table.buffer_info()[0], count, byref(options), None))
        del joined  # the library has copied it by now
        return request
    structures = (Body * count)()
    fields = None
    if headers:
        fields = (HeaderField * len(headers))()
        for field, (name, value) in zip(fields, headers):
            field.name, field.value, field.value_len = name.encode(), _address(value), len(value)
    for body, data in zip(structures, bodies):
        body.data, body.len = data, len(data)
        if fields is not None:
            body.headers, body.headers_count = fields, len(fields)
    return int(lib.nq_start_put(hub.client, queue, structures, count, byref(options), None))


def _address(value: bytes) -> Optional[int]:
    return cast(c_char_p(value), c_void_p).value


class Get(Operation):
    def __init__(self, queue: bytes, max_items: int, timeout: Optional[float], lease_ms: int = 0, hold_max_ms: int = 0) -> None:
        super().__init__(queue, "get from")
        self.max_items, self.options = max_items, GetOptions(wait_ms(timeout), lease_ms, hold_max_ms, False)

    def start(self, hub: Any) -> int:
        return int(lib.nq_start_get(hub.client, self.queue, self.max_items, byref(self.options), None))


class Join(Operation):
    def __init__(self, queue: bytes, timeout: Optional[float]) -> None:
        super().__init__(queue, "join of")
        self.timeout = timeout

    def start(self, hub: Any) -> int:
        return int(lib.nq_start_join(hub.client, self.queue, wait_ms(self.timeout), None))


class Declare(Operation):
    """Create the queue, or see that it has these options; or change them."""

    def __init__(self, queue: bytes, options: Dict[str, Any], initial: int = 0, update: bool = False) -> None:
        super().__init__(queue, "update of" if update else "declare of")
        self.options, self.initial, self.update = fill_options(options), initial, update

    def start(self, hub: Any) -> int:
        if self.update:
            return int(lib.nq_start_update(hub.client, self.queue, byref(self.options), None))
        return int(lib.nq_start_declare(hub.client, self.queue, byref(self.options), self.initial, None))


class OnQueue(Operation):
    """stat, purge, delete."""

    def __init__(self, queue: bytes, what: str) -> None:
        super().__init__(queue, what + " of")
        self.function = getattr(lib, "nq_start_" + what)

    def start(self, hub: Any) -> int:
        return int(self.function(hub.client, self.queue, None))


class Shutdown(Operation):
    def __init__(self, queue: bytes, immediate: bool) -> None:
        super().__init__(queue, "shutdown of")
        self.immediate = immediate

    def start(self, hub: Any) -> int:
        return int(lib.nq_start_shutdown(hub.client, self.queue, self.immediate, None))


REASON_BYTES_MAX = 256  # NQ_REASON_BYTES_MAX


def _reason_of(text: Optional[str]) -> Optional[bytes]:
    """As much of it as the broker keeps: of an item that failed, what is said of it must not be what fails next."""
    return text.encode("utf-8", "replace")[:REASON_BYTES_MAX].decode("utf-8", "ignore").encode() if text else None


class Finish(Operation):
    """task_done, requeue or extend of one item, confirmed."""

    must_end = True

    def __init__(self, item: Item, how: str, lease_ms: int = 0, delay: float = 0, failed: bool = False, dead: bool = False,
                 reason: Optional[str] = None) -> None:
        super().__init__(item.queue, how + " in")
        self.item, self.how = item, how
        self.options: Any = lease_ms if how == "extend" else RequeueOptions(wait_ms(delay), failed, dead, _reason_of(reason))

    def start(self, hub: Any) -> int:
        if self._is_gone(hub):
            return 0
        if self.how == "extend":
            return int(lib.nq_start_extend(hub.client, self.item.pointer, self.options, None))
        pointer = c_void_p(self.item.pointer)
        try:
            self.item.pointer = None
            if self.how == "requeue":
                return int(lib.nq_start_requeue(hub.client, byref(pointer), byref(self.options), None))
            return int(lib.nq_start_task_done(hub.client, byref(pointer), None))
        finally:
            self.item.pointer = pointer.value  # None when the library has taken it; else, as after an interrupt, it is held as before

    def _is_gone(self, hub: Any) -> bool:
        """Finished already, or of a connection that was closed."""
        return self.item.pointer is None or self.item.hub is not hub

    def refusal(self, hub: Any) -> int:
        return LEASE_LOST if self._is_gone(hub) else super().refusal(hub)


class _Dones(Operation):
    """Many task_dones; nobody waits for them. The library sets to 0 what it takes of `addresses`."""

    must_end = True

    def __init__(self, queue: bytes, addresses: "array[int]", first: int, size: int) -> None:
        super().__init__(queue, "task_done in")
        self.addresses, self.first, self.size = addresses, first, size

    def start(self, hub: Any) -> int:
        start = self.addresses.buffer_info()[0] + self.first * self.addresses.itemsize
        return int(lib.nq_start_task_done_many(hub.client, start, self.size, None))

    def end(self, hub: Any, status: int) -> None:
        if status != OK:
            hub.lost += 1
        super().end(hub, status)


DONES_MAX = 1000


def _start_run(hub: Any, queue: bytes, addresses: "array[int]", quietly: bool) -> None:
    together = _Dones(queue, addresses, 0, len(addresses))
    request = together.start(hub)
    if request and not quietly:
        hub.running[request] = together
    elif not request and len(addresses) > 1:  # they do not go together: got before and after a restart of the broker
        for index in range(len(addresses)):
            hub.begin(_Dones(queue, addresses, index, 1))


def start_dones(hub: Any, items: Iterable[Item], quietly: bool = False) -> None:
    """quietly: their completions are looked at by nobody but the hub. When it is interrupted, items that were not taken are as before."""
    by_queue: Dict[bytes, List[Item]] = {}
    for item in items:
        if item.pointer is not None and item.hub is hub:
            some = by_queue.get(item.queue)
            if some is None:
                by_queue[item.queue] = [item]
            else:
                some.append(item)
    for queue, together in by_queue.items():
        for first in range(0, len(together), DONES_MAX):
            some = together[first:first + DONES_MAX]
            addresses = array("L", [item.pointer or 0 for item in some])
            try:
                for item in some:
                    item.pointer = None
                _start_run(hub, queue, addresses, quietly)
            except BaseException:
                for item, address in zip(some, addresses):
                    item.pointer = address or None
                raise


RUN_ITEMS, RUN_BYTES, RUNS_MAX = 1000, 1 << 20, 4


class Outbox:
    """The puts of one queue that nobody waits for: gathered by the callers, sent in runs of up to a thousand by the I/O thread."""

    def __init__(self, hub: Any, queue: bytes, window: int) -> None:
        self.hub, self.queue, self.window = hub, queue, window
        self.bodies: Any = collections.deque()
        self.started = 0  # items put
        self.ended = 0    # confirmed or failed
        self.runs = 0     # under way
        self.kicked = False
        self.failure: Optional[Tuple[int, str]] = None
        self.changed = threading.Condition()

    def put(self, body: bytes) -> None:
        if self.failure is not None or self.started - self.ended >= self.window:
            self._wait_for_room()
        self.bodies.append(body)
        self.started += 1  # exact enough: two threads may count one
        if not self.kicked:
            self._kick()

    def _kick(self) -> None:
        self.kicked = True
        try:
            self.hub.submit(self.send)
        except BaseException:  # KeyboardInterrupt: the next one does it
            self.kicked = False
            raise
        if self.hub.closed and self.bodies:  # meanwhile: nobody sends them any more
            self.fail(CLOSED, "netqueue was closed")

    def _wait_for_room(self) -> None:
        with self.changed:
            while self.failure is None and self.started - self.ended >= self.window:
                self.changed.wait()
        self.raise_failure()

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise error_of(self.failure[0], "" if self.failure[1] else "put to %r" % self.queue.decode(), self.failure[1])

    def flush(self, timeout: Optional[float]) -> bool:
        """False: the time is over."""
        if self.bodies and not self.kicked:
            self._kick()
        with self.changed:
            over = self.changed.wait_for(lambda: self.failure is not None or not (self.bodies or self.runs), timeout)
        self.raise_failure()
        return over

    # -- in the I/O thread

    def send(self) -> None:
        self.kicked = False
        bodies = self.bodies
        while bodies and self.runs < RUNS_MAX and self.failure is None:
            self.runs += 1  # before the last one is taken out: who flushes must see one of both
            run: List[bytes] = []
            size = 0
            while bodies and len(run) < RUN_ITEMS and size < RUN_BYTES:
                run.append(bodies.popleft())
                size += len(run[-1])
            if self not in self.hub.outboxes:
                self.hub.outboxes.append(self)
            self.hub.begin(_Run(self, run))

    def run_ended(self, run: "_Run") -> None:
        if run.status != OK:  # first: who flushes must not see the end of it alone
            self.fail(run.status, run.text)
        self.runs -= 1
        if self.runs == 0 and not self.bodies and self in self.hub.outboxes:
            self.hub.outboxes.remove(self)
        with self.changed:
            self.ended += len(run.bodies)
            if not self.runs:
                self.started = self.ended + len(self.bodies)
            self.changed.notify_all()
        self.send()

    def fail(self, status: int, text: str) -> None:
        """The first failure is kept; what was not sent yet is not."""
        with self.changed:
            self.failure = self.failure or (status, text)
            self.bodies.clear()
            self.changed.notify_all()


class _Run(Operation):
    must_end = True

    def __init__(self, outbox: Outbox, bodies: List[bytes]) -> None:
        super().__init__(outbox.queue, "put to")
        self.outbox, self.bodies = outbox, bodies

    def start(self, hub: Any) -> int:
        return start_put(hub, self.queue, self.bodies, PutOptions(WAIT_FOREVER, 0, False, 0))

    def end(self, hub: Any, status: int) -> None:
        super().end(hub, status)
        self.outbox.run_ended(self)
