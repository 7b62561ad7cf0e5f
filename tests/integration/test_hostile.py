"""Hostile peers: whatever they send, the broker goes on serving a well-behaved client, and its memory stays within a stated bound.

What libzmq gives no means against (messages of endless parts, reserved routing ids, floods of connections) ends or fills the process
within its limits, and a start as by a supervisor loses nothing accepted. SECURITY.md names these.
"""
import os
import random
import resource
import signal
import struct
import sys
import threading

sys.dont_write_bytecode = True
from nqlab import Client, Skip, Status, check, check_equal, main, scenario, until
from nqlab import zmtp
from nqlab.zmtp import COMMAND, LONG, MORE, Peer

MEBI = 1024 * 1024
MEMORY_MAX = 128 * MEBI  # of the broker's own (RssAnon), whatever one peer sends


class Neighbour:
    """A client that minds its own business: put, get, task_done, over and over, each checked, as long as the block runs."""

    def __init__(self, broker, memory_max=MEMORY_MAX):
        self.broker, self.memory_max = broker, memory_max
        self.cycles, self.trouble, self.over = 0, None, False
        self.client = Client(broker.endpoint, timeout=20 * broker.lab.slow)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        try:
            while not self.over:
                body = b"%d" % self.cycles
                check_equal(self.client.put("neighbour", body).status, Status.OK, "the neighbour's put")
                item = self.client.get_one("neighbour", wait_ms=10000)
                check_equal(item.body, body, "the neighbour's get")
                check_equal(self.client.task_done(item).status, Status.OK, "the neighbour's task_done")
                self.cycles += 1
        except Exception as error:  # whatever it is, the scenario fails of it
            self.trouble = error

    def await_cycles(self, count):
        wanted = self.cycles + count
        until(lambda: self.trouble or self.cycles >= wanted, 20 * self.broker.lab.slow, "the neighbour is served")
        if self.trouble:
            raise AssertionError("the neighbour was not served: %s" % self.trouble)

    def __enter__(self):
        self.thread.start()
        self.await_cycles(1)
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.await_cycles(3)  # also after all that
        self.over = True
        self.thread.join(30)
        self.client.drop()
        if kind is None:
            memory_is_bounded(self.broker, self.memory_max)


def memory_is_bounded(broker, most=MEMORY_MAX):
    used = broker.status_value("RssAnon")
    broker.lab.note("RssAnon %.1f MiB" % (used / MEBI))
    check(broker.lab.sanitizer or used < most, "RssAnon is %.1f MiB, %d are the most", used / MEBI, most // MEBI)


def descriptors(broker):
    return len(os.listdir("/proc/%d/fd" % broker.pid))


# ------------------------------------------------------------------------------------------------------------------ below the frames


@scenario
def greetings(lab):
    """other versions, mechanisms and signatures of ZMTP, and what is no ZMTP at all: such a connection ends, no other"""
    broker = lab.broker()
    noise = random.Random(lab.seed)
    with Neighbour(broker):
        before = descriptors(broker)
        peers = []
        for data in (
                zmtp.greeting(major=0), zmtp.greeting(major=1), zmtp.greeting(major=2), zmtp.greeting(major=4), zmtp.greeting(major=255, minor=255),
                zmtp.greeting(mechanism=b"PLAIN"), zmtp.greeting(mechanism=b"CURVE", as_server=1), zmtp.greeting(mechanism=b"GSSAPI"),
                zmtp.greeting(mechanism=b"\xff" * 20), zmtp.greeting(signature=b"\0" * 10), zmtp.greeting(signature=b"\x7f" * 10),
                b"\x01\0",  # ZMTP 1.0: a frame with an empty identity
                b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0",  # ZMTP 2.0: a DEALER without an identity
                b"\x05ident" + b"\x06\0hello" * 50, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + noise.randbytes(200),
                b"\0" * 1000, b"\xff" * 1000, noise.randbytes(10000), zmtp.greeting() + noise.randbytes(300)):
            peer = Peer(broker.endpoint)
            peer.send(data)
            peers.append(peer)
        for peer in peers:
            peer.close()
        until(lambda: descriptors(broker) <= before, 20 * lab.slow, "the connections are gone", 0.1)


@scenario
def half_greetings(lab):
    """200 greetings that never end are ended by the broker, after the 5 s that a handshake may take"""
    broker = lab.broker()
    with Neighbour(broker):
        before = descriptors(broker)
        peers = [Peer(broker.endpoint) for _ in range(200)]
        for number, peer in enumerate(peers):
            peer.send((zmtp.greeting() + zmtp.ready())[:number % 70])
        until(lambda: descriptors(broker) <= before, 30 * lab.slow, "the connections are ended", 0.2)
        check(all(peer.was_closed() for peer in peers), "a connection with half a greeting is still open")
        for peer in peers:
            peer.close()


@scenario
def socket_types(lab):
    """peers of all socket types; only DEALER, REQ and ROUTER are let in by libzmq, and none harms"""
    broker = lab.broker()
    with Neighbour(broker):
        for kind in (b"PAIR", b"PUB", b"SUB", b"REQ", b"REP", b"ROUTER", b"PULL", b"PUSH", b"XPUB", b"XSUB", b"STREAM", b"", b"no such", b"D" * 200):
            peer = Peer(broker.endpoint)
            peer.handshake(kind)
            peer.send(zmtp.frame(b"", MORE) + zmtp.frame(b"\x08\x01") + zmtp.frame(b"x" * 300))
            peer.send(zmtp.command(b"SUBSCRIBE", b"all") + zmtp.command(b"ERROR", b"\x05wrong") + zmtp.command(b"PING", b"\0\x0acontext"))
            peer.finish()


@scenario
def frames_that_lie(lab):
    """lengths over the limit, lengths that nothing follows, unknown flags, commands in the middle: that connection ends, or waits"""
    broker = lab.broker()
    with Neighbour(broker) as neighbour:
        limit = neighbour.client.hello_reply.limits.frame_bytes
        for length in (limit + 1, 2 ** 31, 2 ** 32, 2 ** 62, 2 ** 63, 2 ** 64 - 1):
            peer = Peer(broker.endpoint)
            peer.handshake()
            peer.send(zmtp.frame(b"x" * 1000, LONG, length))
            check(peer.was_closed(), "a frame that says it has %d bytes did not end its connection", length)
            peer.close()
        waiting = []
        for number in range(50):  # 400 MiB are announced, 50 KiB come
            peer = Peer(broker.endpoint)
            peer.handshake()
            peer.send(zmtp.frame(b"x" * 1000, LONG, limit))
            waiting.append(peer)
        for flags in range(8, 256, 8):
            peer = Peer(broker.endpoint)
            peer.handshake()
            peer.send(bytes([flags, 5]) + b"hello" + zmtp.frame(b"x", COMMAND) + zmtp.frame(b"", COMMAND) + zmtp.frame(b"\xffREADY", COMMAND | LONG))
            peer.close()
        peer = Peer(broker.endpoint)
        peer.handshake()
        peer.send(zmtp.frame(b"\x08\x01", MORE) + zmtp.command(b"PING", b"\0\0") + zmtp.frame(b"rest"))
        peer.send(zmtp.frame(b"y" * 5000)[:-1])  # and goes in the middle
        peer.close()
        neighbour.await_cycles(3)
        memory_is_bounded(broker)
        for peer in waiting:
            peer.close()


# ---------------------------------------------------------------------------------------------------------------------- the frames


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


@scenario
def bombs(lab):
    """frames that are small and want to be large, at the frame limit: dropped or refused, within the memory bound"""
    broker = lab.broker()
    with Neighbour(broker) as neighbour:
        limit = neighbour.client.hello_reply.limits.frame_bytes - 100
        version = b"\x08\x01"

        def request(body):
            return b"\x12" + varint(len(body)) + body

        def nested(depth):
            body = b""
            for _ in range(depth):
                body = b"\xfa\x01" + varint(len(body)) + body
            return body

        bomber = Peer(broker.endpoint)
        bomber.handshake()
        for what, data in (
                ("empty requests", version + b"\x12\x00" * (limit // 2)),
                ("requests with an id and no more", version + b"\x12\x02\x08\x05" * (limit // 4)),
                ("empty bodies", version + request(b"\x08\x05\x1a" + varint(limit - 40) + b"\x22\x00" * ((limit - 40) // 2))[:limit]),
                ("seqs of one byte", version + request(b"\x08\x05\x2a" + varint(limit - 60) + b"\x1a" + varint(limit - 80) + b"\x01" * (limit - 80))),
                ("seqs one by one", version + request(b"\x08\x05\x2a" + varint(limit // 2 * 2) + b"\x18\x01" * (limit // 2))),
                ("unknown fields", version + b"\x98\x06\x01" * (limit // 3)),
                ("unknown fields in a request", version + request(b"\x08\x05" + b"\x98\x06\x01" * (limit // 3 - 20))),
                ("unknown fields in each other", version + nested(2000)),
                ("groups that never end", version + b"\xa3\x06" * (limit // 2)),
                ("a length of 4 GiB", version + b"\x12" + varint(2 ** 32 - 1) + b"x" * 100),
                ("a length of 2^63", version + b"\x12" + varint(2 ** 63) + b"x" * 100),
                ("a number of eleven bytes", b"\x08" + b"\xff" * 11),
                ("taken gets", version + b"\x1a" + varint(limit - 20) + b"\x01" * (limit - 20)),
                ("nothing", b"")):
            check(bomber.send(zmtp.frame(data)), "the connection ended ahead of '%s'", what)
            neighbour.await_cycles(1)
        bomber.close()


@scenario
def endless_small_frames(lab):
    """100,000 frames of a few bytes, as fast as they go, from four peers"""
    broker = lab.broker()
    with Neighbour(broker):
        peers = [Peer(broker.endpoint) for _ in range(4)]
        for peer in peers:
            peer.handshake()
        for _ in range(25):
            for data in (b"", b"\x08\x01", b"\x08\x63\x12\x02\x08\x01", b"rubbish"):
                for peer in peers:
                    peer.send(zmtp.frame(data) * 250)
        for peer in peers:
            peer.finish()


@scenario
def requests_nobody_may_make(lab):
    """each operation without HELLO, operations that do not exist, other versions, ids of 0: a status each, and nothing happens"""
    broker = lab.broker()
    with Neighbour(broker):
        stranger = broker.client(hello=False)
        nobody = dict(hello=None, renew=None, ping=None)  # these need no session
        operations = [field.name for field in stranger.pb.Request.DESCRIPTOR.oneofs_by_name["op"].fields]
        for op in operations:
            if op in nobody:
                continue
            fields = {"task_done": dict(seqs=[1]), "extend": dict(seqs=[1]), "requeue": dict(seqs=[1]), "cancel": dict(request_id=1),
                      "put": dict(queue="q", stream=1, first_number=1, bodies=[b"x"]), "list": {}, "goodbye": {}, "backup": dict(name="b")}.get(op, dict(queue="q"))
            check_equal(stranger.call(op, **fields).status, Status.NO_SESSION, op + " without HELLO")
        for version in (0, 2, 99, 2 ** 32 - 1):
            request = stranger.make("ping")
            stranger.send_frame([request], version=version)
            check_equal(stranger.wait(request.id).status, Status.UNSUPPORTED_VERSION, "version %d" % version)
        for number in (22, 23, 100, 536870911):  # fields of no operation
            request = stranger.pb.Request(id=stranger.new_id())
            stranger.pending[request.id] = (request, None)
            body = request.SerializeToString() + varint(number << 3 | 2) + b"\0"
            stranger.send_bytes(b"\x08\x01\x12" + varint(len(body)) + body)
            check_equal(stranger.wait(request.id).status, Status.BAD_REQUEST, "operation %d" % number)
        stranger.send_bytes(b"\x08\x01\x12\x04\x08\x00\x9a\x01")  # an id of 0, cut
        check_equal(stranger.call("ping").ping.sessions, 1, "sessions but the neighbour's")
        check_equal(broker.stat("q"), None, "a queue that a stranger made")


# --------------------------------------------------------------------------------------------------------------- sessions and tokens


@scenario
def session_theft(lab):
    """another's session is not taken over: wrong, guessed, cut and other sessions' tokens, while it lives and after its connection went"""
    broker = lab.broker("--session-grace", "60s")
    with Neighbour(broker):
        owner, thief, bystander = broker.client(), broker.client(), broker.client()
        owner.put("q", "a", "b")
        item = owner.get_one("q")
        noise = random.Random(lab.seed)
        flipped = [bytes(byte ^ (1 << bit if at == place else 0) for at, byte in enumerate(owner.resume_token)) for place, bit in ((0, 0), (15, 3), (31, 7))]
        guesses = [b"\0" * 32, b"\xff" * 32, thief.resume_token, bystander.resume_token, owner.session_id * 2, *flipped] + [noise.randbytes(32) for _ in range(50)]

        def try_all(when):
            for guess in guesses:
                reply = thief.call("hello", session_id=owner.session_id, resume_token=guess)
                check_equal(reply.status, Status.NO_SESSION, "HELLO with a guess " + when)
                check_equal(thief.call("renew", session_id=owner.session_id, resume_token=guess).status, Status.NO_SESSION, "RENEW with a guess " + when)
            check_equal(thief.call("hello", session_id=owner.session_id).status, Status.NO_SESSION, "HELLO without a token " + when)
            for cut in (1, 16, 31):
                check_equal(thief.call("hello", session_id=owner.session_id, resume_token=owner.resume_token[:cut]).status, Status.BAD_REQUEST, "a cut token")

        try_all("while it lives")
        check_equal(owner.call("extend", queue_id=item.queue_id, epoch=item.epoch, seqs=[item.seq]).status, Status.OK, "the owner's extend")
        owner.drop()
        try_all("after its connection went")
        check(owner.reconnect().resumed, "the owner cannot take its session up again")
        check_equal(owner.task_done(item).status, Status.OK, "the owner's task_done")
        # What a thief was refused cost it nothing of its own, and gave it nothing.
        check_equal(thief.get_one("q").body, b"b", "the thief's own get")


@scenario
def forged_tokens(lab):
    """lease tokens of others, of the past, of the future and of no queue finish, extend and return nothing"""
    broker = lab.broker()
    with Neighbour(broker):
        owner, forger = broker.client(), broker.client()
        owner.put("q", "a", "b", "c")
        forger.put("other", "x")
        item, mine = owner.get_one("q"), forger.get_one("other")

        def forge(client, op, expected, what, **changed):
            token = dict(queue_id=item.queue_id, epoch=item.epoch, seqs=[item.seq], deliveries=[item.delivery])
            token.update(changed)
            got = Status(client.call(op, **token).status)
            check(got in expected, "%s of %s: %s", op, what, got.name)

        lost, never = {Status.LEASE_LOST}, {Status.NOT_LEASED}
        for op in ("task_done", "extend", "requeue"):
            forge(forger, op, lost, "another session's item")
            forge(forger, op, never, "a queue that never was", queue_id=2 ** 40)
            forge(forger, op, never, "queue 0", queue_id=0)
            forge(owner, op, never, "an item never put", seqs=[4])
            forge(owner, op, never, "the last seq there is", seqs=[2 ** 64 - 1])
            forge(owner, op, never, "seq 0", seqs=[0])
            forge(owner, op, never, "an item never got", seqs=[3])
            forge(owner, op, lost | never, "a future delivery", deliveries=[2])
            forge(owner, op, lost | never, "delivery 0", deliveries=[0])
            forge(owner, op, lost | never, "a delivery far off", deliveries=[2 ** 32 - 1])
            forge(owner, op, lost | never, "an epoch before", epoch=item.epoch - 1)
            forge(owner, op, lost | never, "an epoch to come", epoch=item.epoch + 1)
            forge(forger, op, lost | never, "one's own seq in another's queue", seqs=[mine.seq], deliveries=[mine.delivery])
        stat = broker.stat("q")
        check_equal((stat.ready, stat.leased, stat.dones, stat.requeued), (2, 1, 0, 0), "ready, leased, dones, requeued of q")
        check_equal(owner.task_done(item).status, Status.OK, "the owner's task_done")
        # Replayed: idempotent for the owner, and nothing for anybody else.
        for client in (owner, forger):
            reply = client.call("task_done", queue_id=item.queue_id, epoch=item.epoch, seqs=[item.seq])
            check_equal((reply.status, reply.tokens.gone), (Status.OK, 1), "task_done again")
            forge(client, "extend", lost, "an item that is done")
            forge(client, "requeue", lost, "an item that is done")
        stat = broker.stat("q")
        check_equal((stat.ready, stat.leased, stat.dones, stat.requeued), (2, 0, 1, 0), "ready, leased, dones, requeued of q")
        check_equal(broker.stat("other").leased, 1, "the forger's own")


# ------------------------------------------------------------------------------------------------- what libzmq gives no means against


def accepted_before(broker, count=200):
    """Puts that were answered OK; the item got and kept is on lease."""
    client = broker.client()
    check_equal(client.put("kept", *[b"%d" % n for n in range(count)]).status, Status.OK, "put")
    return client


def all_is_there(broker, count=200):
    client = broker.client()
    got = []
    while len(got) < count:
        status, items = client.get("kept", 1000, wait_ms=5000)
        check_equal(status, Status.OK, "get of what was accepted; so far %d" % len(got))
        got += [int(item.body) for item in items]
        for item in items:
            client.task_done(item)
    check_equal(sorted(got), list(range(count)), "what was accepted")


def answers(broker):
    client = Client(broker.endpoint, timeout=1, hello=False)  # also for sending: it may end meanwhile, and then nobody takes it
    try:
        return client.call("ping").status == Status.OK
    except AssertionError:  # no answer
        return False
    finally:
        client.drop()


def fill_with_one_message(broker, part, sent_max):
    """A message whose parts never end, until the connection or the process does; how many bytes went out."""
    peer = Peer(broker.endpoint)
    peer.handshake()
    block = part * max(1, 1000000 // len(part))
    sent = 0
    while sent < sent_max and broker.running() and peer.send(block):
        sent += len(block)
    peer.close()
    return sent


@scenario
def endless_multipart(lab):
    """messages whose parts never end fill memory up to its limit; the connection or the process ends there, and nothing is lost"""
    if lab.sanitizer:
        raise Skip("a sanitizer's own memory is not within a limit")
    broker = lab.broker()
    accepted_before(broker).drop()
    for what, part, sent_max in (("parts of 60 kB", zmtp.frame(b"x" * 60000, MORE), 1024 * MEBI), ("empty parts", zmtp.frame(b"", MORE), 32 * MEBI)):
        limit = broker.status_value("VmSize") + 192 * MEBI
        resource.prlimit(broker.pid, resource.RLIMIT_AS, (limit, limit))
        sent = fill_with_one_message(broker, part, sent_max)
        check(sent < sent_max, "%s: the broker took %d MiB: this limit of libzmq is gone, say so in SECURITY.md", what, sent // MEBI)
        # An allocation for a large part may fail, and costs that connection only; one for libzmq's own book-keeping ends the process.
        until(lambda: not broker.running() or answers(broker), 20 * lab.slow, "it has ended, or goes on")
        lab.note("%s: %s after %.1f MiB" % (what, "went on" if broker.running() else "ended with %s" % broker.program.process.returncode, sent / MEBI))
        if not broker.running():
            broker.start()  # as a supervisor does
        with Neighbour(broker, 256 * MEBI):  # the limit, for the allocator keeps what came back
            pass
    all_is_there(broker)


@scenario
def reserved_routing_ids(lab):
    """a peer that takes the routing id libzmq would give next ends the process; a start loses nothing, and with our seed it must guess"""
    shim = os.path.join(lab.build_dir, "lib", "libnq_known_random.so")
    if lab.sanitizer or not os.path.exists(shim):
        raise Skip("needs the preloaded random() of a build without sanitizers")
    broker = lab.broker(prefix=["env", "LD_PRELOAD=" + shim])
    accepted_before(broker).drop()
    # random() says 0 there, so connections are numbered from 0: some next ones are taken ahead of libzmq.
    peers = []
    for number in range(64):
        peer = Peer(broker.endpoint)
        peer.handshake(identity=b"\0" + struct.pack(">I", number))
        peers.append(peer)
    for _ in range(64):
        try:
            peers.append(Peer(broker.endpoint))
            peers[-1].handshake()
        except OSError:  # it has ended
            break
    until(lambda: not broker.running(), 20 * lab.slow, "the process ends of an id used twice")
    check_equal(broker.program.process.returncode, -signal.SIGABRT, "how it ended")
    for peer in peers:
        peer.close()
    # As it is meant to run: the ids begin where nobody knows, so the same peers hit nothing.
    broker.prefix = []
    broker.start()
    with Neighbour(broker):
        for number in range(64):
            peer = Peer(broker.endpoint)
            peer.handshake(identity=b"\0" + struct.pack(">I", number))
            peer.send(zmtp.frame(b"\x08\x01"))
            peer.close()
    all_is_there(broker)


@scenario
def borrowed_routing_ids(lab):
    """a peer whose routing id is another's but for the first byte is not taken for it"""
    shim = os.path.join(lab.build_dir, "lib", "libnq_known_random.so")
    if lab.sanitizer or not os.path.exists(shim):
        raise Skip("needs the preloaded random() of a build without sanitizers")
    broker = lab.broker(prefix=["env", "LD_PRELOAD=" + shim])  # connections are numbered from 0
    with Neighbour(broker) as neighbour:
        owner = broker.client()
        owner.put("q", "x")
        item = owner.get_one("q")
        goodbye = owner.pb.ClientFrame(version=1)
        goodbye.requests.extend([owner.make("goodbye")])
        peers = []
        for number in range(16):
            peer = Peer(broker.endpoint)
            peer.handshake(identity=b"\x01" + struct.pack(">I", number))
            peer.send(zmtp.frame(goodbye.SerializeToString()))
            peers.append(peer)
        neighbour.await_cycles(20)
        for peer in peers:
            peer.close()
        check_equal(owner.task_done(item).status, Status.OK, "the owner's task_done")


@scenario
def connection_flood(lab):
    """more connections than descriptors: who is connected is served on, new ones wait, and all is well when the flood is over"""
    broker = lab.broker(prefix=["prlimit", "--nofile=64:64"])
    accepted_before(broker).drop()
    with Neighbour(broker) as neighbour:
        flood = []
        for _ in range(300):
            peer = Peer(broker.endpoint)
            peer.send(zmtp.greeting() + zmtp.ready())  # whole ones, which no handshake time ends
            flood.append(peer)
        until(lambda: descriptors(broker) >= 62, 20 * lab.slow, lambda: "the limit is reached; %d" % descriptors(broker))
        neighbour.await_cycles(5)
        check(descriptors(broker) <= 64, "more descriptors than the limit")
        for peer in flood:
            peer.close()
        check_equal(broker.client().call("ping").status, Status.OK, "a new client after the flood")
    all_is_there(broker)


@scenario
def half_sent_frames(lab):
    """eight connections that announce the largest frame and stop just short of its end: memory is theirs times the frame limit, and comes back"""
    broker = lab.broker("--body-limit", "1M")
    with Neighbour(broker) as neighbour:
        limit = neighbour.client.hello_reply.limits.frame_bytes
        before = broker.status_value("RssAnon")
        slack = 4 * limit  # half of what they hold

        def held():
            return broker.status_value("RssAnon") - before

        peers = []
        for _ in range(8):
            peer = Peer(broker.endpoint)
            peer.handshake()
            check(peer.send(zmtp.frame(b"x" * (limit - 1), 0, limit)), "a frame that is not too large was not taken")
            peers.append(peer)
        until(lambda: lab.sanitizer or held() > 6 * limit, 20 * lab.slow, "what they have sent has come")
        neighbour.await_cycles(3)
        used = held()
        lab.note("%.1f MiB more with 8 of them" % (used / MEBI))
        check(lab.sanitizer or used < 8 * limit + slack, "RssAnon rose by %.1f MiB", used / MEBI)
        for peer in peers:
            peer.close()
        until(lambda: lab.sanitizer or held() < slack, 20 * lab.slow, "memory comes back")


if __name__ == "__main__":
    sys.exit(main())
