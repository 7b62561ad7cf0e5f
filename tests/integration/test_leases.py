"""Leases, failures, delays and shares from outside, with the Python client."""
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Keeper, Status, WAIT_FOREVER, check, check_equal, given_time, main, scenario
from nqlab.client import items_of


@scenario
def at_most_once(lab):
    """done as it leaves"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", "a")
    status, items = client.get("q", at_most_once=True)
    check_equal((status, items[0].body), (Status.OK, b"a"), "get")
    stat = client.stat("q")
    check_equal((stat.unfinished, stat.dones), (0, 1), "stat")
    check_equal(client.join("q"), Status.OK, "join")


@scenario
def delayed_put(lab):
    """ready when due, at its place"""
    broker = lab.broker()
    client = broker.client()
    client.put("later", "late", delay_ms=60000)
    client.put("later", "now")
    stat = client.stat("later")
    check_equal((stat.ready, stat.delayed, stat.unfinished), (1, 1, 2), "stat")
    check_equal([i.body for i in client.get("later", 2)[1]], [b"now"], "first")
    before = time.monotonic()
    client.put("q", "late", delay_ms=400)
    check_equal(client.get_one("q", wait_ms=60000).body, b"late", "second")
    check(time.monotonic() - before >= 0.4, "the delayed item came too early")
    client.put("q", "x", delay_ms=300), client.put("q", "y")
    broker.await_stat("q", ready=2)
    check_equal([i.body for i in client.get("q", 2)[1]], [b"x", b"y"], "a delayed item stands at its place")


@scenario
def requeue_with_delay(lab):
    broker = lab.broker()
    client = broker.client()
    client.put("q", "a", "b")
    first = client.get_one("q")
    client.requeue(first, delay_ms=3600000)
    check_equal(client.stat("q").delayed, 1, "delayed")
    check_equal(client.get_one("q").body, b"b", "the next")
    client.put("soon", "a", "b")
    first, before = client.get_one("soon"), time.monotonic()
    client.requeue(first, delay_ms=400)
    broker.await_stat("soon", ready=2)
    check(time.monotonic() - before >= 0.4, "back too early")
    back = client.get_one("soon")
    check_equal((back.body, back.seq, back.delivery, back.failures), (b"a", 1, 2, 0), "back")


@scenario
def failures_and_dead_letters(lab):
    """after max_deliveries failures to the dead-letter queue, with headers; redrive brings it back"""
    broker = lab.broker()
    client = broker.client()
    client.declare("q", max_deliveries=2, dead_letter="q.dead")
    client.put("q", "bad", headers=[[("h", "1")]])
    for count in range(2):
        item = client.get_one("q")
        check_equal(item.failures, count, "failures")
        client.requeue(item, failed=True)
    check_equal(client.get("q")[0], Status.EMPTY, "q")
    stat = client.stat("q")
    check_equal((stat.dead_lettered, stat.unfinished), (1, 0), "stat")
    dead = client.get_one("q.dead")
    headers = dict(dead.headers)
    check_equal((dead.body, headers[b"h"], headers[b"nq-origin-queue"], headers[b"nq-origin-seq"], headers[b"nq-reason"], headers[b"nq-failures"]),
                (b"bad", b"1", b"q", b"1", b"max-deliveries", b"2"), "dead letter")
    client.requeue(dead)
    reply = client.call("redrive", queue="q.dead")
    check_equal((reply.status, reply.count.count), (Status.OK, 1), "redrive")
    back = client.get_one("q")
    check_equal((back.body, back.failures, back.seq), (b"bad", 0, 2), "redriven")


@scenario
def rejected(lab):
    """dead at once, with the reason given; dropped and counted without a dead-letter queue"""
    broker = lab.broker()
    client = broker.client()
    client.declare("q", dead_letter="d")
    client.put("q", "a", "b")
    first, second = client.get("q", 2)[1]
    client.requeue(first, dead=True, reason="because")
    client.requeue(second, dead=True)
    reasons = [dict(i.headers)[b"nq-reason"] for i in client.get("d", 2)[1]]
    check_equal(reasons, [b"because", b"rejected"], "reasons")
    client.declare("n", max_deliveries=1)
    client.put("n", "a")
    client.requeue(client.get_one("n"), failed=True)
    stat = client.stat("n")
    check_equal((stat.dropped, stat.unfinished), (1, 0), "stat")


@scenario
def redrive_stops_at_full(lab):
    broker = lab.broker()
    client = broker.client()
    client.declare("q", dead_letter="d", maxsize=5)
    for _ in range(2):
        client.put("q", *range(4))
        client.requeue(*client.get("q", 4)[1], dead=True)
    check_equal(client.stat("d").ready, 8, "dead")
    reply = client.call("redrive", queue="d")
    check_equal((reply.status, reply.count.count), (Status.FULL, 5), "redrive")
    check_equal((client.stat("d").ready, client.stat("q").ready), (3, 5), "left")
    check_equal(client.call("redrive", queue="d", to="other", max_items=2).count.count, 2, "redrive to another")
    check_equal(client.stat("other").ready, 2, "other")


@scenario
def lease_expiry(lab):
    """an unfinished item comes back, flagged and counted"""
    broker = lab.broker()
    client, other = broker.client(), broker.client()
    client.put("q", "a", "b")
    lost = client.get_one("q")
    check_equal(other.get_one("q").body, b"b", "meanwhile")
    check_equal(client.extend(lost, lease_ms=300).status, Status.OK, "a lease that is nearly over")
    back = other.get_one("q", wait_ms=50000)  # less than the queue's lease of a minute
    check_equal((back.body, back.delivery, back.failures, back.redelivered), (b"a", 2, 1, True), "back")
    check_equal(client.task_done(lost).status, Status.LEASE_LOST, "the late done")
    check_equal(other.task_done(back).status, Status.OK, "the new holder's done")


@scenario
def lease_lost_but_nobody_has_it(lab):
    """done of an expired lease counts while the item is ready"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", "a")
    item = client.get_one("q", lease_ms=200)
    broker.await_stat("q", ready=1)
    check_equal(client.task_done(item).status, Status.OK, "done")
    check_equal(client.stat("q").unfinished, 0, "unfinished")


@scenario
@given_time
def keeper_renews(lab, scale):
    """a slow worker keeps its lease as long as its keeper runs, at most hold_max"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", lease_ms=3000 * scale, hold_max_ms=6000 * scale)
    client.put("q", "slow")
    keeper = Keeper(client, 0.1)
    keeper.start()
    try:
        item, got = client.get_one("q"), time.monotonic()
        while time.monotonic() < got + 4 * scale:
            check_equal(broker.stat("q").leased, 1, "leased after %.1f s" % (time.monotonic() - got))
        broker.await_stat("q", ready=1, failed=1)
        held = time.monotonic() - got
        check(held > 5 * scale, "held for %.1f s with hold_max %d s", held, 6 * scale)
        check_equal(item.hold_max_ms, 6000 * scale, "hold_max in the answer")
    finally:
        keeper.stop()
    check_equal(set(keeper.statuses), {Status.OK}, "renewals")


@scenario
@given_time
def extend_restarts_hold_max(lab, scale):
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", lease_ms=60000, hold_max_ms=3000 * scale)
    client.put("q", "a")
    item, got = client.get_one("q"), time.monotonic()
    while time.monotonic() < got + 4 * scale:
        check_equal(client.extend(item).status, Status.OK, "extend after %.1f s" % (time.monotonic() - got))
        time.sleep(0.2)
    check_equal(client.task_done(item).status, Status.OK, "done")


@scenario
@given_time
def ttl(lab, scale):
    """ready and delayed items expire, never early; leased ones do not"""
    broker = lab.broker()
    client = broker.client()
    client.declare("q", ttl_ms=3000 * scale)
    put_at = time.monotonic()
    client.put("q", "a", "b", "c")
    held = client.get_one("q")
    check_equal(client.stat("q").ready, 2, "ready")
    join = client.send("join", queue="q", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", expired=2)
    check(time.monotonic() - put_at >= 3 * scale, "expired too early")
    check_equal(client.stat("q").leased, 1, "leased")
    client.task_done(held)
    check_equal(client.wait(join).status, Status.OK, "join")


@scenario
def fair_share(lab):
    """an answer gives at most ceil(ready / consumers)"""
    broker = lab.broker(memory=True)
    consumers = [broker.client() for _ in range(4)]
    waits = [c.send("get", queue="q", max_items=100, wait_ms=WAIT_FOREVER) for c in consumers]
    broker.await_stat("q", waiting_gets=4)
    producer = broker.client()
    producer.put("q", *range(100))
    counts = [len(c.end_get(w)[1]) for c, w in zip(consumers, waits)]
    check(max(counts) <= 25, "shares %s", counts)
    check_equal(broker.stat("q").consumers, 4, "consumers")
    taken = sum(counts)
    left = 100 - taken
    share = len(consumers[0].get("q", 100)[1])
    check(share <= -(-left // 4), "a share of %d of %d ready", share, left)


@scenario
def waiting_gets_are_served_in_order(lab):
    broker = lab.broker(memory=True)
    consumers = [broker.client() for _ in range(5)]
    waits = []
    for number, consumer in enumerate(consumers):
        waits.append(consumer.send("get", queue="q", wait_ms=WAIT_FOREVER))
        broker.await_stat("q", waiting_gets=number + 1)
    producer = broker.client()
    producer.put("q", *range(5))
    check_equal([c.end_get(w)[1][0].body for c, w in zip(consumers, waits)], [b"%d" % n for n in range(5)], "order")


@scenario
def get_by_bytes(lab):
    """max_bytes bounds an answer, but one item always comes"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.put("q", *[b"x" * 1000] * 10)
    check_equal(len(client.get("q", 10, max_bytes=3500)[1]), 3, "items in 3500 bytes")
    check_equal(len(client.get("q", 10, max_bytes=1)[1]), 1, "items in 1 byte")
    for _ in range(4):
        client.put("big", *[b"y" * 1000000] * 5)
    items = client.get("big", 20)[1]
    check(1 <= len(items) <= 8, "%d MB in one frame", len(items))


@scenario
def get_waits_and_times_out(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    before = time.monotonic()
    check_equal(client.get("q", wait_ms=400)[0], Status.EMPTY, "get")
    took = time.monotonic() - before
    check(0.35 < took < 15 * lab.slow, "took %.2f s", took)
    check_equal(broker.stat("q").waiting_gets, 0, "waiters")


@scenario
def the_answer_has_everything(lab):
    """epoch, lease and hold_max of an answer are those of the queue or the get"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.declare("q", lease_ms=7000, hold_max_ms=9000)
    client.put("q", "a", "b")
    reply = client.wait(client.send("get", queue="q"))
    check_equal((reply.get.lease_ms, reply.get.hold_max_ms, reply.get.epoch), (7000, 9000, client.hello_reply.epoch), "queue's")
    check_equal(len(items_of(reply)), 1, "items when max_items is 0 or 1")
    reply = client.wait(client.send("get", queue="q", lease_ms=1234, hold_max_ms=5678))
    check_equal((reply.get.lease_ms, reply.get.hold_max_ms), (1234, 5678), "get's")


if __name__ == "__main__":
    sys.exit(main())
