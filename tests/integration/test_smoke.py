"""One short pass through everything: put, get, done, join, stat, list, shutdown and restart, with the programs and with the Python client."""
import sys

sys.dont_write_bytecode = True
from nqlab import Client, Status, check, check_equal, main, scenario

STAT_FIELDS = {"name", "ready", "leased", "delayed", "unfinished", "maxsize", "puts", "gets", "dones", "redelivered", "dead_lettered"}


@scenario
def programs_put_get_done(lab):
    """lines go in and come out in order"""
    broker = lab.broker()
    lines = b"".join(b"line %d\n" % i for i in range(2000)) + b"\nafter an empty line\n"
    broker.produce("lines", input=lines).expect(0)
    stat = broker.admin("stat", "lines", "--format", "json").expect(0).json()
    check(STAT_FIELDS <= set(stat), "stat lacks %s", STAT_FIELDS - set(stat))
    check_equal((stat["name"], stat["ready"], stat["unfinished"], stat["puts"]), ("lines", 2002, 2002, 2002), "stat")
    out = broker.consume("lines", "--exit-when-empty").expect(0).out
    check(out == lines, "the output differs from the input")
    stat = broker.admin("stat", "lines", "--format", "json").expect(0).json()
    check_equal((stat["ready"], stat["leased"], stat["unfinished"], stat["dones"]), (0, 0, 0, 2002), "stat")
    broker.stop()


@scenario
def programs_administration(lab):
    """declare, list, peek, purge, delete, join, ping"""
    broker = lab.broker()
    broker.admin("declare", "b", "--maxsize", "3").expect(0)
    broker.produce("a", "one", "two").expect(0)
    listed = broker.admin("list", "--format", "json").expect(0).json()
    check_equal([(q["name"], q["ready"], q["maxsize"]) for q in listed], [("a", 2, 0), ("b", 0, 3)], "list")
    check(b"one" in broker.admin("peek", "a").expect(0).out, "peek shows no body")
    check_equal(broker.stat("a").ready, 2, "ready after peek")
    broker.admin("ping").expect(0)
    broker.admin("purge", "a").expect(0)
    broker.admin("join", "a").expect(0)
    broker.admin("delete", "a").expect(0)
    broker.admin("stat", "a").expect(1).one_line_error()
    broker.stop()


@scenario
def consumer_runs_a_command(lab):
    """a command per item, body on its stdin"""
    broker = lab.broker()
    broker.produce("work", "x", "y", "z").expect(0)
    out = broker.consume("work", "--exit-when-empty", "--", "sh", "-c", 'echo "got $(cat)"').expect(0).out
    check_equal(out, b"got x\ngot y\ngot z\n", "output")
    check_equal(broker.stat("work").unfinished, 0, "unfinished")
    broker.stop()


@scenario
def python_client(lab):
    """the protocol's main requests"""
    broker = lab.broker()
    client = broker.client()
    reply = client.put("q", "a", "b", "c")
    check_equal((reply.status, reply.put.accepted, reply.put.last_seq), (Status.OK, 3, 3), "put")
    first, second = client.get_one("q"), client.get_one("q")
    check_equal((first.body, first.seq, second.body, second.seq), (b"a", 1, b"b", 2), "items")
    stat = client.stat("q")
    check_equal((stat.ready, stat.leased, stat.unfinished), (1, 2, 3), "stat")
    check_equal(client.task_done(first).status, Status.OK, "task_done")
    check_equal(client.requeue(second).status, Status.OK, "requeue")
    status, items = client.get("q", 10)
    check_equal([i.body for i in items], [b"b", b"c"], "after requeue")
    join = client.send("join", queue="q", wait_ms=60000)
    check(not client.answered(join, 0.2), "join answered with 2 unfinished")
    client.task_done(*items)
    check_equal(client.wait(join).status, Status.OK, "join")
    check_equal(client.get("q")[0], Status.EMPTY, "get")
    check_equal(client.call("shutdown", queue="q").status, Status.OK, "shutdown")
    check_equal(client.put("q", "x").status, Status.SHUT_DOWN, "put after shutdown")
    check_equal(client.get("q")[0], Status.SHUT_DOWN, "get after shutdown")
    check_equal(client.surprises, [], "answers to nothing")
    client.goodbye()
    broker.stop()


@scenario
def restart_keeps_items(lab):
    """a graceful restart"""
    broker = lab.broker()
    client = broker.client()
    client.put("q", *range(100))
    done = client.get("q", 10)[1]
    client.task_done(*done)
    client.goodbye()
    broker.restart()
    client = Client(broker.endpoint)
    check_equal(client.stat("q").ready, 90, "ready")
    check_equal([i.body for i in client.get("q", 100)[1]], [b"%d" % i for i in range(10, 100)], "bodies")
    client.goodbye()
    broker.stop()


@scenario
def memory_broker(lab):
    """--memory, waiting gets, shutdown"""
    broker = lab.broker(memory=True)
    consumer = broker.spawn("netqueue-consumer", "m")
    broker.await_stat("m", waiting_gets=1)
    broker.produce("m", "-n", "500", "--size", "10", "--join").expect(0)
    broker.admin("shutdown", "m").expect(0)
    result = consumer.wait(30).expect(0)
    check_equal(len(result.lines), 500, "lines")
    broker.stop()


@scenario
def examples_run(lab):
    """client/examples/: each ends 0 against a broker"""
    broker = lab.broker()
    for name in ("put_get", "worker", "producer_window", "event_loop"):
        program = broker.spawn("example_" + name)
        program.wait(60).expect(0)
    broker.stop()


if __name__ == "__main__":
    sys.exit(main())
