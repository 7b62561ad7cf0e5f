"""The operations that a hub's I/O thread runs: each makes one request of the library and takes its completion."""
import collections
import threading
from ctypes import byref, c_char_p, c_size_t, c_void_p, cast, string_at
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ._errors import EMPTY, FULL, INTERRUPTED, LEASE_LOST, OK, error_of
from ._library import (COUNTERS, WAIT_FOREVER, Body, GetOptions, HeaderField, PutOptions, RequeueOptions, fill_options, lib)

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


def _stats_of(raw: Any) -> QueueStats:
    return QueueStats(raw.name.decode(), *(getattr(raw, name) for name in COUNTERS), raw.state, raw.waiting_gets, raw.waiting_puts,
                      raw.waiting_joins, raw.consumers, raw.options.maxsize, raw.options.temporary)


class Item:
    """An item on lease to this process. Made by the I/O thread; `pointer` is None once it was finished."""

    __slots__ = ("hub", "queue", "pointer", "body", "key", "holder", "_details")

    def __init__(self, hub: Any, queue: bytes, pointer: int, body: bytes) -> None:
        self.hub, self.queue, self.pointer, self.body = hub, queue, pointer, body
        self.key = self.holder = self._details = None

    def take(self) -> Optional[int]:
        """The pointer, once: who has it finishes the item."""
        pointer, self.pointer = self.pointer, None
        return pointer

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

    def __del__(self) -> None:
        pointer = self.take() if getattr(self, "pointer", None) is not None else None
        if pointer is not None:
            hub = self.hub
            hub.submit(lambda: hub.closed or hub.give_back(pointer))


def make_items(hub: Any, queue: bytes, pointers: Any, count: int) -> List[Item]:
    bodies, lens = (c_void_p * count)(), (c_size_t * count)()
    lib.nq_items_bodies(pointers, count, bodies, lens)
    return [Item(hub, queue, pointer, string_at(body, length)) for pointer, body, length in zip(pointers[:count], bodies, lens)]


class Operation:
    """One request. `status` holds once it has ended."""

    __slots__ = ("queue", "request", "status", "text", "signal", "when_ended", "abandoned", "ended", "items", "count", "stats", "accepted", "what")
    callable = False  # by the thread that wants it
    must_end = False  # the connection is not closed before it has ended

    def __init__(self, queue: bytes, what: str) -> None:
        self.queue, self.what = queue, what
        self.request = self.status = self.count = self.accepted = 0
        self.text = ""
        self.signal: Any = None
        self.when_ended: Optional[Callable[["Operation"], None]] = None
        self.abandoned = self.ended = False
        self.items: List[Item] = []
        self.stats: Optional[QueueStats] = None

    def start(self, hub: Any) -> int:
        raise NotImplementedError

    def call(self, hub: Any) -> None:
        """Run it with the library's blocking form; end() it, or leave it to be started when it may wait."""
        raise NotImplementedError

    def refusal(self, hub: Any) -> int:
        """Why the library did not start it."""
        self.text = lib.nq_error_text(hub.client).decode("utf-8", "replace")
        return lib.nq_error_status(hub.client)

    def complete(self, hub: Any, completion: Any) -> None:
        """Take what has come with it."""
        if completion.items_count:
            self.items = make_items(hub, self.queue, completion.items, completion.items_count)
            lib.nq_free(completion.items)
        if completion.stats:
            self.stats = _stats_of(completion.stats.contents)
            lib.nq_free(completion.stats)
        self.count, self.accepted = completion.count, completion.accepted
        self.end(hub, completion.status)

    def finish_call(self, hub: Any, status: int) -> None:
        if status != OK:
            self.text = lib.nq_error_text(hub.client).decode("utf-8", "replace")
        self.end(hub, status)

    def end(self, hub: Any, status: int) -> None:
        self.status, self.ended = status, True
        if self.abandoned:
            self.items = []  # back they go
        if self.when_ended is not None:
            self.when_ended(self)
        if self.signal is not None:
            self.signal.release()

    def cancel(self, hub: Any) -> None:
        """Nobody waits any more."""
        self.abandoned = True
        self.items = []
        if not self.ended and self.request and not hub.closed:
            lib.nq_cancel(hub.client, self.request)

    def error(self) -> Exception:
        what = "%s %r" % (self.what, self.queue.decode("utf-8", "replace"))
        return error_of(self.status, "" if self.text else what, self.text)

    def check(self) -> "Operation":
        if self.status != OK:
            raise self.error()
        return self


class Put(Operation):
    """One run of items. It has a lane of its own until it ends, so that one that waits holds up no other thread's."""

    __slots__ = ("bodies", "options", "headers", "lane", "callable")
    must_end = True

    def __init__(self, queue: bytes, bodies: Sequence[bytes], timeout: Optional[float], delay: float = 0, atomic: bool = False,
                 headers: Optional[Headers] = None) -> None:
        super().__init__(queue, "put to")
        self.bodies, self.headers, self.lane = bodies, headers, 0
        self.options = PutOptions(wait_ms(timeout), wait_ms(delay), atomic, 0)
        self.callable = len(bodies) == 1 and not headers

    def _take_lane(self, hub: Any) -> None:
        free = hub.lanes[self.queue]
        self.lane = self.options.lane = free.pop() if free else next(hub.lanes_made[self.queue])

    def call(self, hub: Any) -> None:
        wanted, self.options.wait_ms = self.options.wait_ms, 0  # to wait for room is for the I/O thread
        self._take_lane(hub)
        status = lib.nq_put(hub.client, self.queue, self.bodies[0], len(self.bodies[0]), byref(self.options), None)
        if status == INTERRUPTED or (status == FULL and wanted):
            hub.lanes[self.queue].append(self.lane)
            self.options.wait_ms = wanted
            return
        self.accepted = int(status == OK)
        self.finish_call(hub, status)

    def start(self, hub: Any) -> int:
        self._take_lane(hub)
        return start_put(hub, self.queue, self.bodies, self.options, self.headers)

    def end(self, hub: Any, status: int) -> None:
        hub.lanes[self.queue].append(self.lane)
        super().end(hub, status)


def start_put(hub: Any, queue: bytes, bodies: Sequence[bytes], options: PutOptions, headers: Optional[Headers] = None) -> int:
    array = (Body * len(bodies))()
    fields = None
    if headers:
        fields = (HeaderField * len(headers))()
        kept = [value for _, value in headers]
        for field, (name, value) in zip(fields, headers):
            field.name, field.value_len = name.encode(), len(value)
        for field, value in zip(fields, kept):
            field.value = _address(value)
    for body, data in zip(array, bodies):
        body.data, body.len = data, len(data)
        if fields is not None:
            body.headers, body.headers_count = fields, len(fields)
    return lib.nq_start_put(hub.client, queue, array, len(bodies), byref(options), None)


def _address(value: bytes) -> Optional[int]:
    return cast(c_char_p(value), c_void_p).value


CALL_WAIT_MS = 10  # so long a thread waits for an item by itself; then it hands the wait over and can be interrupted


class Get(Operation):
    __slots__ = ("max_items", "options")
    callable = True

    def __init__(self, queue: bytes, max_items: int, timeout: Optional[float], lease_ms: int = 0, hold_max_ms: int = 0) -> None:
        super().__init__(queue, "get from")
        self.max_items, self.options = max_items, GetOptions(wait_ms(timeout), lease_ms, hold_max_ms, False)

    def call(self, hub: Any) -> None:
        wanted = self.options.wait_ms
        self.options.wait_ms = min(wanted, CALL_WAIT_MS)
        pointers, count = (c_void_p * self.max_items)(), c_size_t()
        hub.waiting_call = True
        try:
            if hub.inbox:  # who handed that in may not have seen it
                self.options.wait_ms = 0
            status = lib.nq_get_many(hub.client, self.queue, self.max_items, byref(self.options), pointers, byref(count))
        finally:
            hub.waiting_call = False
        if status == INTERRUPTED or (status == EMPTY and wanted > self.options.wait_ms):
            self.options.wait_ms = wanted if wanted == WAIT_FOREVER else wanted - self.options.wait_ms
            return
        self.items = make_items(hub, self.queue, pointers, count.value)
        self.finish_call(hub, status)

    def start(self, hub: Any) -> int:
        return lib.nq_start_get(hub.client, self.queue, self.max_items, byref(self.options), None)


class Join(Operation):
    __slots__ = ("timeout",)

    def __init__(self, queue: bytes, timeout: Optional[float]) -> None:
        super().__init__(queue, "join of")
        self.timeout = timeout

    def start(self, hub: Any) -> int:
        return lib.nq_start_join(hub.client, self.queue, wait_ms(self.timeout), None)


class Declare(Operation):
    """Create the queue, or see that it has these options; or change them."""

    __slots__ = ("options", "initial", "update")

    def __init__(self, queue: bytes, options: Dict[str, Any], initial: int = 0, update: bool = False) -> None:
        super().__init__(queue, "update of" if update else "declare of")
        self.options, self.initial, self.update = fill_options(options), initial, update

    def start(self, hub: Any) -> int:
        if self.update:
            return lib.nq_start_update(hub.client, self.queue, byref(self.options), None)
        return lib.nq_start_declare(hub.client, self.queue, byref(self.options), self.initial, None)


class OnQueue(Operation):
    """stat, purge, delete."""

    __slots__ = ("function",)

    def __init__(self, queue: bytes, what: str) -> None:
        super().__init__(queue, what + " of")
        self.function = getattr(lib, "nq_start_" + what)

    def start(self, hub: Any) -> int:
        return self.function(hub.client, self.queue, None)


class Shutdown(Operation):
    __slots__ = ("immediate",)

    def __init__(self, queue: bytes, immediate: bool) -> None:
        super().__init__(queue, "shutdown of")
        self.immediate = immediate

    def start(self, hub: Any) -> int:
        return lib.nq_start_shutdown(hub.client, self.queue, self.immediate, None)


class Finish(Operation):
    """task_done, requeue or extend of one item, confirmed."""

    __slots__ = ("item", "how", "options")
    must_end = True

    def __init__(self, item: Item, how: str, lease_ms: int = 0, delay: float = 0, failed: bool = False, dead: bool = False,
                 reason: Optional[str] = None) -> None:
        super().__init__(item.queue, how + " in")
        self.item, self.how = item, how
        self.options = lease_ms if how == "extend" else RequeueOptions(wait_ms(delay), failed, dead, reason.encode() if reason else None)

    def start(self, hub: Any) -> int:
        if self._is_gone(hub):
            return 0
        if self.how == "extend":
            return lib.nq_start_extend(hub.client, self.item.pointer, self.options, None)
        pointer = c_void_p(self.item.take())
        if self.how == "requeue":
            return lib.nq_start_requeue(hub.client, byref(pointer), byref(self.options), None)
        return lib.nq_start_task_done(hub.client, byref(pointer), None)


    def _is_gone(self, hub: Any) -> bool:
        """Finished already, or of a connection that was closed."""
        return self.item.pointer is None or self.item.hub is not hub

    def refusal(self, hub: Any) -> int:
        return LEASE_LOST if self._is_gone(hub) else super().refusal(hub)


class _Dones(Operation):
    """Many task_dones; nobody waits for them."""

    __slots__ = ("pointers",)
    must_end = True

    def __init__(self, queue: bytes, pointers: List[int]) -> None:
        super().__init__(queue, "task_done in")
        self.pointers = pointers

    def start(self, hub: Any) -> int:
        count = len(self.pointers)
        return lib.nq_start_task_done_many(hub.client, (c_void_p * count)(*self.pointers), count, None)

    def end(self, hub: Any, status: int) -> None:
        if status != OK:
            hub.lost += 1
        super().end(hub, status)


class _Done(_Dones):
    """One of a list that could not go together: its items were got before and after a restart of the broker."""

    __slots__ = ()

    def start(self, hub: Any) -> int:
        return lib.nq_start_task_done(hub.client, byref(c_void_p(self.pointers[0])), None)


DONES_MAX = 1000


def start_dones(hub: Any, items: List[Item], quietly: bool = False) -> None:
    """quietly: their completions are looked at by nobody but the hub."""
    by_queue: Dict[bytes, List[int]] = {}
    for item in items:
        pointer = item.take()
        if pointer is not None and item.hub is hub:
            by_queue.setdefault(item.queue, []).append(pointer)
    for queue, pointers in by_queue.items():
        for first in range(0, len(pointers), DONES_MAX):
            some = pointers[first:first + DONES_MAX]
            together = _Dones(queue, some)
            request = together.start(hub)
            if request:
                if not quietly:
                    hub.running[request] = together
                continue
            for pointer in some:
                hub.begin(_Done(queue, [pointer]))


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
            self.kicked = True
            self.hub.submit(self.send)

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
        with self.changed:
            over = self.changed.wait_for(lambda: self.failure is not None or not (self.bodies or self.runs), timeout)
        self.raise_failure()
        return over

    # -- in the I/O thread

    def send(self) -> None:
        self.kicked = False
        bodies = self.bodies
        while bodies and self.runs < RUNS_MAX and self.failure is None:
            run, size = [], 0
            while bodies and len(run) < RUN_ITEMS and size < RUN_BYTES:
                run.append(bodies.popleft())
                size += len(run[-1])
            self.runs += 1
            if self not in self.hub.outboxes:
                self.hub.outboxes.append(self)
            self.hub.begin(_Run(self, run))

    def run_ended(self, run: "_Run") -> None:
        self.runs -= 1
        if run.status != OK:
            self.fail(run.status, run.text)
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
    __slots__ = ("outbox", "bodies")
    must_end = True

    def __init__(self, outbox: Outbox, bodies: List[bytes]) -> None:
        super().__init__(outbox.queue, "put to")
        self.outbox, self.bodies = outbox, bodies

    def start(self, hub: Any) -> int:
        return start_put(hub, self.queue, self.bodies, PutOptions(WAIT_FOREVER, 0, False, 0))

    def end(self, hub: Any, status: int) -> None:
        super().end(hub, status)
        self.outbox.run_ended(self)
