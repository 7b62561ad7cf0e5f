"""The connection of this process with one broker: one I/O thread owns the library's client, all other threads hand it operations.

An operation is started by the I/O thread and finished by it, when its completion comes. The thread that handed it in waits on a lock of
its own, or gave a function to be called. When nothing else is under way, the thread that wants an operation starts it itself and waits a moment for
its completion: that saves two changes of thread, about half of what a put or get costs. What takes longer goes on in the I/O thread, and the wait for it
can be interrupted. `driving` is held by whoever uses the client.
"""
import collections
import multiprocessing.util
import os
import select
import socket
import sys
import threading
import time
from ctypes import byref, c_size_t, c_void_p
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple

from ._errors import CLOSED, OK, Closed, error_of
from ._library import Completion, lib, make_client
from ._ops import Item, Operation, Outbox, start_dones

DEFAULT_SERVER = "tcp://127.0.0.1:5510"
UPKEEP_MS = 250   # how long the I/O thread sleeps while nothing is under way
HOT_MS = 2        # and while it need not be woken for a done
IDLE_MS = 50      # what was got ahead and lies idle for so long goes back
CALL_WAIT_MS = 10 # so long a thread waits for its operation by itself
CROWDED_SECONDS = 1.0
CLOSE_SECONDS = 10.0  # for what was put with confirm='flush', and for dones, when the process ends


def _timeout_ms() -> int:
    """The longest time without the broker; NETQUEUE_TIMEOUT, in seconds."""
    text = os.environ.get("NETQUEUE_TIMEOUT", "30")
    try:
        seconds = float(text)
        if seconds > 0:
            return max(1, int(seconds * 1000))
    except (ValueError, OverflowError):
        pass
    raise ValueError("NETQUEUE_TIMEOUT: %r is not a number of seconds" % text)


def _client_name() -> bytes:
    program = os.path.basename(sys.argv[0] or "python") if getattr(sys, "argv", None) else "python"
    return ("%s:%s:%d" % (socket.gethostname(), program, os.getpid())).encode()[:128]


class Hub:
    """All operations of this process on one broker."""

    def __init__(self, server: str) -> None:
        self.server = server
        servers = [part.encode() for part in server.split(",") if part]
        self.client, failure = make_client(servers, _timeout_ms(), _client_name())
        if failure:
            raise ValueError("netqueue server %r: %s" % (server, failure[1]))
        self.inbox: Deque[Any] = collections.deque()
        self.urgent = False  # there is more in it than dones
        self.running: Dict[int, Operation] = {}  # by the number of the request
        self.stocks: Set[Any] = set()            # of items that were got ahead
        self.stocks_due = 0.0
        self.outboxes: List[Any] = []                 # with puts that are not confirmed
        self.lanes: Dict[bytes, List[int]] = {}       # by queue, while it is put to: the next new one, and above it those that are free again
        self.lost = 0        # dones whose lease was lost
        self.wake_waiters = True
        self.closing: Optional[float] = None  # until when what is under way may end
        self.closed = False
        self.asleep = False
        self.driving: Any = threading.RLock()  # held once; it knows its owner, so that an interrupted thread knows whether it is
        self.completion = Completion()         # for who drives
        self.room: Tuple[int, Any, Any] = (0, None, None)  # for addresses and lengths of bodies, for who drives
        self.calls = self.calls_seen = 0  # operations run by the threads that wanted them, and dones told by the I/O thread
        self.hot = False     # the I/O thread looks at the inbox every HOT_MS: it need not be woken for a done
        self.waiting_call = False  # a thread waits for its own operation
        self.crowded_until = 0.0   # several threads are at work: they do better by the I/O thread
        self.wake_reader, self.wake_writer = os.pipe()
        for end in (self.wake_reader, self.wake_writer):
            os.set_blocking(end, False)
        self.thread = threading.Thread(target=self._main, name="netqueue-io", daemon=True)
        self.thread.start()

    # ------------------------------------------------------------------------------------------------ any thread

    def submit(self, operation: Any) -> None:
        """An Operation to be started, an Item that is done, or a function to be called in the I/O thread."""
        self.inbox.append(operation)
        if type(operation) is Item:
            if self.hot:
                return  # it goes along with the next call, or within HOT_MS
        else:
            self.urgent = True
        if self.waiting_call:
            self.crowded_until = time.monotonic() + CROWDED_SECONDS
            lib.nq_interrupt(self.client)
        if self.asleep:
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self.wake_writer, b"w")
        except BlockingIOError:  # it will wake up as it is
            pass

    def run(self, operation: Operation) -> Operation:
        """Start it and wait until it has ended."""
        if self.closed:
            self._refuse(operation)
        if threading.get_ident() == self.thread.ident or self.driving._is_owned():
            raise RuntimeError("netqueue: a queue was used in a destructor, while this thread was using the connection")
        try:
            if not self._start_here(operation):
                operation.signal = threading.Lock()
                operation.signal.acquire()
                self.submit(operation)
                if self.closed and not operation.ended:  # it was closed meanwhile: nobody will look at the inbox any more
                    self._refuse(operation)
            if operation.signal is not None:
                operation.signal.acquire()
        except BaseException:  # KeyboardInterrupt: nobody will take what it brings
            self._let_go(operation)  # it may have come while just that was done
            self.abandon(operation)
            raise
        return operation

    def _start_here(self, operation: Operation) -> bool:
        """Start it in this thread, and wait a moment. False: others are at work, and nothing has happened."""
        if time.monotonic() < self.crowded_until:
            return False
        try:
            if not self.driving.acquire(False):
                return False
            done = self._waiting_dones()
            if done is None or self.running or self.outboxes or self.closing is not None or self.closed:
                return False
            self.calls += 1
            if done:
                start_dones(self, done, quietly=True)
                for _ in done:
                    self.inbox.popleft()
            self.begin(operation)
            self._await(operation)
            return True
        finally:
            self._let_go(operation)

    def _let_go(self, operation: Operation) -> None:
        """The I/O thread goes on with it, if it has not ended."""
        if self.driving._is_owned():
            self.waiting_call = False
            request, self.completion.request = self.completion.request, 0
            if request:  # it was interrupted while it took what had come
                self._take(self.completion, request)
            if operation.request and not operation.ended:
                self._hand_over(operation)
            self.driving.release()

    def _await(self, operation: Operation) -> None:
        self.waiting_call = True
        try:
            completion, here = self.completion, byref(self.completion)
            while not operation.ended:
                wait_ms = 0 if self.urgent else CALL_WAIT_MS  # who handed that in may not have seen that we wait
                if lib.nq_wait_completion(self.client, wait_ms, here) != OK:
                    return
                self._take(completion, completion.request)
        finally:
            self.waiting_call = False

    def _hand_over(self, operation: Operation) -> None:
        operation.signal = threading.Lock()
        operation.signal.acquire()
        self._wake()

    def _waiting_dones(self) -> Optional[List[Item]]:
        """What the inbox holds, if that is nothing but items that are done. They stay in it: one that was started counts no more."""
        done: List[Any] = list(self.inbox)
        return None if any(type(entry) is not Item for entry in done) else done

    def _refuse(self, operation: Operation) -> None:
        _end_with_the_process()
        raise error_of(CLOSED, operation.what)

    def start(self, operation: Operation, when_ended: Callable[[Operation], None]) -> Operation:
        """Start it; `when_ended` is called in the I/O thread."""
        if self.closed:
            raise error_of(CLOSED, operation.what)
        operation.when_ended = when_ended
        self.submit(operation)
        if self.closed and not operation.ended:  # as in run()
            self._refuse(operation)
        return operation

    def abandon(self, operation: Operation) -> None:
        """End it if it has not ended; items that it has brought, or still brings, go back uncounted."""
        self.submit(lambda: operation.cancel(self))

    # --------------------------------------------------------------------------------------------- the I/O thread

    def _main(self) -> None:
        self.both, self.wakes = select.poll(), select.poll()
        self.both.register(lib.nq_client_fd(self.client), select.POLLIN)
        for poll in (self.both, self.wakes):
            poll.register(self.wake_reader, select.POLLIN)
        try:
            self.driving.acquire()
            while self._drive():
                self.driving.release()
                self._rest()
                self.driving.acquire()
        finally:  # also when something went wrong: nobody may wait for ever
            if not self.driving._is_owned():
                self.driving.acquire()
            if self.closing is None:
                self.closing = 0.0
            self.closed = True
            lib.nq_client_destroy(byref(self.client))
            self.driving.release()
            self._drop_rest()
            os.close(self.wake_reader)
            os.close(self.wake_writer)

    def _drive(self) -> bool:
        """Until nothing is under way. False: it is time to close."""
        client, process = self.client, lib.nq_client_process
        while True:
            self._look_after_stocks()
            self._drain_inbox()
            process(client)
            if self._collect() or self.urgent:
                continue
            if self.closing is not None and self._may_close():
                return False
            if not self.running and not self.outboxes and self.closing is None:  # dones that wait for a moment do so in _rest
                return True
            timeout_ms = lib.nq_client_timeout_ms(client)
            if self.closing is not None:
                timeout_ms = min(timeout_ms, 50)
            self._sleep(self.both, None if timeout_ms > 3600000 else timeout_ms)

    def _rest(self) -> None:
        """Until there is something to do: handed in, or upkeep. Others may use the client meanwhile."""
        until = time.monotonic() + UPKEEP_MS / 1000
        while time.monotonic() < until and not self._sleep(self.wakes, UPKEEP_MS) and not self.inbox:
            self._look_after_stocks()

    def _look_after_stocks(self) -> None:
        now = time.monotonic()
        if self.stocks and now >= self.stocks_due:
            self.stocks_due = now + IDLE_MS / 1000
            for stock in list(self.stocks):
                self.stocks.discard(stock)  # first: a thread that fills it meanwhile adds it anew
                if not stock.give_back_idle():
                    self.stocks.add(stock)

    def _sleep(self, poll: Any, timeout_ms: Optional[int]) -> bool:
        """True: woken by who handed in something."""
        woken = False
        self.hot, self.calls_seen = self.calls != self.calls_seen, self.calls
        for soon, some_ms in ((self.hot, HOT_MS), (self.stocks, IDLE_MS)):
            if soon and (timeout_ms is None or timeout_ms > some_ms):
                timeout_ms = some_ms
        self.asleep = True
        # Who hands in something now sees `asleep`, and what it was before, we see here. Dones of a hot moment wait for the moment's end.
        if not self.urgent and (self.hot or not self.inbox):
            for fd, _ in poll.poll(timeout_ms):
                if fd == self.wake_reader:
                    self.asleep = False
                    os.read(self.wake_reader, 65536)
                    woken = True
        self.asleep = False
        self.hot = False  # before the inbox is looked at: a done that was not told of is in it by now
        return woken

    def _drain_inbox(self) -> None:
        self.urgent = False
        inbox = self.inbox
        done: List[Item] = []
        for _ in range(len(inbox)):
            entry = inbox.popleft()
            if type(entry) is Item:
                done.append(entry)
                continue
            if done:  # in the order in which they were said
                start_dones(self, done)
                done = []
            if isinstance(entry, Operation):
                self.begin(entry)
            else:
                entry()
        if done:
            self.calls += 1
            start_dones(self, done)

    def begin(self, operation: Operation) -> None:
        if operation.abandoned:
            return
        try:
            request = operation.start(self)
        except Exception as error:  # this thread has others to serve
            operation.fail(self, error)
            return
        if request:
            operation.request = request
            self.running[request] = operation
        else:
            operation.end(self, operation.refusal(self))

    def _collect(self) -> bool:
        some = False
        completion = self.completion
        while lib.nq_next_completion(self.client, byref(completion)) == OK:
            some = True
            self._take(completion, completion.request)
        return some

    def _take(self, completion: Completion, request: int) -> None:
        operation = self.running.get(request)
        if operation is not None:
            operation.complete(self, completion)
            self.running.pop(request, None)
        elif completion.items_count:  # of a get whose caller was interrupted before he knew its number
            pointers, completion.items_count = completion.items[:completion.items_count], 0
            for pointer in pointers:
                self.give_back(pointer)
            lib.nq_free(completion.items)
        elif completion.status:  # of dones that went along with a call
            self.lost += 1
        completion.request = 0

    def arrays(self, count: int) -> Tuple[Any, Any]:
        """For addresses and lengths of so many bodies."""
        size, bodies, lens = self.room
        if size < count:
            size = max(16, 2 * size, count)
            bodies, lens = (c_void_p * size)(), (c_size_t * size)()
            self.room = size, bodies, lens
        return bodies, lens

    def take_lane(self, queue: bytes) -> int:
        lanes = self.lanes.setdefault(queue, [1])
        if len(lanes) > 1:
            return lanes.pop()
        lanes[0] += 1
        return lanes[0] - 1

    def free_lane(self, queue: bytes, lane: int) -> None:
        lanes = self.lanes[queue]
        lanes.append(lane)
        if len(lanes) == lanes[0]:  # none is used: it begins with 1 again, and nothing is kept of a queue that is no more
            del self.lanes[queue]

    def give_back(self, pointer: int) -> None:
        """Uncounted, with the next request."""
        lib.nq_item_destroy(byref(c_void_p(pointer)))

    # ----------------------------------------------------------------------------------------------------- the end

    def close(self, wake_waiters: bool) -> None:
        """Confirm what was put with confirm='flush' and what was done, end the session, give back what is held."""
        if self.closing is None:
            self.wake_waiters = wake_waiters
            self.closing = time.monotonic() + CLOSE_SECONDS
            self.submit(bool)  # so that it looks
        if threading.current_thread() is not self.thread:
            self.thread.join(CLOSE_SECONDS + 5)

    def _may_close(self) -> bool:
        if time.monotonic() > (self.closing or 0):
            return True
        return not self.outboxes and not any(operation.must_end and not operation.abandoned for operation in self.running.values())

    def _drop_rest(self) -> None:
        left = list(self.inbox)
        rest = list(self.running.values()) + [entry for entry in left if isinstance(entry, Operation)]
        self.running.clear()
        self.inbox.clear()
        owners = [getattr(entry, "__self__", None) for entry in left]
        for outbox in self.outboxes + [owner for owner in owners if isinstance(owner, Outbox)]:  # the latter were not looked at any more
            outbox.fail(CLOSED, "netqueue was closed")
        if self.wake_waiters:  # not at the end of the process: threads that still wait are to end with it, silently
            for operation in rest:
                operation.end(self, CLOSED)


# ------------------------------------------------------------------------------------------------------- all hubs

_hubs: Dict[str, Hub] = {}
_hubs_lock = threading.Lock()
_at_exit = False
_of_parents: List[Hub] = []  # kept for ever: a child must not touch them, not even to free them
forks = 0                    # how often this process may have handed its queues to children
after_fork_in_child: List[Callable[[], None]] = []


def find_hub(server: Optional[str]) -> Hub:
    """The hub for this server (None: NETQUEUE_SERVER, else the default), made when there is none."""
    name = resolve_server(server)
    hub = _hubs.get(name)
    if hub is not None and hub.closing is None:
        return hub
    if _at_exit:
        _end_with_the_process()
        raise Closed("netqueue: the process is ending")
    with _hubs_lock:
        hub = _hubs.get(name)
        if hub is None or hub.closing is not None:
            hub = _hubs[name] = Hub(name)
            if len(_hubs) == 1:
                # Runs after the children of multiprocessing have been waited for, in children of it, too.
                multiprocessing.util.Finalize(None, _close_at_exit, exitpriority=-10)
        return hub


def _end_with_the_process() -> None:
    """A daemon thread that comes along while the process ends, ends with it, as in any other wait."""
    if _at_exit and threading.current_thread().daemon:
        threading.Event().wait()


def resolve_server(server: Optional[str]) -> str:
    return server or os.environ.get("NETQUEUE_SERVER") or DEFAULT_SERVER


def close(server: Optional[str] = None) -> None:
    """End this process's connection with one broker (or all): what was put with confirm='flush' and what was done is confirmed, what is held
    goes back, threads that wait get netqueue.Closed. Queues can be used again afterwards."""
    name = resolve_server(server) if server else None
    with _hubs_lock:
        chosen = [key for key in _hubs if name is None or key == name]
        hubs = [_hubs.pop(key) for key in chosen]
    for hub in hubs:
        hub.close(wake_waiters=True)


def _close_at_exit() -> None:
    global _at_exit
    _at_exit = True
    for hub in list(_hubs.values()):
        hub.close(wake_waiters=False)


def _before_fork() -> None:
    global forks
    forks += 1


def _after_fork_in_child() -> None:
    global _hubs_lock
    for hub in _hubs.values():
        hub.closed, hub.asleep, hub.closing = True, False, 0.0
        _of_parents.append(hub)
    _hubs.clear()
    _hubs_lock = threading.Lock()
    for function in after_fork_in_child:
        function()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
