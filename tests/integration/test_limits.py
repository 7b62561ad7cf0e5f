"""Limits, floods and rubbish: each ends in a status or in nothing; the broker goes on, with bounded memory and descriptors."""
import os
import random
import socket
import sys
import time

import zmq

sys.dont_write_bytecode = True
from nqlab import Client, Status, WAIT_FOREVER, check, check_equal, main, scenario, until

MEBI = 1024 * 1024


def descriptors(broker):
    return len(os.listdir("/proc/%d/fd" % broker.pid))


def serves(broker, what):
    """A new client is served at once."""
    check(broker.running(), "%s: the broker ended:\n%s", what, broker.log_tail())
    client = Client(broker.endpoint, timeout=10 * broker.lab.slow)
    try:
        check_equal(client.put("alive", what).status, Status.OK, what + ": put")
        item = client.get_one("alive")
        check_equal((item.body, client.task_done(item).status), (what.encode(), Status.OK), what + ": cycle")
    finally:
        client.goodbye()


@scenario
def parked_bytes(lab):
    """waiting puts over the limit are BUSY; the stream goes on afterwards"""
    broker = lab.broker("--parked-limit", "4M", memory=True)
    client = broker.client()
    client.declare("q", maxsize=1)
    client.put("q", "x")
    body = b"y" * 500000
    ids = [client.send_put("q", body, wait_ms=WAIT_FOREVER) for _ in range(20)]
    ping = client.call("ping")
    check_equal(ping.status, Status.OK, "ping meanwhile")
    statuses = [Status(client.answers[i].status) for i in ids if i in client.answers]
    check(Status.BUSY in statuses, "statuses %s", statuses)
    check(set(statuses) <= {Status.BUSY, Status.OUT_OF_SEQUENCE}, "statuses %s", statuses)
    parked = 20 - len(statuses)
    check(1 <= parked <= 8, "%d of 500 kB parked with a limit of 4 MiB", parked)
    for _ in range(parked + 1):
        client.task_done(client.get_one("q", wait_ms=10000))
    check_equal({client.wait(i).status for i in ids[:parked]}, {Status.OK}, "the parked ones")
    client.stream("q")[1] = 1 + parked
    check_equal(client.put("q", "z").status, Status.OK, "afterwards")


@scenario
def programs_retry_when_busy(lab):
    """a producer gets everything in although the broker says BUSY now and then"""
    broker = lab.broker("--parked-limit", "300K", memory=True)
    broker.admin("declare", "q", "--maxsize", "1").expect(0)
    text = b"".join(b"%d " % i + b"z" * 100000 + b"\n" for i in range(60))
    producers = []
    for number in range(3):
        with open(lab.write("in-%d" % number, text), "rb") as file:
            producers.append(broker.spawn("netqueue-producer", "q", stdin=file))
    consumer = broker.spawn("netqueue-consumer", "q")
    for producer in producers:
        producer.wait(60).expect(0)
    check_equal(broker.stat("q").puts, 180, "items put, of 180 that the producers say are stored")
    broker.admin("join", "q").expect(0)
    broker.admin("shutdown", "q").expect(0)
    lines = consumer.wait(20).expect(0).lines
    check_equal(sorted(int(line.split()[0]) for line in lines), sorted(list(range(60)) * 3), "lines")


@scenario
def max_queues(lab):
    broker = lab.broker("--max-queues", "3", memory=True)
    client = broker.client()
    for name in "abc":
        check_equal(client.put(name, "x").status, Status.OK, name)
    check_equal(client.put("d", "x").status, Status.LIMIT_REACHED, "put")
    check_equal(client.get("d")[0], Status.LIMIT_REACHED, "get")
    check_equal(client.declare("d").status, Status.LIMIT_REACHED, "declare")
    broker.produce("d", "x").expect(75).one_line_error()
    client.call("delete", queue="a")
    check_equal(client.put("d", "x").status, Status.OK, "after a delete")


@scenario
def max_sessions(lab):
    broker = lab.broker("--max-sessions", "5", "--session-grace", "300ms", memory=True)
    clients = [broker.client() for _ in range(5)]
    late = broker.client(hello=False)
    check_equal(late.hello(expect=None).status, Status.LIMIT_REACHED, "the sixth HELLO")
    clients[0].goodbye()
    until(lambda: late.hello(expect=None).status == Status.OK, 10 * lab.slow, "room after a GOODBYE")


@scenario
def other_limits(lab):
    """leases, waiters, delayed items, streams"""
    broker = lab.broker("--max-leases", "10", "--max-waiters", "5", "--max-delayed", "7", "--max-streams", "4", memory=True)
    client = broker.client()
    client.put("q", *range(30))
    got = []
    for _ in range(5):
        status, items = client.get("q", 6)
        got += items
        if status != Status.OK:
            break
    check_equal((len(got), status), (10, Status.LIMIT_REACHED), "leases")
    waits = [client.send("get", queue="w", wait_ms=WAIT_FOREVER) for _ in range(6)]
    check(client.answered(waits[5], 15 * lab.slow), "the sixth waiter is not answered")
    check(client.answers[waits[5]].status in (Status.LIMIT_REACHED, Status.BUSY), "the sixth waiter: %s", client.answers[waits[5]].status)
    other = broker.client()
    reply = other.put("d", *range(10), delay_ms=60000)
    check_equal(reply.status, Status.LIMIT_REACHED, "delayed")
    check_equal(reply.put.accepted, 7, "delayed items accepted with a limit of 7")
    check_equal(other.stat("d").delayed, reply.put.accepted, "delayed")
    statuses = [other.call("put", queue="s", stream=n + 1, first_number=1, bodies=[b"x"]).status for n in range(6)]
    check(Status.LIMIT_REACHED in statuses, "streams: %s", statuses)


@scenario
def sessions_come_and_go(lab):
    """500 clients that vanish with a waiting get or a lease: descriptors, sessions and items are as before"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "5s")
    feeder = broker.client()
    feeder.put("q", *range(500))
    watcher = broker.client()
    before = descriptors(broker)
    for number in range(500):
        client = Client(broker.endpoint, timeout=20 * lab.slow)
        if number % 2:
            client.get_one("q")
        else:
            client.send("get", queue="never", wait_ms=WAIT_FOREVER)
            client.pump(0.001)
        client.drop()
    until(lambda: watcher.call("ping").ping.sessions <= 3, 30 * lab.slow, "the sessions are gone", 0.2)
    stat = broker.await_stat("q", leased=0, ready=500)
    check_equal(broker.stat("never").waiting_gets, 0, "waiters")
    until(lambda: descriptors(broker) <= before + 5, 20 * lab.slow, lambda: "descriptors: %d before, %d now" % (before, descriptors(broker)), 0.2)
    lab.note("%d redelivered, RssAnon %.1f MiB" % (stat.redelivered, broker.status_value("RssAnon") / MEBI))


@scenario
def garbage_frames(lab):
    """random bytes, cut frames, empty frames, many parts"""
    broker = lab.broker()
    client = broker.client()
    good = client.pb.ClientFrame(version=1)
    good.requests.extend([client.make_put("g", ["x" * 50] * 20), client.make("get", queue="g", max_items=5)])
    data = good.SerializeToString()
    noise = random.Random(lab.seed)
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 1000
    dealer.connect(broker.endpoint)
    for number in range(3000):
        kind = number % 4
        if kind == 0:
            dealer.send(noise.randbytes(noise.randrange(0, 300)))
        elif kind == 1:
            dealer.send(data[:noise.randrange(len(data))])
        elif kind == 2:
            flipped = bytearray(data)
            for _ in range(noise.randrange(1, 6)):
                flipped[noise.randrange(len(flipped))] = noise.randrange(256)
            dealer.send(bytes(flipped))
        else:
            dealer.send_multipart([b""] * noise.randrange(1, 20))
    dealer.close()
    check_equal(client.call("ping").status, Status.OK, "another client's ping")
    client.send_bytes(b"\xff\xff\xff rubbish from a client with a session")
    serves(broker, "garbage")


@scenario
def garbage_on_a_session(lab):
    """mutated frames on a connection with a session: each is answered, ignored or ends the connection, never the broker"""
    broker = lab.broker()
    noise = random.Random(lab.seed)
    for _ in range(30):
        client = Client(broker.endpoint, timeout=10 * lab.slow)
        frame = client.pb.ClientFrame(version=1)
        frame.requests.extend([client.make_put("g", ["abc", "d"], headers=[[("a", "b")], []]), client.make("get", queue="g", max_items=3),
                               client.make("declare", queue="h", initial=2), client.make("task_done", queue_id=1, epoch=1, seqs=[1, 2, 3]),
                               client.make("requeue", queue_id=1, epoch=1, seqs=[4], dead=True), client.make("list"), client.make("peek", queue="g"),
                               client.make("redrive", queue="g"), client.make("cancel", request_id=2), client.make("shutdown", queue="h")])
        data = frame.SerializeToString()
        for _ in range(50):
            flipped = bytearray(data)
            for _ in range(noise.randrange(1, 4)):
                flipped[noise.randrange(len(flipped))] = noise.randrange(256)
            client.send_bytes(bytes(flipped))
        client.drop()
    serves(broker, "mutations")


@scenario
def oversized_frames(lab):
    """a frame over the limit ends that connection only"""
    broker = lab.broker()
    client, other = broker.client(), broker.client()
    limit = client.hello_reply.limits.frame_bytes
    client.send_bytes(b"\0" * (limit + 1000000))
    until(client.connection_was_lost, 20 * lab.slow, "the connection ends", 0.05)
    check_equal(other.call("ping").status, Status.OK, "another client's ping")
    client.pending.clear()
    check(client.reconnect().resumed, "the session was not resumed on a new connection")
    serves(broker, "oversized")


@scenario
def lower_limits_after_a_restart(lab):
    """the broker comes back with lower limits: whose item it takes no more ends once, with a line; what was accepted is got; the others go on"""
    broker = lab.broker("--body-limit", "16M")
    stored = broker.lab.write("stored", b"s" * (12 * MEBI))
    broker.admin("declare", "full", "--maxsize", "1").expect(0)
    broker.produce("full", "--file", stored).expect(0)
    producers = [broker.spawn("netqueue-producer", "full", "--file", broker.lab.write("waits-%d" % mebis, b"w" * (mebis * MEBI)))
                 for mebis in (12, 2)]  # no frame takes the one, a frame but no body limit takes the other
    small = broker.spawn("netqueue-producer", "full", "small")
    broker.await_stat("full", waiting_puts=3)
    broker.restart("--body-limit", "1M")
    for producer in producers:
        text = producer.wait(60).expect(69).one_line_error()
        check("the outcome is unknown: " in text and "broker" in text, "says %r", text)
    consumer = broker.consume("full", "-n", "2").expect(0)
    check(consumer.out == b"s" * (12 * MEBI) + b"\nsmall\n", "%d bytes came out, ending with %r", len(consumer.out), consumer.out[-20:])
    small.wait(60).expect(0)
    broker.await_stat("full", ready=0, leased=0, dones=2, waiting_puts=0)
    serves(broker, "afterwards")


@scenario
def protobuf_bomb(lab):
    """8 MB of empty requests, of empty bodies: refused, memory stays bounded"""
    broker = lab.broker()
    client = broker.client()
    limit = client.hello_reply.limits.frame_bytes
    for data in (b"\x08\x01" + b"\x12\x00" * (limit // 2 - 100), b"\x08\x01" + b"\x98\x06\x01" * (limit // 3 - 100),
                 b"\x08\x01" + b"\x22\x00" * (limit // 2 - 100)):
        bomber = broker.client()
        bomber.send_bytes(data)
        serves(broker, "bomb")
        bomber.drop()
    used = broker.status_value("RssAnon")
    lab.note("RssAnon %.1f MiB" % (used / MEBI))
    check(lab.sanitizer or used < 128 * MEBI, "RssAnon %.1f MiB", used / MEBI)


@scenario
def foreign_peers(lab):
    """random bytes on the port, other socket types, an HTTP client, half a handshake"""
    broker = lab.broker()
    host, port = broker.endpoint[len("tcp://"):].rsplit(":", 1)
    noise = random.Random(lab.seed)
    idle = []
    for number in range(100):
        line = socket.create_connection((host, int(port)), 5)
        try:
            if number % 4 == 0:
                line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            elif number % 4 == 1:
                line.sendall(noise.randbytes(1000))
            elif number % 4 == 2:
                line.sendall(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03")  # a ZMTP greeting that ends too soon
        except OSError:
            pass
        if number % 2:
            line.close()
        else:
            idle.append(line)
    context = zmq.Context.instance()
    sockets = []
    for kind in (zmq.REQ, zmq.PUSH, zmq.PUB, zmq.ROUTER, zmq.PAIR):
        sock = context.socket(kind)
        sock.linger = 0
        sock.connect(broker.endpoint)
        sockets.append(sock)
    sockets[0].send(b"hello from a REQ socket")
    serves(broker, "foreign")
    for sock in sockets:
        sock.close()
    for line in idle:
        line.close()


@scenario
def own_routing_ids(lab):
    """peers that choose their routing id, the same one twice"""
    broker = lab.broker()
    context = zmq.Context.instance()
    sockets = []
    for _ in range(3):
        sock = context.socket(zmq.DEALER)
        sock.linger = 0
        sock.routing_id = b"me"
        sock.connect(broker.endpoint)
        sock.send(b"\x08\x01")
        sockets.append(sock)
    serves(broker, "routing ids")
    for sock in sockets:
        sock.close()


@scenario
def endless_small_frames(lab):
    """a peer that sends 200,000 small frames and messages of 1,000 parts does not stop the others"""
    broker = lab.broker()
    client = broker.client()
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(broker.endpoint)
    slowest = 0.0
    for _ in range(20):
        for _ in range(10000):
            try:
                dealer.send(b"\x08\x01", zmq.DONTWAIT)
            except zmq.Again:
                time.sleep(0.001)
        dealer.send_multipart([b"x"] * 1000)
        before = time.monotonic()
        check_equal(client.call("ping").status, Status.OK, "ping")
        slowest = max(slowest, time.monotonic() - before)
    dealer.close()
    lab.note("slowest ping %.0f ms" % (slowest * 1000))
    serves(broker, "small frames")


@scenario
def client_that_does_not_read(lab):
    """asks for much and reads nothing: others are served, memory stays bounded"""
    broker = lab.broker()
    feeder = broker.client()
    for _ in range(30):
        feeder.put("q", *[b"b" * 100000] * 10)
    deaf = broker.client(receive_limit=1)
    for _ in range(1000):
        deaf.send("peek", queue="q", max_items=50)
    for _ in range(10):
        check_equal(feeder.call("ping").status, Status.OK, "ping")  # or there is no answer in the client's time
    serves(broker, "deaf client")
    used = broker.status_value("RssAnon")
    lab.note("RssAnon %.1f MiB with a client that does not read its 1000 answers of 5 MB" % (used / MEBI))
    check(lab.sanitizer or used < 1024 * MEBI, "RssAnon %.1f MiB", used / MEBI)
    deaf.drop()
    until(lambda: broker.status_value("RssAnon") < 512 * MEBI or lab.sanitizer, 30 * lab.slow, "memory comes back", 0.2)


@scenario
def many_queues(lab):
    """20,000 queues: list pages through them, stat is quick, a restart keeps them"""
    broker = lab.broker()
    client = broker.client()
    for start in range(0, 20000, 500):
        requests = [client.make_put("queue.%05d" % n, ["x"]) for n in range(start, start + 500)]
        client.send_frame(requests)
        check_equal({client.wait(r.id).status for r in requests}, {Status.OK}, "puts")
    found = client.list_all(3000)
    check_equal(len(found), 20000, "list")
    client.drop()
    took = broker.restart()
    lab.note("restart with 20,000 queues: %.2f s" % took)
    check_equal(broker.stat("queue.19999").ready, 1, "the last")
    check_equal(len(broker.admin("list", "--format", "json").expect(0).json()), 20000, "list")


if __name__ == "__main__":
    sys.exit(main())
