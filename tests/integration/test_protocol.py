"""The protocol from outside: every request and every status, with the client written in Python from PROTOCOL.md."""
import os
import sys

sys.dont_write_bytecode = True
from nqlab import Client, Status, WAIT_FOREVER, check, check_equal, main, scenario
from nqlab.client import encode_headers, items_of, token_statuses


@scenario
def hello(lab):
    """limits, tokens, resume, end of a session"""
    broker = lab.broker(memory=True)
    client = broker.client()
    reply = client.hello_reply
    check_equal((len(reply.resume_token), len(reply.store_id), reply.resumed), (32, 16, False), "HELLO")
    limits = reply.limits
    check_equal((limits.body_bytes, limits.headers_bytes, limits.items, limits.requests), (2 ** 20, 4096, 10000, 1024), "limits")
    check_equal((limits.session_timeout_ms, limits.session_grace_ms), (15000, 2000), "times")
    check(limits.frame_bytes >= limits.body_bytes + limits.headers_bytes, "frame limit %d", limits.frame_bytes)
    check(client.reconnect().resumed, "the session was not resumed")
    token = client.resume_token
    client.goodbye()
    client.connect()
    client.resume_token = token
    check(not client.hello().hello.resumed, "resumed after GOODBYE")


@scenario
def sessions_are_secret(lab):
    """a wrong token does not take over a session; nothing works without HELLO"""
    broker = lab.broker(memory=True)
    owner, thief = broker.client(), broker.client(hello=False)
    owner.put("q", "a")
    item = owner.get_one("q")
    thief.session_id = owner.session_id
    for op, fields in (("put", dict(queue="q", stream=1, first_number=1, bodies=[b"x"])), ("get", dict(queue="q")), ("stat", dict(queue="q"))):
        check_equal(thief.call(op, **fields).status, Status.NO_SESSION, op + " without HELLO")
    thief.resume_token = os.urandom(32)
    reply = thief.hello(expect=None)
    check(reply.status != Status.OK or not reply.hello.resumed, "a session was taken over with a wrong token")
    check_equal(owner.task_done(item).status, Status.OK, "the owner's task_done")
    check_equal(thief.call("renew", session_id=owner.session_id, resume_token=os.urandom(32)).status, Status.NO_SESSION, "forged renew")
    keeper = broker.client(hello=False)
    check_equal(keeper.call("renew", session_id=owner.session_id, resume_token=owner.resume_token).status, Status.OK, "renew")


@scenario
def unsupported_version(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    request = client.make("ping")
    client.send_frame([request], version=99)
    check_equal(client.wait(request.id).status, Status.UNSUPPORTED_VERSION, "version 99")
    check_equal(client.call("ping").status, Status.OK, "ping afterwards")


@scenario
def names(lab):
    """which names are names"""
    broker = lab.broker(memory=True)
    client = broker.client()
    for name in (b"", b".a", b"-a", b"/a", b"a/", b"a//b", b"a..b", b"a b", b"a\0b", b"\xc3\xa9", b"a" * 129, b"a\n"):
        for op, more in (("put", dict(stream=5, first_number=1, bodies=[b"x"])), ("get", {}), ("declare", {}), ("stat", {}), ("join", {})):
            check_equal(client.call(op, queue=name, **more).status, Status.BAD_NAME, "%s of %r" % (op, name))
    for name in ("a", "A.b:c/d_e-9", "x" * 128):
        check_equal(client.put(name, "1").status, Status.OK, "put to " + name)
    check_equal(sorted(q.name for q in client.list_all()), sorted([b"a", b"A.b:c/d_e-9", b"x" * 128]), "list")


@scenario
def bad_requests(lab):
    """malformed requests are refused one by one"""
    broker = lab.broker(memory=True)
    client = broker.client()
    too_long = 1000 * 60 * 60 * 24 * 367
    good = dict(queue="q", stream=7, first_number=1, bodies=[b"x"])
    for what, op, fields in (
            ("stream 0", "put", dict(good, stream=0)),
            ("no bodies", "put", dict(good, bodies=[])),
            ("number 0", "put", dict(good, first_number=0)),
            ("two bodies, one header list", "put", dict(good, bodies=[b"x", b"y"], headers=[b""])),
            ("reserved header", "put", dict(good, headers=[encode_headers([("nq-reason", "x")])])),
            ("delay of more than a year", "put", dict(good, delay_ms=too_long)),
            ("lease of more than a year", "get", dict(queue="q", lease_ms=too_long)),
            ("deliveries not parallel", "task_done", dict(queue_id=1, epoch=1, seqs=[1, 2], deliveries=[1])),
            ("short session id", "hello", dict(session_id=b"12345"))):
        check_equal(client.call(op, **fields).status, Status.BAD_REQUEST, what)
    empty = client.pb.Request(id=client.new_id())
    client.send_frame([empty])
    check_equal(client.wait(empty.id).status, Status.BAD_REQUEST, "a request of nothing")
    check_equal(client.call("stat", queue="q").status, Status.NO_SUCH_QUEUE, "a refused put or get made a queue")
    check_equal(client.call(**dict(good, op="put")).status, Status.OK, "the good one")


@scenario
def no_such_queue(lab):
    """everything but put, get and declare needs the queue"""
    broker = lab.broker(memory=True)
    client = broker.client()
    for op in ("join", "purge", "delete", "shutdown", "stat", "peek", "redrive"):
        check_equal(client.call(op, queue="none").status, Status.NO_SUCH_QUEUE, op)
    check_equal(client.declare("none", update=True, maxsize=1).status, Status.NO_SUCH_QUEUE, "update")
    check_equal(client.get("none")[0], Status.EMPTY, "get")
    check_equal(client.stat("none").unfinished, 0, "created by get")


@scenario
def too_large(lab):
    """what can never fit"""
    broker = lab.broker("--body-limit", "100K", memory=True)
    client = broker.client()
    limit = client.hello_reply.limits.body_bytes
    check_equal(limit, 100 * 1024, "limit")
    check_equal(client.put("q", b"x" * limit).status, Status.OK, "at the limit")
    check_equal(client.put("q", b"x" * (limit + 1)).status, Status.TOO_LARGE, "over the limit")
    check_equal(client.put("q", "x", headers=[[("h", "v" * 5000)]]).status, Status.TOO_LARGE, "headers over their limit")
    client.declare("small", maxsize=3, max_bytes=50)
    check_equal(client.put("small", *"abcd", atomic=True).status, Status.TOO_LARGE, "atomic run over maxsize")
    check_equal(client.put("small", "a" * 51, wait_ms=WAIT_FOREVER).status, Status.TOO_LARGE, "item over max_bytes")
    reply = client.put("small", "ok", "b" * 51, "c")
    check_equal((reply.status, reply.put.accepted), (Status.TOO_LARGE, 1), "a run with one too large")
    check_equal(client.stat("small").ready, 1, "ready")


@scenario
def full(lab):
    """bounds by items and by bytes, partly accepted runs, atomic runs, waiting"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", maxsize=3)
    reply = client.put("q", *"abcde")
    check_equal((reply.status, reply.put.accepted, reply.put.last_seq, reply.put.last_number), (Status.FULL, 3, 3, 3), "put of 5")
    check_equal(client.put("q", "x", wait_ms=150).status, Status.FULL, "a put that waits")
    item = client.get_one("q")
    check_equal(client.put("q", "x", "y", atomic=True).put.accepted, 0, "atomic run of 2, room for 1")
    check_equal(client.put("q", "d").status, Status.OK, "the slot frees at get, not at task_done")
    client.requeue(item)
    check_equal(client.stat("q").ready, 4, "what comes back may exceed maxsize")
    client.declare("bytes", max_bytes=10)
    check_equal(client.put("bytes", "12345", "12345", "1").put.accepted, 2, "bounded by bytes")


@scenario
def waiting_put(lab):
    """parked puts go in as gets make room, in arrival order, nobody overtakes"""
    broker = lab.broker(memory=True)
    first, second, reader = broker.client(), broker.client(), broker.client()
    reader.declare("q", maxsize=2)
    reader.put("q", "0", "1")
    a = first.send_put("q", *["a%d" % i for i in range(5)], wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_puts=1)
    b = second.send_put("q", "b", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_puts=2)
    check_equal(reader.put("q", "c").status, Status.FULL, "a put behind waiters")
    got = []
    while len(got) < 8:
        status, items = reader.get("q", 1, wait_ms=5000)
        check_equal(status, Status.OK, "get after %r" % got)
        got += [i.body for i in items]
        check_equal(reader.task_done(*items).status, Status.OK, "done")
    check_equal(got, [b"0", b"1", b"a0", b"a1", b"a2", b"a3", b"a4", b"b"], "order")
    check_equal((first.wait(a).status, second.wait(b).status), (Status.OK, Status.OK), "answers")


@scenario
def cancel(lab):
    """waiting puts, gets and joins end CANCELLED; what was accepted stays"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", maxsize=1)
    put = client.send_put("q", "a", "b", wait_ms=WAIT_FOREVER)
    get = client.send("get", queue="other", wait_ms=WAIT_FOREVER)
    join = client.send("join", queue="q", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_puts=1, waiting_joins=1)
    for request_id in (put, get, join):
        client.call("cancel", request_id=request_id)
    check_equal(client.wait(get).status, Status.CANCELLED, "get")
    check_equal(client.wait(join).status, Status.CANCELLED, "join")
    reply = client.end_put("q", put)
    check_equal((reply.status, reply.put.accepted, reply.put.last_number), (Status.CANCELLED, 1, 1), "put")
    check_equal(client.get_one("q").body, b"a", "the accepted one")
    check_equal(client.put("q", "c").status, Status.OK, "the stream goes on")


@scenario
def streams(lab):
    """duplicates, gaps, unknown streams; over a restart, too"""
    broker = lab.broker()
    client = broker.client()
    put = dict(queue="q", stream=77)
    check_equal(client.call("put", first_number=1, bodies=[b"1", b"2"], **put).status, Status.OK, "first")
    reply = client.call("put", first_number=1, bodies=[b"1", b"2"], **put)
    check_equal((reply.status, reply.put.duplicate, reply.put.accepted, reply.put.last_number), (Status.OK, True, 2, 2), "again")
    reply = client.call("put", first_number=2, bodies=[b"2", b"3"], **put)
    check_equal((reply.status, reply.put.duplicate, reply.put.accepted, reply.put.last_number), (Status.OK, True, 2, 3), "overlap")
    reply = client.call("put", first_number=5, bodies=[b"5"], **put)
    check_equal((reply.status, reply.put.last_number), (Status.OUT_OF_SEQUENCE, 3), "gap")
    reply = client.call("put", queue="q", stream=78, first_number=2, bodies=[b"x"])
    check_equal(reply.status, Status.STREAM_UNKNOWN, "unknown stream")
    client.drop()
    broker.restart()
    client = broker.client()
    reply = client.call("put", first_number=3, bodies=[b"3", b"4"], **put)
    check_equal((reply.status, reply.put.duplicate, reply.put.last_number), (Status.OK, True, 4), "over a restart")
    check_equal([i.body for i in client.get("q", 10)[1]], [b"1", b"2", b"3", b"4"], "items")


@scenario
def refused_puts_refuse_what_follows(lab):
    """pipelined puts behind a refused one"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", maxsize=2)
    requests = [client.make_put("q", [str(n)]) for n in range(5)]
    client.send_frame(requests)
    got = [client.wait(r.id) for r in requests]
    check_equal([Status(r.status).name for r in got], ["OK", "OK", "FULL", "OUT_OF_SEQUENCE", "OUT_OF_SEQUENCE"], "statuses")
    check_equal(got[4].put.last_number, 2, "last_number")


@scenario
def runs_behind_a_parked_run_wait_too(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", maxsize=1)
    requests = [client.make_put("q", [str(n)], wait_ms=WAIT_FOREVER) for n in range(4)]
    client.send_frame(requests)
    for n in range(4):
        check_equal(client.get_one("q", wait_ms=5000).body, b"%d" % n, "body")
    check_equal([client.wait(r.id).status for r in requests], [Status.OK] * 4, "statuses")


@scenario
def tokens(lab):
    """task_done, extend and requeue of held, finished, lost, never issued"""
    broker = lab.broker(memory=True)
    a, b = broker.client(), broker.client()
    a.put("q", *range(6))
    first, second, third = a.get("q", 3)[1]
    check_equal(a.task_done(first).status, Status.OK, "done")
    reply = a.task_done(first)
    check_equal((reply.status, reply.tokens.gone), (Status.OK, 1), "done twice")
    check_equal(a.extend(first).status, Status.LEASE_LOST, "extend of a finished one")
    check_equal(a.requeue(first).status, Status.LEASE_LOST, "requeue of a finished one")
    check_equal(a.extend(second, lease_ms=90000).status, Status.OK, "extend")
    check_equal(a.requeue(third).status, Status.OK, "requeue")
    check_equal(a.task_done(third).status, Status.OK, "done of one that is ready again, same session")
    a.requeue(second)
    stolen = b.get_one("q")
    check_equal((stolen.seq, stolen.delivery), (2, 2), "the other session's item")
    check_equal(a.task_done(second).status, Status.LEASE_LOST, "done of one leased to another")
    check_equal(a.requeue(second).status, Status.LEASE_LOST, "requeue of one leased to another")
    check_equal(b.task_done(stolen).status, Status.OK, "the new holder's done")
    never = second._replace(seq=1000, delivery=1)
    check_equal(a.task_done(never).status, Status.NOT_LEASED, "never issued")
    check_equal(a.task_done(second._replace(queue_id=99999)).status, Status.NOT_LEASED, "queue never made")
    fourth, fifth = b.get("q", 2)[1]
    reply = b.task_done(fourth, fourth._replace(seq=777), fifth)
    check_equal(token_statuses(reply, 3), [Status.OK, Status.NOT_LEASED, Status.OK], "mixed")
    check_equal(b.stat("q").unfinished, 1, "unfinished")
    sixth = b.get_one("q")
    b.requeue(sixth)
    again = b.get_one("q")
    check_equal((again.seq, again.delivery), (6, 2), "the last one again")
    for what, call in (("done", b.task_done), ("extend", b.extend), ("requeue", b.requeue)):
        check_equal(call(sixth).status, Status.LEASE_LOST, what + " by one's own earlier delivery")
    check_equal(b.task_done(again).status, Status.OK, "done by the delivery that has it")


@scenario
def many_requests_in_one_frame(lab):
    """handled in order; each answered once"""
    broker = lab.broker()
    client = broker.client()
    requests = [client.make_put("q", [str(n)]) for n in range(500)]
    requests += [client.make("get", queue="q", max_items=1) for _ in range(500)]
    client.send_frame(requests)
    replies = [client.wait(r.id) for r in requests]
    check_equal({r.status for r in replies}, {0}, "statuses")
    check_equal([i.body for r in replies[500:] for i in items_of(r)], [b"%d" % n for n in range(500)], "bodies")
    check_equal(client.surprises, [], "answers to nothing")
    too_many = [client.make("ping") for _ in range(1025)]
    client.send_frame(too_many)
    check_equal(client.call("ping").status, Status.OK, "a ping behind a frame of 1025 requests")
    check(not any(r.id in client.answers for r in too_many), "a frame of 1025 requests was answered")


@scenario
def items_limit(lab):
    """10,000 items in a request, not more"""
    broker = lab.broker()
    client = broker.client()
    check_equal(client.put("q", *range(10000)).put.accepted, 10000, "10,000")
    reply = client.put("q", *range(10001))
    check_equal(Status(reply.status), Status.TOO_LARGE, "10,001")
    check_equal(len(client.get("q", 10000)[1]), 10000, "got")


@scenario
def ping(lab):
    broker = lab.broker(memory=True)
    client = Client(broker.endpoint)
    reply = client.call("ping").ping
    check(len(reply.store_id) == 16 and reply.epoch >= 1 and reply.sessions >= 1 and reply.broker_version, "ping: %s", reply)
    client.goodbye()


if __name__ == "__main__":
    sys.exit(main())
