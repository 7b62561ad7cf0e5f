"""A complete small client of netqueue's protocol, written from proto/PROTOCOL.md and proto/netqueue.proto alone.

It keeps the rules a client must keep (ids that rise and are never used again, streams numbered from 1, what is unanswered sent again with
the same ids after a resume) and lets a test break them on purpose: drop the connection, lose an answer that has arrived, send any bytes.
One thread, no magic: call() sends one request and waits; send() and wait() are its halves.
"""
import collections
import enum
import os
import random
import threading
import time

import zmq

from .protocol import messages

VERSION = 1
WAIT_FOREVER = 2 ** 64 - 1
SILENCE = 20  # seconds without a word of the broker after which a client that rides connects anew
NOT_RESENT = ("purge", "delete", "shutdown", "redrive", "backup")  # end OUTCOME_UNKNOWN when the connection was lost after they were sent


class Status(enum.IntEnum):
    OK = 0
    FULL = 1
    EMPTY = 2
    SHUT_DOWN = 3
    TIMED_OUT = 4
    NO_SUCH_QUEUE = 5
    TOO_LARGE = 6
    BUSY = 7
    NO_SPACE = 8
    OUT_OF_SEQUENCE = 9
    STREAM_UNKNOWN = 10
    OUTCOME_UNKNOWN = 11
    LEASE_LOST = 12
    NOT_LEASED = 13
    DIFFERENT_OPTIONS = 14
    BAD_NAME = 15
    BAD_REQUEST = 16
    LIMIT_REACHED = 17
    NO_SESSION = 18
    NOT_AUTHORISED = 19
    STORAGE_FAILED = 20
    UNREACHABLE = 21
    UNSUPPORTED_VERSION = 22
    NO_MEMORY = 23
    CLOSED = 24
    CANCELLED = 25
    BAD_DEAD_LETTER = 26
    DAMAGED = 27
    BAD_CONFIG = 28
    INTERRUPTED = 29


OPTION_BITS = {"maxsize": 1, "max_bytes": 2, "lease_ms": 4, "hold_max_ms": 8, "max_deliveries": 16, "dead_letter": 32, "ttl_ms": 64, "temporary": 128}

Item = collections.namedtuple("Item", "get_id queue_id epoch seq delivery body headers failures redelivered lease_ms hold_max_ms")


def as_bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def encode_headers(pairs):
    """One item's headers, [(name, value), ...], as they stand in Put.headers."""
    return messages().HeaderList(names=[as_bytes(n) for n, _ in pairs], values=[as_bytes(v) for _, v in pairs]).SerializeToString()


def decode_headers(data):
    found = messages().HeaderList.FromString(data)
    return list(zip(found.names, found.values))


def items_of(reply):
    """The items of a get's answer."""
    got = reply.get
    count = len(got.seqs)
    assert len(got.bodies) == count, "bodies and seqs of one answer differ in number"
    for name in ("headers", "deliveries", "failures", "redelivered"):
        assert len(getattr(got, name)) in (0, count), "%s is neither empty nor parallel" % name
    return [Item(reply.id, got.queue_id, got.epoch, got.seqs[i], got.deliveries[i] if got.deliveries else 1, got.bodies[i],
                 decode_headers(got.headers[i]) if got.headers else [], got.failures[i] if got.failures else 0,
                 got.redelivered[i] if got.redelivered else False, got.lease_ms, got.hold_max_ms) for i in range(count)]


def token_statuses(reply, count):
    """The status of each token of a task_done, extend or requeue."""
    return [Status(s) for s in reply.tokens.statuses] or [Status(reply.status)] * count


class NoAnswer(AssertionError):
    pass


class Client:
    def __init__(self, endpoint, timeout=20.0, name=b"nqlab", hello=True, workers=0, receive_limit=1000, riding=False, curve=None):
        self.pb = messages()
        self.endpoint, self.timeout, self.name, self.workers = endpoint, timeout, name, workers
        self.riding = False            # lost connections are expected: see ride(). Not of the first: there is nothing to go back to
        self.receive_limit = receive_limit  # messages that libzmq takes in before they are asked for
        self.curve = curve             # (public key, secret key, the broker's public key), as text; None: in clear
        self.session_id, self.resume_token, self.store_id = os.urandom(16), b"", b""
        self.last_id = 0
        self.pending = {}              # id -> (Request, deadline of its own wait or None)
        self.answers = {}              # id -> Reply
        self.held = {}                 # id of a get -> {(queue_id, epoch, seq, delivery)}
        self.streams = {}              # queue -> [stream, last number used]
        self.taken = []                # (get id, count) for the next frame
        self.asked = {}                # as pending, of those that were answered last: only when riding
        self.own_renewals = set()      # ids of renewals that nobody waits for
        self.surprises = []            # answers to nothing that was asked
        self.probes = 0
        self.reconnects = 0
        self.hello_reply = None
        self.last_sent = self.last_heard = 0.0
        self.socket = None
        self.connect()
        if hello:
            self.hello()
        self.riding = riding

    # ------------------------------------------------------------------------------------------- connection

    def connect(self):
        """A new connection. The broker knows nothing of it before HELLO."""
        self.drop()
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for a connection that does not exist
        self.socket.setsockopt(zmq.RCVHWM, self.receive_limit)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        if self.curve is not None:
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = self.curve
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.lost = False
        self.last_heard = time.monotonic()
        self.socket.connect(self.endpoint)

    def drop(self):
        """The connection is gone: no GOODBYE, answers under way are lost."""
        if self.socket is not None:
            self.socket.disable_monitor()
            self.monitor.close(linger=0)
            self.socket.close(linger=0)
            self.socket = None

    def connection_was_lost(self):
        while self.monitor.poll(0):
            self.monitor.recv_multipart()
            self.lost = True
        return self.lost

    def hello(self, waiting=None, held=None, expect=Status.OK, timeout=None):
        """Open the session, or take it up again when there is a resume token."""
        waiting = [i for i, (request, _) in self.pending.items() if request.WhichOneof("op") == "get"] if waiting is None else waiting
        held = [i for i, tokens in self.held.items() if tokens] if held is None else held
        reply = self.call("hello", session_id=self.session_id, resume_token=self.resume_token, waiting_gets=waiting, held_gets=held,
                          client_name=self.name, timeout=timeout)
        if expect is not None and reply.status != expect:
            raise AssertionError("HELLO: %s %s" % (Status(reply.status).name, reply.detail))
        if reply.status == Status.OK:
            self.hello_reply = reply.hello
            if self.resume_token and not reply.hello.resumed:
                self.held.clear()  # no session: no leases
            self.resume_token = reply.hello.resume_token
            self.store_id = reply.hello.store_id
        return reply

    def greet(self):
        """HELLO on a connection that may be slow to come up: not before it has. One of several tries within the time-out."""
        seconds = min(20, int(self.timeout / 12))
        if not self.socket.poll(seconds * 1000, zmq.POLLOUT):
            raise NoAnswer("the broker is away")
        return self.hello(timeout=seconds)

    def reconnect(self, resend=True, waiting=None, held=None):
        """What a client does after a lost connection: HELLO with the token, then all that is unanswered, with the same ids."""
        self.reconnects += 1
        old_store = self.store_id
        self.connect()
        reply = self.hello(waiting, held)
        if reply.hello.store_id != old_store:
            for request_id, (request, _) in list(self.pending.items()):
                self._fail(request_id, Status.OUTCOME_UNKNOWN)
        elif resend:
            self.resend()
        return reply.hello

    def resend(self):
        again = []
        for request_id, (request, deadline) in sorted(self.pending.items()):
            op = request.WhichOneof("op")
            if op in NOT_RESENT:
                self._fail(request_id, Status.OUTCOME_UNKNOWN)
                continue
            if op in ("hello", "renew"):
                self.pending.pop(request_id)
                continue
            if deadline is not None:
                getattr(request, op).wait_ms = max(0, int((deadline - time.monotonic()) * 1000))
            again.append(request)
        if again:
            self.send_frame(again)

    def _fail(self, request_id, status):
        self.pending.pop(request_id)
        self.answers[request_id] = self.pb.Reply(id=request_id, status=status)

    def goodbye(self):
        if self.socket is not None:
            try:
                self.call("goodbye")
            finally:
                self.held.clear()
                self.drop()

    # ------------------------------------------------------------------------------------------- requests

    def new_id(self):
        self.last_id += 1
        return self.last_id

    def make(self, op, **fields):
        """A Request with the next id. Field values: str become bytes."""
        request = self.pb.Request(id=self.new_id())
        part = getattr(request, op)
        part.SetInParent()
        for name, value in fields.items():
            kind = part.DESCRIPTOR.fields_by_name[name]
            if kind.label == kind.LABEL_REPEATED:
                getattr(part, name).extend(value)
            elif kind.message_type is not None:
                getattr(part, name).CopyFrom(value)
            else:
                setattr(part, name, as_bytes(value) if kind.type == kind.TYPE_BYTES else value)
        return request

    def send_frame(self, requests, version=VERSION):
        frame = self.pb.ClientFrame(version=version, workers=self.workers)
        frame.requests.extend(requests)
        for get_id, count in self.taken:
            frame.taken_gets.append(get_id)
            frame.taken_counts.append(count)
        self.taken = []
        for request in requests:
            if request.id not in self.pending:
                op = request.WhichOneof("op")
                wait = getattr(getattr(request, op), "wait_ms", 0) if op in ("put", "get", "join") else 0
                deadline = time.monotonic() + wait / 1000 if 0 < wait < WAIT_FOREVER else None
                self.pending[request.id] = (request, deadline)
        self.send_bytes(frame.SerializeToString())

    def send_bytes(self, data):
        self.last_sent = time.monotonic()
        if self.riding and self.connection_was_lost():
            return  # it goes with the others after the next HELLO
        try:
            self.socket.sndtimeo = 100 if self.riding else int(self.timeout * 1000)
            self.socket.send(data)
        except zmq.Again:
            if not self.riding:
                raise NoAnswer("no connection to %s" % self.endpoint) from None
            self.lost = True

    def send(self, op, **fields):
        """Send one request; its id."""
        request = self.make(op, **fields)
        self.send_frame([request])
        return request.id

    def call(self, op, timeout=None, **fields):
        request_id = self.send(op, **fields)
        return self.wait(request_id, timeout)

    def pump(self, seconds):
        """Take in what arrives within `seconds`; True when something did."""
        if not self.socket.poll(max(0, int(seconds * 1000))):
            return False
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return True
            assert len(parts) == 1, "a message of %d frames" % len(parts)
            self.take_frame(self.pb.BrokerFrame.FromString(parts[0]))

    def take_frame(self, frame):
        assert frame.version == VERSION, "a frame of version %d" % frame.version
        self.last_heard = time.monotonic()
        self.probes += 1 if frame.probe else 0
        for reply in frame.replies:
            if reply.id not in self.pending:
                self.surprises.append(reply)
                continue
            request, _ = self.asked[reply.id] = self.pending.pop(reply.id)
            if len(self.asked) > 100:
                del self.asked[next(iter(self.asked))]
            if reply.id in self.own_renewals:
                self.own_renewals.discard(reply.id)
                self.lost |= self.riding and reply.status == Status.NO_SESSION  # HELLO, then all that waits again
                continue
            self.answers[reply.id] = reply
            if request.WhichOneof("op") == "get" and reply.status == Status.OK and not request.get.at_most_once:
                self.held[reply.id] = {(i.queue_id, i.epoch, i.seq, i.delivery) for i in items_of(reply)}

    def wait(self, request_id, timeout=None):
        """The answer to this request."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while request_id not in self.answers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoAnswer("no answer to request %d: %s" % (request_id, str(self.pending.get(request_id))[:300]))
            self.keep_alive()
            self.pump(min(left, 0.5))
        return self.answers.pop(request_id)

    def keep_alive(self):
        """A client that waits or holds leases shows every session_timeout / 3 that it lives."""
        if self.hello_reply is not None and (self.pending or self.held):
            if time.monotonic() - self.last_sent > self.hello_reply.limits.session_timeout_ms / 3000:
                self.own_renewals.add(self.send("renew", session_id=self.session_id, resume_token=self.resume_token))

    def lose_answer(self, request_id, timeout=None):
        """The answer has been sent, and gets lost: wait for it, then forget it. Follow with drop()."""
        request = self.pending[request_id]
        self.wait(request_id, timeout)
        self.held.pop(request_id, None)
        self.pending[request_id] = request

    def answered(self, request_id, seconds=0.0):
        """Has this one been answered (within `seconds`)?"""
        deadline = time.monotonic() + seconds
        while request_id not in self.answers:
            self.pump(max(0.0, min(0.2, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                break
        return request_id in self.answers

    # ------------------------------------------------------------------------------------------- items

    def stream(self, queue):
        """[stream, last number] of this client's puts into the queue."""
        return self.streams.setdefault(as_bytes(queue), [random.SystemRandom().randrange(1, 2 ** 64), 0])

    def make_put(self, queue, bodies, wait_ms=0, headers=None, **more):
        """A put of the next numbers of the stream; the numbers count as used whatever becomes of it."""
        stream = self.stream(queue)
        bodies = [as_bytes(body) for body in bodies]
        more.setdefault("stream", stream[0])
        more.setdefault("first_number", stream[1] + 1)
        if headers is not None:
            more["headers"] = [encode_headers(pairs) if not isinstance(pairs, bytes) else pairs for pairs in headers]
        request = self.make("put", queue=queue, bodies=bodies, wait_ms=wait_ms, **more)
        if more["stream"] == stream[0]:
            stream[1] = max(stream[1], more["first_number"] + len(bodies) - 1)
        return request

    def send_put(self, queue, *bodies, **more):
        request = self.make_put(queue, bodies, **more)
        self.send_frame([request])
        return request.id

    def end_put(self, queue, request_id, timeout=None):
        """Wait for the put's answer; numbers that were refused are used again by the next put."""
        reply = self.wait(request_id, timeout)
        if reply.status != Status.OK and reply.HasField("put"):
            self.stream(queue)[1] = reply.put.last_number
        return reply

    def put(self, queue, *bodies, timeout=None, **more):
        """Put and wait for the answer. A stream that was forgotten, with nothing unanswered, is begun anew."""
        before = self.stream(queue)[1]
        reply = self.end_put(queue, self.send_put(queue, *bodies, **more), timeout)
        if reply.status == Status.STREAM_UNKNOWN and "stream" not in more:
            del self.streams[as_bytes(queue)]
            before = 0
            reply = self.end_put(queue, self.send_put(queue, *bodies, **more), timeout)
        if reply.status != Status.OK and not reply.HasField("put"):
            self.stream(queue)[1] = before
        return reply

    def get(self, queue, max_items=1, timeout=None, **more):
        """(status, items)"""
        return self.end_get(self.send("get", queue=queue, max_items=max_items, **more), timeout)

    def end_get(self, request_id, timeout=None):
        reply = self.wait(request_id, timeout)
        return Status(reply.status), items_of(reply) if reply.status == Status.OK else []

    def get_one(self, queue, **more):
        status, items = self.get(queue, 1, **more)
        assert status == Status.OK and len(items) == 1, "get of %s: %s, %d items" % (queue, status.name, len(items))
        return items[0]

    def token_request(self, op, items, **more):
        assert len({(i.queue_id, i.epoch) for i in items}) == 1, "tokens of one request are of one queue and epoch"
        return self.make(op, queue_id=items[0].queue_id, epoch=items[0].epoch, seqs=[i.seq for i in items],
                         deliveries=[i.delivery for i in items] if any(i.delivery != 1 for i in items) else [], **more)

    def _tokens(self, op, items, **more):
        request = self.token_request(op, items, **more)
        self.send_frame([request])
        reply = self.wait(request.id)
        if op != "extend":
            for item in items:
                self.held.get(item.get_id, set()).discard((item.queue_id, item.epoch, item.seq, item.delivery))
        return reply

    def task_done(self, *items):
        return self._tokens("task_done", items)

    def requeue(self, *items, **more):
        return self._tokens("requeue", items, **more)

    def extend(self, *items, **more):
        return self._tokens("extend", items, **more)

    # ------------------------------------------------------------------------------------------- queues

    def declare(self, queue, initial=0, update=False, **options):
        """(Reply); options as in QueueOptions, only those named are given."""
        given = sum(OPTION_BITS[name] for name in options)
        values = {name: as_bytes(value) if name == "dead_letter" else value for name, value in options.items()}
        return self.call("declare", queue=queue, options=self.pb.QueueOptions(given=given, **values), initial=initial, update=update)

    def stat(self, queue):
        reply = self.call("stat", queue=queue)
        assert reply.status == Status.OK, "stat of %s: %s" % (queue, Status(reply.status).name)
        return reply.stat

    def list_all(self, page=0):
        found, after = [], b""
        while True:
            reply = self.call("list", after=after, max=page)
            assert reply.status == Status.OK
            found += reply.list.queues
            if not reply.list.more:
                return found
            after = reply.list.queues[-1].name

    def join(self, queue, wait_ms=WAIT_FOREVER, timeout=None):
        return Status(self.call("join", queue=queue, wait_ms=wait_ms, timeout=timeout).status)

    # ------------------------------------------------------------------------------------------- riding through

    def ride(self, request_id, timeout):
        """As wait(), but over lost connections and broker restarts."""
        began = time.monotonic()
        deadline = began + timeout
        while True:
            while self.pump(0.05) or not (self.connection_was_lost() or self.is_silent(began)):
                if request_id in self.answers:
                    reply, request = self.answers.pop(request_id), self.asked.get(request_id)
                    if reply.status != Status.NO_SESSION or request is None:
                        return reply
                    self.pending[request_id] = request  # it came on a connection without HELLO: HELLO, then again
                    break
                if time.monotonic() > deadline:
                    raise NoAnswer("no answer to request %d in %.0f s of riding" % (request_id, timeout))
                self.keep_alive()
            self._reconnect_until(deadline)

    def is_silent(self, since):
        """Nothing is heard, though keep_alive() asks again and again: after some cuts TCP waits for a minute before it tries once more."""
        return time.monotonic() - max(since, self.last_heard) > max(SILENCE, self.hello_reply.limits.session_timeout_ms / 1000)

    def _reconnect_until(self, deadline):
        while True:
            old_store, self.reconnects = self.store_id, self.reconnects + 1
            for request_id in [i for i, (r, _) in self.pending.items() if r.WhichOneof("op") in ("hello", "renew")]:
                self.pending.pop(request_id)
            self.connect()
            try:
                reply = self.greet()
            except NoAnswer:
                if time.monotonic() > deadline:
                    raise
                continue
            assert reply.hello.store_id == old_store, "another store"
            self.resend()
            return


class Keeper(threading.Thread):
    """Renews a session's leases from a connection of its own, as a library's keeper thread does."""

    def __init__(self, client, interval):
        super().__init__(daemon=True)
        self.client, self.interval, self.stopped, self.statuses = client, interval, threading.Event(), []

    def run(self):
        line = Client(self.client.endpoint, hello=False)
        while not self.stopped.wait(self.interval):
            try:
                reply = line.call("renew", session_id=self.client.session_id, resume_token=self.client.resume_token, timeout=5)
                self.statuses.append(Status(reply.status))
            except NoAnswer:
                line.connect()
        line.drop()

    def stop(self):
        self.stopped.set()
        self.join()
