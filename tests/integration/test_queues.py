"""Queues from outside: options, dead letters' rules, peek, purge, delete, shutdown, join, list; with the Python client."""
import sys

sys.dont_write_bytecode = True
from nqlab import Status, WAIT_FOREVER, check, check_equal, main, scenario

HEADERS = [[("trace", "1"), ("n", "\x01\x02")], []]


@scenario
def declare_and_update(lab):
    """options compared, options not named ignored, update"""
    broker = lab.broker(memory=True)
    client = broker.client()
    check_equal(client.declare("q", maxsize=5, lease_ms=1000).stat.options.maxsize, 5, "declared")
    check_equal(client.declare("q", maxsize=5).status, Status.OK, "the same")
    check_equal(client.declare("q").status, Status.OK, "nothing named")
    check_equal(client.declare("q", maxsize=6).status, Status.DIFFERENT_OPTIONS, "another maxsize")
    check_equal(client.declare("q", maxsize=6, update=True).status, Status.OK, "update")
    stat = client.stat("q").options
    check_equal((stat.maxsize, stat.lease_ms), (6, 1000), "options")
    client.put("used", "x")
    check_equal(client.declare("used", maxsize=2).status, Status.OK, "first declare of a queue born by use")
    check_equal(client.declare("used", maxsize=3).status, Status.DIFFERENT_OPTIONS, "second")


@scenario
def initial_items(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    check_equal(client.declare("sem", initial=3).stat.ready, 3, "ready")
    check_equal(client.declare("sem", initial=3).stat.ready, 3, "ready after the second declare")
    check_equal([i.body for i in client.get("sem", 5)[1]], [b""] * 3, "bodies")


@scenario
def dead_letter_cycles(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    check_equal(client.declare("a", dead_letter="a").status, Status.BAD_DEAD_LETTER, "itself")
    client.declare("a", dead_letter="b")
    client.declare("b", dead_letter="c")
    check_equal(client.declare("c", dead_letter="a").status, Status.BAD_DEAD_LETTER, "cycle")


@scenario
def headers_travel(lab):
    broker = lab.broker()
    client = broker.client()
    client.put("q", "a", "b", headers=HEADERS)
    found = client.get("q", 2)[1]
    expected = [(n.encode(), v.encode()) for n, v in HEADERS[0]]
    check_equal([i.headers for i in found], [expected, []], "headers")
    client.requeue(*found)
    peeked = client.call("peek", queue="q", max_items=1)
    check_equal(len(peeked.peek.headers), 1, "headers of peek")


@scenario
def peek(lab):
    """reads ready items in order from a seq, takes nothing"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", *range(10))
    held = client.get("q", 2)[1]
    reply = client.call("peek", queue="q", max_items=3)
    check_equal((list(reply.peek.seqs), list(reply.peek.bodies)), ([3, 4, 5], [b"2", b"3", b"4"]), "peek")
    check_equal(list(client.call("peek", queue="q", from_seq=8, max_items=9).peek.seqs), [8, 9, 10], "from 8")
    client.requeue(held[1])
    check_equal(list(client.call("peek", queue="q", max_items=2).peek.seqs), [2, 3], "with one that came back")
    check_equal(list(client.call("peek", queue="q", from_seq=11, max_items=2).peek.seqs), [], "past the end")
    stat = client.stat("q")
    check_equal((stat.ready, stat.leased, stat.gets), (9, 1, 2), "stat")


@scenario
def purge_and_delete(lab):
    """ready and delayed go; leased ones can be finished, or are dropped when they come back"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", *range(10))
    client.put("q", "later", delay_ms=60000)
    *held, back = client.get("q", 3)[1]
    client.requeue(back)
    check_equal(client.call("purge", queue="q").count.count, 9, "count of purge")
    stat = client.stat("q")
    check_equal((stat.ready, stat.delayed), (0, 0), "after purge")
    check_equal(client.task_done(held[0]).status, Status.OK, "done of a purged one")
    client.requeue(held[1])
    stat = client.stat("q")
    check_equal((stat.ready, stat.unfinished), (0, 0), "after all came back")
    check_equal(client.put("q", "new").put.last_seq, 12, "seqs go on")
    old = client.stat("q").queue_id
    waiting = client.send("join", queue="q", wait_ms=WAIT_FOREVER)
    check_equal(client.call("delete", queue="q").status, Status.OK, "delete")
    check_equal(client.wait(waiting).status, Status.NO_SUCH_QUEUE, "join of a deleted queue")
    check_equal(client.call("stat", queue="q").status, Status.NO_SUCH_QUEUE, "stat")
    client.put("q", "x")
    check(client.stat("q").queue_id > old, "queue ids are never used again")


@scenario
def shutdown(lab):
    """drains, answers SHUT_DOWN, survives a restart, ends with delete"""
    broker = lab.broker()
    client, other = broker.client(), broker.client()
    client.put("q", "a", "b")
    held = client.get_one("q")
    client.call("shutdown", queue="q")
    check_equal(client.put("q", "x", wait_ms=1000).status, Status.SHUT_DOWN, "put")
    check_equal(other.get_one("q").body, b"b", "gets drain")
    check_equal(client.get("q", wait_ms=5000)[0], Status.SHUT_DOWN, "drained, one still leased")
    client.requeue(held)
    check_equal(client.get_one("q").seq, held.seq, "one that came back")
    client.drop(), other.drop()
    broker.restart()
    client = broker.client()
    check_equal(client.put("q", "x").status, Status.SHUT_DOWN, "after the restart")
    client.call("delete", queue="q")
    check_equal(client.put("q", "x").status, Status.OK, "after delete")


@scenario
def shutdown_immediate(lab):
    """drops ready, delayed, and leased when they come back; wakes all waiters"""
    broker = lab.broker(memory=True)
    client, waiter = broker.client(), broker.client()
    client.declare("q", maxsize=3)
    client.put("q", "a", "b", "c")
    held = client.get("q", 2)[1]
    client.put("q", "d", "e")
    put = waiter.send_put("q", "f", wait_ms=WAIT_FOREVER)
    get = waiter.send("get", queue="other", wait_ms=WAIT_FOREVER)
    broker.await_stat("q", waiting_puts=1)
    broker.await_stat("other", waiting_gets=1)
    check_equal(client.call("shutdown", queue="q", immediate=True).status, Status.OK, "shutdown")
    check_equal(waiter.wait(put).status, Status.SHUT_DOWN, "the waiting put")
    client.call("shutdown", queue="other")
    check_equal(waiter.wait(get).status, Status.SHUT_DOWN, "the waiting get")
    check_equal((client.stat("q").ready, client.stat("q").leased), (0, 2), "stat")
    check_equal(client.task_done(held[0]).status, Status.OK, "done")
    client.requeue(held[1])
    check_equal(client.stat("q").unfinished, 0, "unfinished")


@scenario
def join(lab):
    """answers at unfinished 0, times out, needs task_done"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", "a", "b")
    check_equal(client.join("q", 100), Status.TIMED_OUT, "join")
    check_equal(client.join("q", 0), Status.TIMED_OUT, "join that does not wait")
    items = client.get("q", 2)[1]
    waiting = client.send("join", queue="q", wait_ms=WAIT_FOREVER)
    client.task_done(items[0])
    check(not client.answered(waiting, 0.2), "join with one unfinished")
    client.task_done(items[1])
    check_equal(client.wait(waiting).status, Status.OK, "join")
    check_equal(client.join("q"), Status.OK, "join of a finished queue")


@scenario
def list_pages(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    for number in range(25):
        client.put("q%02d" % number, "x")
    check_equal([q.name for q in client.list_all(7)], [b"q%02d" % n for n in range(25)], "names")


@scenario
def exit_when_shut_down(lab):
    """a broker told so ends by itself, with 0, when all queues are shut down and drained and no session is left; not before"""
    broker = lab.broker("--exit-when-shut-down")
    client, other = broker.client(), broker.client()
    check_equal(client.call("ping").status, Status.OK, "without a queue it serves")
    client.put("a", "one")
    client.put("b", "two")
    item = client.get_one("a")
    for queue in ("a", "b"):
        check_equal(client.call("shutdown", queue=queue).status, Status.OK, "shutdown")
    check_equal(client.task_done(item).status, Status.OK, "one queue is drained")
    client.goodbye()
    other.goodbye()
    other = broker.client()
    check_equal(other.call("ping").status, Status.OK, "no session was left, but an item in the other queue")
    item = other.get_one("b")
    check_equal(other.task_done(item).status, Status.OK, "the last item")
    check_equal(other.call("ping").status, Status.OK, "a session is left")
    check(broker.running(), "still there")
    other.send("goodbye")  # whether its answer comes through before the process ends is the machine's affair
    broker.program.wait(30).expect(0)
    other.held.clear(), other.drop()
    check("all queues are shut down: stopping" in broker.log_tail(5), "it says why: %s", broker.log_tail(5))
    broker.start()
    check_equal(broker.client().stat("b").dones, 1, "what it had stored; queues shut down before do not end it")


@scenario
def shut_down_without_the_option(lab):
    """a broker that was not told so serves on"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.put("q", "one")
    client.task_done(client.get_one("q"))
    client.call("shutdown", queue="q")
    client.goodbye()
    check_equal(broker.client().put("other", "x").status, Status.OK, "put by another")


if __name__ == "__main__":
    sys.exit(main())
