"""A graceful restart loses nothing, redelivers nothing whose lease runs, and is ridden through by producers and consumers."""
import json
import os
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Status, check, check_equal, given_time, main, scenario, until

VOLATILE = {"waiting_gets", "waiting_puts", "waiting_joins", "consumers"}


def stats(broker):
    found = broker.admin("list", "--format", "json").expect(0).json()
    return [{k: v for k, v in queue.items() if k not in VOLATILE} for queue in found]


@scenario
def stat_is_equal(lab):
    """queues in every state: all numbers are the same after a restart, twice"""
    broker = lab.broker("--session-grace", "20s")
    client = broker.client()
    client.declare("bounded", maxsize=5, lease_ms=90000, dead_letter="dead", max_deliveries=1, ttl_ms=3600000)
    client.put("bounded", *range(9))
    held = client.get("bounded", 3)[1]
    client.task_done(held[0])
    client.requeue(held[1], dead=True)
    client.put("delays", "a", delay_ms=3600000)
    client.put("delays", "b", "c")
    client.requeue(client.get_one("delays"), delay_ms=1800000, failed=True)
    client.put("purged", *range(50))
    client.call("purge", queue="purged")
    client.put("purged", "after")
    client.put("closed", "left")
    client.call("shutdown", queue="closed")
    client.declare("empty")
    before = stats(broker)
    for number in range(2):
        broker.restart()
        check(client.reconnect().resumed, "the session was not resumed")
        after = stats(broker)
        for old, new in zip(before, after):
            check_equal(new, old, "queue %s after restart %d" % (old["name"], number + 1))
        check_equal(len(after), len(before), "queues")
    check_equal(client.task_done(held[2]).status, Status.OK, "done of a lease from before")
    check_equal([i.body for i in client.get("bounded", 10)[1]], [b"3", b"4"], "what was ready")


@scenario
def running_commands_are_not_disturbed(lab):
    """consumers work on items while the broker restarts: nothing is redelivered"""
    broker = lab.broker("--session-grace", "20s")
    count = 12
    broker.produce("q", *[str(n) for n in range(count)]).expect(0)
    consumers = [broker.spawn("netqueue-consumer", "q", "-j", "2", "--", "sh", "-c", 'while ! [ -e go ]; do sleep 0.1; done; echo "$(cat)"') for _ in range(2)]
    broker.await_stat("q", leased=lambda n: n >= 4)
    took = broker.restart()
    lab.write("go", b"")
    broker.admin("join", "q", timeout=60).expect(0)
    broker.admin("shutdown", "q").expect(0)
    lines = [line for c in consumers for line in c.wait(30).expect(0).lines]
    check_equal(sorted(map(int, lines)), list(range(count)), "lines")
    stat = broker.stat("q")
    check_equal((stat.dones, stat.redelivered, stat.failed), (count, 0, 0), "stat")
    lab.note("the start took %.2f s" % took)


@scenario(timeout=240)
def order_over_restarts(lab):
    """one producer and one consumer at full speed over four restarts: in order, byte for byte, nothing twice"""
    broker = lab.broker("--session-grace", "20s")
    count = 400000 if lab.long else 60000
    text = b"".join(b"line %d\n" % i for i in range(count))
    consumer = broker.spawn("netqueue-consumer", "q")
    with open(lab.write("in", text), "rb") as file:
        producer = broker.spawn("netqueue-producer", "q", "--rate", str(count // 5), stdin=file)
    for number in range(4):
        target = count * (number + 1) // 6
        broker.await_stat("q", puts=lambda n: n >= target)
        broker.restart()
    producer.wait(100).expect(0)
    broker.admin("join", "q", timeout=60).expect(0)
    broker.admin("shutdown", "q").expect(0)
    consumer.wait(30).expect(0)
    check(consumer.out == text, "the output differs from the input (%d and %d lines)", len(consumer.out.splitlines()), count)
    check_equal(broker.stat("q").redelivered, 0, "redelivered")


@scenario
def waiters_survive(lab):
    """a parked get, put and join are answered after the restart"""
    broker = lab.broker("--session-grace", "20s")
    client = broker.client()
    client.declare("full", maxsize=1)
    client.put("full", "1")
    client.put("unfinished", "x")
    item = client.get_one("unfinished")
    get = client.send("get", queue="q", wait_ms=60000)
    put = client.send_put("full", "2", wait_ms=60000)
    join = client.send("join", queue="unfinished", wait_ms=60000)
    broker.await_stat("q", waiting_gets=1)
    broker.restart()
    check(client.reconnect().resumed, "not resumed")
    broker.await_stat("full", waiting_puts=1)
    other = broker.client()
    check_equal(other.get_one("full").body, b"1", "full")
    other.put("q", "y")
    check_equal(client.end_get(get)[1][0].body, b"y", "the waiting get")
    check_equal(client.wait(put).status, Status.OK, "the waiting put")
    client.task_done(item)
    check_equal(client.wait(join).status, Status.OK, "the waiting join")


@scenario
def programs_wait_for_the_broker(lab):
    """a producer, a consumer and a join started without a broker go on when it comes"""
    broker = lab.broker()
    broker.produce("q", "0").expect(0)
    broker.stop()
    producer = broker.spawn("netqueue-producer", "q", "1", "2")
    consumer = broker.spawn("netqueue-consumer", "q", "-n", "3")
    time.sleep(0.3)
    check(producer.running() and consumer.running(), "they did not wait")
    broker.start()
    producer.wait(20).expect(0)
    check_equal(consumer.wait(20).expect(0).out, b"0\n1\n2\n", "output")


@scenario
@given_time
def gone_for_good(lab, scale):
    """a producer and a consumer whose broker does not come back end 69 within --timeout"""
    broker = lab.broker()
    broker.admin("declare", "q", "--maxsize", "1").expect(0)
    patience = ["--timeout", "%ds" % (2 * scale)]
    producer = broker.spawn("netqueue-producer", "q", *patience, "a", "b")
    consumer = broker.spawn("netqueue-consumer", "other", *patience)
    broker.await_stat("q", waiting_puts=1)
    broker.await_stat("other", waiting_gets=1)
    broker.kill()
    for program in (producer, consumer):
        before = time.monotonic()
        result = program.wait(20).expect(69)
        result.one_line_error()
        check(time.monotonic() - before < 8 * lab.slow * scale, "took %.1f s", time.monotonic() - before)


@scenario
def second_broker_on_the_same_directory(lab):
    """refused, 73, one clear line that names the directory"""
    broker = lab.broker()
    result = lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", broker.data, timeout=20).expect(73)
    check(broker.data.encode() in result.err, "stderr does not name the directory: %r", result.err)
    broker.produce("q", "x").expect(0)


@scenario
def data_directory_that_cannot_be(lab):
    """a file instead of a directory, a directory without permission: 73, one line"""
    path = lab.write("file", b"")
    result = lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", path, timeout=20)
    check(result.code in (73, 78), "exit code %d", result.code)
    check(path.encode() in result.err, "stderr %r", result.err)


@scenario
def store_of_another_version(lab):
    """what this broker cannot read is storage (73), behind which no service manager starts it again; check and compact say the same"""
    broker = lab.broker()
    broker.stop()
    path = os.path.join(broker.data, "data.mdb")
    with open(path, "rb") as file:
        data = file.read()
    check(b"format\x01" in data, "where the format stands")
    with open(path, "wb") as file:
        file.write(data.replace(b"format\x01", b"format\x4d"))
    for args in (["--listen", "tcp://127.0.0.1:*", "--data", broker.data], ["check", broker.data], ["compact", broker.data]):
        ended = lab.run("netqueue-broker", *args, timeout=20).expect(73)
        check(b"77" in ended.err.splitlines()[-1], "%s names the format: %r", args, ended.err)


@scenario
def endpoint_file_that_cannot_be(lab):
    """a directory in its place: 78, one line that names it, and nothing is left beside it"""
    place = lab.path("place")
    os.makedirs(os.path.join(place, "endpoint"))
    broker = lab.broker(start=False)
    ended = lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", broker.data, "--endpoint-file", os.path.join(place, "endpoint"), timeout=20)
    check(place.encode() in ended.expect(78).err.splitlines()[-1], "stderr %r", ended.err)
    check_equal(os.listdir(place), ["endpoint"], "beside it")
    broker.start()


@scenario
def starts_that_fail(lab):
    """a port in use, an endpoint file that cannot be: such a start is no crash, the next one hands out nothing as redelivered"""
    broker = lab.broker("--session-grace", "20s")
    client = broker.client()
    client.put("q", "held", "ready")
    held = client.get_one("q")
    broker.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = "tcp://127.0.0.1:%d" % taken.getsockname()[1]
        lab.run("netqueue-broker", "--listen", listen, "--data", broker.data, timeout=60).expect(69)
    place = lab.path("place")
    os.makedirs(place)
    lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", broker.data, "--endpoint-file", place, timeout=60).expect(78)
    broker.start()
    check(client.reconnect().resumed, "the session was not resumed")
    ready = client.get_one("q")
    check_equal((ready.body, ready.redelivered), (b"ready", False), "what nobody had had")
    check_equal(client.task_done(held).status, Status.OK, "done of a lease from before")
    check_equal(broker.stat("q").redelivered, 0, "redelivered")


@scenario
def stop_while_everything_runs(lab):
    """SIGTERM under load ends with 0, quickly"""
    broker = lab.broker()
    programs = [broker.spawn("netqueue-producer", "q", "-n", "100000000", "--size", "100") for _ in range(2)]
    programs += [broker.spawn("netqueue-consumer", "q", stdout=open(os.devnull, "wb")) for _ in range(2)]
    broker.await_stat("q", dones=lambda n: n > 1000)
    before = time.monotonic()
    broker.stop()
    lab.note("stopped in %.2f s" % (time.monotonic() - before))
    for program in programs:
        program.kill()
    broker.start()
    stat = broker.stat("q")
    check_equal(stat.unfinished, stat.puts - stat.dones, "unfinished = puts - dones")


@scenario(timeout=240, long_timeout=900)
def stop_again_and_again(lab):
    """40 graceful restarts (400 with --long) at random moments of running traffic: each stop ends, in time, with 0"""
    broker = lab.broker("--session-grace", "10s")
    producer = broker.spawn("netqueue-producer", "q", "-n", "100000000", "--size", "20", "--rate", "12000")
    consumer = broker.spawn("netqueue-consumer", "q", stdout=open(os.devnull, "wb"))
    slowest = 0.0
    for _ in range(400 if lab.long else 40):
        time.sleep(lab.random.uniform(0.05, 0.5))
        check(producer.running() and consumer.running(), "a program ended: %r %r", producer.err, consumer.err)
        before = time.monotonic()
        broker.stop()
        slowest = max(slowest, time.monotonic() - before)
        broker.start()
    lab.note("slowest stop %.2f s" % slowest)
    producer.kill(), consumer.kill()
    stat = broker.await_stat("q", leased=0)
    check_equal((stat.redelivered, stat.unfinished), (0, stat.puts - stat.dones), "redelivered, unfinished")


@scenario
def signals(lab):
    """SIGINT stops as SIGTERM does; the endpoint file tells where it serves"""
    broker = lab.broker()
    broker.program.signal(signal.SIGINT)
    broker.program.wait(20).expect(0)
    broker.start()
    with open(broker.endpoint_file, encoding="ascii") as file:
        check_equal(file.read().split(), [broker.endpoint], "endpoint file")
    broker.program.signal(signal.SIGHUP)
    time.sleep(0.2)
    check(broker.running() or broker.program.process.returncode == 0, "SIGHUP killed it")


def is_stopped(pid):
    """Each of its threads: from then on it takes nothing."""
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, thread), encoding="ascii") as file:
            if file.read().rsplit(")", 1)[1].split()[0] != "T":
                return False
    return True


@scenario
def second_signal(lab):
    """a second signal ends a stop at once: 75, and it says so; what was answered is there after a start"""
    broker = lab.broker()
    client = broker.client()
    check_equal(client.put("q", *range(100)).status, Status.OK, "put")
    broker.program.signal(signal.SIGSTOP)
    until(lambda: is_stopped(broker.pid), 20 * lab.slow, "it is stopped")
    broker.program.signal(signal.SIGINT)  # the first, as the lower number; both are there when it goes on, so the second cannot come too late
    broker.program.signal(signal.SIGTERM)
    broker.program.signal(signal.SIGCONT)
    ended = broker.program.wait(30).expect(75, "broker after a second signal")
    check(b"stopped at once" in ended.err, "it says why: %r", ended.err)
    broker.start()
    check_equal(broker.stat("q").ready, 100, "items")


@scenario
def temporary_queues_end_with_their_users(lab):
    """also when the broker was restarted in between"""
    broker = lab.broker("--session-grace", "5s")
    client = broker.client()
    client.declare("tmp", temporary=True)
    client.put("tmp", "x")
    broker.restart()
    client.reconnect()
    check_equal(client.get_one("tmp").body, b"x", "still there for its user")
    client.drop()
    until(lambda: broker.stat("tmp") is None, 30 * lab.slow, "the temporary queue is gone", 0.1)


@scenario
def json_is_whole(lab):
    """stat --format json is one object"""
    broker = lab.broker()
    broker.produce("q", "x").expect(0)
    json.loads(broker.admin("stat", "q", "--format", "json").expect(0).out)


if __name__ == "__main__":
    sys.exit(main())
