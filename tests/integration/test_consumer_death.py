"""What a dead, stopped, silent or stuck consumer held goes to another, soon; a slow one keeps its own."""
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Keeper, Status, check, check_equal, given_time, main, scenario, until


def seconds_until(condition, timeout, what):
    before = time.monotonic()
    until(condition, timeout, what)
    return time.monotonic() - before


PATIENT = ("--session-timeout", "1h")  # so that nothing but the end of a connection can end a session


def long_lease(broker):
    """So that nothing but the end of a session brings an item back."""
    broker.admin("declare", "q", "--lease", "1h").expect(0)


def busy_consumer(lab, broker, *flags, script="exec sleep 60"):
    """A consumer whose command runs."""
    started = lab.path("started-%d" % lab.next_number())
    consumer = broker.spawn("netqueue-consumer", "q", *flags, "--", "sh", "-c", 'echo x >> "%s"; %s' % (started, script))
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    return consumer


@scenario
def killed(lab):
    """kill -9: its items are with another within grace + a few seconds, at their old place"""
    broker = lab.broker(*PATIENT)
    long_lease(broker)
    broker.produce("q", "a", "b", "c").expect(0)
    consumer = busy_consumer(lab, broker)
    other = broker.client()
    killed = time.monotonic()
    consumer.kill()
    until(lambda: broker.stat("q").leased == 0, 15 * lab.slow, "the item is ready again")
    took = time.monotonic() - killed
    lab.note("ready again after %.1f s (session grace 2 s)" % took)
    check(1.5 < took < 6 * lab.slow, "took %.1f s", took)
    items = other.get("q", 5)[1]
    check_equal([(i.body, i.failures) for i in items], [(b"a", 1), (b"b", 0), (b"c", 0)], "items")
    check(items[0].redelivered, "not flagged redelivered")


@scenario
def killed_while_another_waits(lab):
    """the waiting consumer gets the item without asking again"""
    broker = lab.broker("--session-grace", "500ms", *PATIENT)
    long_lease(broker)
    broker.produce("q", "a").expect(0)
    consumer = busy_consumer(lab, broker)
    waiting = broker.spawn("netqueue-consumer", "q", "-n", "1")
    broker.await_stat("q", waiting_gets=1)
    consumer.kill()
    check_equal(waiting.wait(15).expect(0).out, b"a\n", "output")


@scenario
def many_killed(lab):
    """twenty consumers killed at once under load: every item is finished by the others"""
    broker = lab.broker("--session-grace", "500ms", *PATIENT)
    long_lease(broker)
    broker.produce("q", input=b"".join(b"%d\n" % i for i in range(3000))).expect(0)
    victims = [broker.spawn("netqueue-consumer", "q", "--", "sh", "-c", "cat > /dev/null; sleep 0.05") for _ in range(10)]
    broker.await_stat("q", 30, dones=lambda n: n > 100)
    for victim in victims:
        victim.process.kill()
    for victim in victims:
        victim.kill()
    broker.await_stat("q", 20, leased=0)
    result = broker.consume("q", "--exit-when-empty").expect(0)
    stat = broker.stat("q")
    check_equal((stat.dones, stat.unfinished), (3000, 0), "stat")
    lab.note("%d left by the killed" % len(result.lines))


@scenario
def stopped(lab):
    """SIGSTOP for longer than session_timeout: another takes over; when it wakes up it does no harm"""
    broker = lab.broker("--session-timeout", "2s", "--session-grace", "500ms")
    long_lease(broker)
    broker.produce("q", "a").expect(0)
    consumer = busy_consumer(lab, broker, script="while ! [ -e go ]; do sleep 0.05; done; cat; echo")
    consumer.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: broker.stat("q").ready == 1, 20 * lab.slow, "the item is ready again")
    other = broker.client()
    item = other.get_one("q")
    took = time.monotonic() - stopped
    lab.note("with another after %.1f s (session timeout 2 s)" % took)
    check(1 < took < 8 * lab.slow, "took %.1f s", took)
    check_equal((item.body, item.failures), (b"a", 1), "item")
    lab.write("go", b"")
    consumer.signal(signal.SIGCONT)
    check_equal(other.task_done(item).status, Status.OK, "the new holder's done")
    broker.produce("q", "next").expect(0)
    until(lambda: b"next" in consumer.out, 20 * lab.slow, "the woken consumer goes on; its output %r" % consumer.out)
    broker.await_stat("q", unfinished=0)
    consumer.signal(signal.SIGTERM)
    check(consumer.wait(20).code in (0, 1), "exit code")


@scenario
@given_time
def silent(lab, scale):
    """a connected client that says nothing ends after session_timeout"""
    broker = lab.broker("--session-timeout", "%ds" % scale, "--session-grace", "300ms", memory=True)
    long_lease(broker)
    client = broker.client()
    client.put("q", "a")
    before = time.monotonic()
    client.get_one("q")
    until(lambda: broker.stat("q").ready == 1, 15 * lab.slow, "the item is ready again")
    took = time.monotonic() - before
    check(0.8 * scale < took < 5 * lab.slow * scale, "took %.1f s", took)
    check_equal(client.call("stat", queue="q").status, Status.NO_SESSION, "the silent session")


@scenario
@given_time
def busy_but_renewing(lab, scale):
    """a client whose keeper renews lives on, however long it works"""
    broker = lab.broker("--session-timeout", "%ds" % (3 * scale), "--session-grace", "300ms", memory=True)
    client = broker.client()
    client.put("q", "a")
    item = client.get_one("q")
    keeper = Keeper(client, 0.3)
    keeper.start()
    time.sleep(7 * scale)
    keeper.stop()
    check_equal(set(keeper.statuses), {Status.OK}, "renewals")
    check_equal(client.task_done(item).status, Status.OK, "done")


@scenario
@given_time
def slow_command(lab, scale):
    """a command longer than session_timeout and lease keeps its item"""
    broker = lab.broker("--session-timeout", "%ds" % (3 * scale), "--session-grace", "500ms", memory=True)
    broker.produce("q", "a").expect(0)
    broker.consume("q", "-n", "1", "--lease", "%ds" % (3 * scale), "--", "sleep", str(7 * scale)).expect(0)
    stat = broker.stat("q")
    check_equal((stat.dones, stat.failed, stat.redelivered), (1, 0, 0), "stat")


@scenario
@given_time
def stuck(lab, scale):
    """hold_max: a stuck worker must let go, though its keeper renews"""
    broker = lab.broker(memory=True)
    broker.admin("declare", "q", "--lease", "%ds" % scale, "--hold-max", "%ds" % (3 * scale)).expect(0)
    broker.produce("q", "a").expect(0)
    before = time.monotonic()
    busy_consumer(lab, broker)
    item = broker.client().get_one("q", wait_ms=int(20000 * lab.slow))
    took = time.monotonic() - before
    check(1.5 * scale < took < 8 * lab.slow * scale, "took %.1f s", took)
    check_equal(item.failures, 1, "failures")


@scenario
def poison(lab):
    """an item that kills its consumer ends in the dead-letter queue after max_deliveries"""
    broker = lab.broker("--session-grace", "300ms")
    broker.admin("declare", "q", "--max-deliveries", "3", "--dead-letter", "dead").expect(0)
    broker.produce("q", "poison", "good").expect(0)
    script = 'read -r body; [ "$body" = poison ] && kill -9 $PPID; echo "$body"'
    deaths = 0
    deadline = time.monotonic() + 60 * lab.slow
    while broker.stat("q").unfinished and time.monotonic() < deadline:
        consumer = broker.spawn("netqueue-consumer", "q", "--max-idle", "2s", "--", "sh", "-c", script)
        deaths += consumer.wait(30).code == -signal.SIGKILL
    check_equal(broker.stat("q").unfinished, 0, "unfinished")
    check_equal(deaths, 3, "consumers killed")
    dead = broker.client().get_one("dead")
    check_equal((dead.body, dict(dead.headers)[b"nq-failures"]), (b"poison", b"3"), "dead letter")


@scenario
def dead_producer(lab):
    """a producer killed while it waits for room leaves nothing behind"""
    broker = lab.broker("--session-grace", "300ms", memory=True)
    broker.admin("declare", "q", "--maxsize", "1").expect(0)
    producer = broker.spawn("netqueue-producer", "q", "a", "b")
    broker.await_stat("q", waiting_puts=1)
    producer.kill()
    broker.await_stat("q", waiting_puts=0, ready=1)
    client = broker.client()
    client.get_one("q")
    check_equal(client.get("q")[0], Status.EMPTY, "the dead producer's second item")


@scenario
def idle_broker_uses_no_cpu(lab):
    """with waiting consumers and nothing to do"""
    broker = lab.broker()
    for _ in range(3):
        broker.spawn("netqueue-consumer", "q")
    broker.await_stat("q", waiting_gets=3)

    def cpu_seconds():
        with open("/proc/%d/stat" % broker.pid, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = cpu_seconds()
    time.sleep(5)
    used = cpu_seconds() - before
    lab.note("%.2f s of CPU in 5 s" % used)
    check(used < 0.25 * lab.slow, "%.2f s of CPU in 5 s", used)


if __name__ == "__main__":
    sys.exit(main())
