"""Sessions and lost answers from outside: resume, reconnect, restart, crash, vanished clients; with the Python client."""
import sys

sys.dont_write_bytecode = True
from nqlab import Client, Status, WAIT_FOREVER, check, check_equal, given_time, main, scenario, until

PATIENT = ("--session-grace", "60s")  # for who comes back, however slow the machine is


@scenario
def lost_answer_of_a_put(lab):
    """sent again with the same numbers: one item"""
    broker = lab.broker(*PATIENT)
    client = broker.client()
    put = client.send_put("q", "a", "b")
    client.lose_answer(put)
    check(client.reconnect().resumed, "not resumed")
    reply = client.wait(put)
    check_equal((reply.status, reply.put.duplicate, reply.put.accepted, reply.put.last_number), (Status.OK, True, 2, 2), "again")
    check_equal(client.stat("q").ready, 2, "ready")


@scenario
def lost_answer_of_a_get(lab):
    """the same items again, no second delivery"""
    broker = lab.broker(*PATIENT)
    client = broker.client()
    client.put("q", "a", "b", "c")
    get = client.send("get", queue="q", max_items=2)
    client.lose_answer(get)
    client.reconnect()
    status, items = client.end_get(get)
    check_equal((status, [i.body for i in items], [i.delivery for i in items]), (Status.OK, [b"a", b"b"], [1, 1]), "again")
    stat = client.stat("q")
    check_equal((stat.ready, stat.leased), (1, 2), "stat")
    check_equal(client.task_done(*items).status, Status.OK, "done")


def lost_over(lab, end):
    """The answer of a get is lost as the broker ends; its lease is stored: after the start the same answer, good tokens."""
    broker = lab.broker(*PATIENT)
    client = broker.client()
    client.put("q", "a", "b", "c")
    get = client.send("get", queue="q", max_items=2)
    client.lose_answer(get)
    client.put("other", "x")  # what is stored with this has the lease, too
    end(broker)
    broker.start()
    check(client.reconnect().resumed, "not resumed")
    status, items = client.end_get(get)
    check_equal((status, [i.body for i in items], broker.stat("q").leased), (Status.OK, [b"a", b"b"], 2), "again")
    check_equal(client.extend(items[0]).status, Status.OK, "extend with the token of the second answer")
    check_equal(client.task_done(*items).status, Status.OK, "task_done with the tokens of the second answer")
    check_equal((client.stat("q").leased, client.stat("q").unfinished), (0, 1), "leased, unfinished")


@scenario
def lost_answer_of_a_get_over_a_restart(lab):
    """SIGTERM between the get and the resume"""
    lost_over(lab, lambda broker: broker.stop())


@scenario
def lost_answer_of_a_get_over_a_crash(lab):
    """kill -9 between the get and the resume"""
    lost_over(lab, lambda broker: broker.kill())


@scenario
def unnamed_gets_come_back(lab):
    """items of answered gets that HELLO does not name come back at once, uncounted"""
    broker = lab.broker(*PATIENT)
    client = broker.client()
    client.put("q", *range(4))
    lost = client.send("get", queue="q", max_items=2)
    client.lose_answer(lost)
    client.pending.pop(lost)
    kept = client.get_one("q")
    client.reconnect()
    stat = broker.await_stat("q", ready=3, leased=1)
    check_equal(stat.failed, 0, "failures")
    check_equal(client.task_done(kept).status, Status.OK, "the named one's done")
    status, items = client.get("q", 4)
    check_equal([(i.body, i.failures) for i in items], [(b"0", 0), (b"1", 0), (b"3", 0)], "items")


@scenario
def waiting_get_survives_a_reconnect(lab):
    """parked before, answered on the new connection, once"""
    broker = lab.broker(*PATIENT)
    client, other = broker.client(), broker.client()
    get = client.send("get", queue="q", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_gets=1)
    client.reconnect()
    other.put("q", "a", "b")
    status, items = client.end_get(get)
    check_equal((status, [i.body for i in items]), (Status.OK, [b"a"]), "get")
    stat = other.stat("q")
    check_equal((stat.ready, stat.leased, stat.waiting_gets), (1, 1, 0), "stat")


@scenario
def vanished_waiter_takes_nothing(lab):
    """a get whose client is gone gets no item"""
    broker = lab.broker("--session-grace", "300ms", memory=True)
    gone, other = broker.client(), broker.client()
    gone.send("get", queue="q", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_gets=1)
    gone.drop()
    other.put("q", "a")  # may go to the one that is gone, whose session ends soon
    check_equal(other.task_done(other.get_one("q", wait_ms=60000)).status, Status.OK, "the item comes back")
    broker.await_stat("q", waiting_gets=0)
    other.put("q", "b")
    item = other.get_one("q")
    check_equal((item.body, item.failures, item.delivery), (b"b", 0, 1), "item put when the waiter is known to be gone")


@scenario
def goodbye(lab):
    """leases come back uncounted, waiters vanish, a temporary queue goes with its last user"""
    broker = lab.broker(memory=True)
    client, other = broker.client(), broker.client()
    client.declare("tmp", temporary=True)
    client.put("tmp", "x")
    client.put("q", "a")
    client.get_one("q")
    check_equal(other.call("stat", queue="tmp").status, Status.OK, "temporary queue")
    client.goodbye()
    item = other.get_one("q", wait_ms=60000)
    check_equal((item.body, item.failures), (b"a", 0), "item")
    until(lambda: other.call("stat", queue="tmp").status == Status.NO_SUCH_QUEUE, 20 * lab.slow, "the temporary queue is gone")


@scenario
def dead_session_counts_taken_items(lab):
    """at the end of a session only what the application had taken counts as failed"""
    broker = lab.broker("--session-grace", "300ms")
    client, other = broker.client(), broker.client()
    client.put("q", *range(6))
    get = client.send("get", queue="q", max_items=4)
    status, items = client.end_get(get)
    check_equal((status, len(items)), (Status.OK, 4), "get")
    client.taken = [(get, 2)]
    client.call("ping")
    client.drop()
    broker.await_stat("q", ready=6)
    found = [(i.body, i.failures) for i in other.get("q", 6)[1]]
    check_equal(found, [(b"0", 1), (b"1", 1), (b"2", 0), (b"3", 0), (b"4", 0), (b"5", 0)], "items, each at its old place, and failures")


@scenario
def restart_keeps_leases_of_a_resumed_session(lab):
    """a graceful restart redelivers nothing whose lease still runs"""
    broker = lab.broker(*PATIENT)
    client = broker.client()
    client.put("q", *range(4))
    held = client.get("q", 2)[1]
    requeued = client.get_one("q")
    client.requeue(requeued, delay_ms=60000)
    before = client.stat("q")
    broker.restart()
    reply = client.reconnect()
    check(reply.resumed and reply.epoch > 1, "resumed %s, epoch %d", reply.resumed, reply.epoch)
    after = client.stat("q")
    for field in ("ready", "leased", "delayed", "unfinished", "puts", "gets", "dones", "redelivered", "next_seq", "failed"):
        check_equal(getattr(after, field), getattr(before, field), field)
    check_equal(client.task_done(*held).status, Status.OK, "done of leases from before")
    check_equal([(i.body, i.redelivered) for i in client.get("q", 5)[1]], [(b"3", False)], "the rest")


@scenario
@given_time
def restart_remembers_what_was_taken(lab, scale):
    """of a session that ends after a graceful restart only what the application had taken before counts as failed"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "%dms" % (1500 * scale))
    client = broker.client()
    client.declare("q", lease_ms=3600000)
    client.put("q", *range(4))
    get = client.send("get", queue="q", max_items=4)
    client.end_get(get)
    client.put("other", "x")  # with this the leases are stored, none of them taken yet
    client.taken = [(get, 2)]
    client.call("ping")
    client.drop()
    broker.restart()
    broker.await_stat("q", ready=4)
    other = broker.client()
    check_equal([i.failures for i in other.get("q", 4)[1]], [1, 1, 0, 0], "failures")


@scenario
@given_time
def unresumed_session_after_restart(lab, scale):
    """its leases come back after the session timeout"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "%dms" % (1500 * scale))
    client = broker.client()
    client.declare("q", lease_ms=3600000)  # only the end of its session brings the item back
    client.put("q", "a", "b")
    client.get_one("q")
    client.drop()
    broker.restart()
    broker.await_stat("q", ready=2, leased=0)
    other = broker.client()  # only now: idle, its own session would end
    check_equal([i.body for i in other.get("q", 2)[1]], [b"a", b"b"], "bodies")


@scenario
@given_time
def crash_makes_leases_ready(lab, scale):
    """kill -9: an unfinished item is there, flagged or on lease; a finished one is not"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "%dms" % (1500 * scale))
    client = broker.client()
    client.put("q", "done", "held", "ready")
    done, _held = client.get("q", 2)[1]
    check_equal(client.task_done(done).status, Status.OK, "done")
    broker.kill()
    client.drop()
    broker.start()
    broker.await_stat("q", ready=2)
    other = Client(broker.endpoint)
    found = [(i.body, i.redelivered) for i in other.get("q", 5)[1]]
    check_equal([body for body, _ in found], [b"held", b"ready"], "bodies")
    check(found[0][1], "the item held at the crash is not flagged redelivered")
    other.goodbye()


if __name__ == "__main__":
    sys.exit(main())
