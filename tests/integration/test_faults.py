"""Faults of the real programs under load, judged by the history of what producers and consumers were told (nqlab/history.py).

Workers are processes of their own where they are stopped or killed. Kills of the broker are in test_kill9.py, disks that fail or are full
in test_disk_errors.py and test_disk_full.py, a cut network in test_netns.py, all of it for an hour in test_soak.py.
"""
import os
import random
import resource
import signal
import struct
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Client, Skip, Status, WAIT_FOREVER, check, check_equal, given_time, main, scenario, until
from nqlab.crew import Hand
from nqlab.history import Getter, History, Putter, settle
from nqlab.zmtp import Peer, greeting, ready

MEBI = 1024 * 1024


def threads_of(history, broker, lab, putters=2, getters=2, **more):
    workers = [Putter(history, broker.endpoint, "q", lab.seed + n) for n in range(putters)]
    workers += [Getter(history, broker.endpoint, "q", lab.seed + 10 + n, **more) for n in range(getters)]
    for worker in workers:
        worker.start()
    return workers


def await_progress(history, lab, count=20):
    wanted = len(history.done) + count
    until(lambda: len(history.done) >= wanted or history.wrong, 30 * lab.slow, "items are put and done")
    history.check_promises()


def descriptors(broker):
    return len(os.listdir("/proc/%d/fd" % broker.pid))


def preloaded(lab, name):
    path = os.path.join(lab.build_dir, "lib", name)
    if lab.sanitizer:
        raise Skip("a sanitizer wants to be loaded first")
    check(os.path.exists(path), "no %s", path)
    return path


# ------------------------------------------------------------------------------------------------------- consumers that stop or die


@scenario(timeout=240, long_timeout=1200)
def stopped_longer_than_a_lease(lab):
    """getters are stopped (SIGSTOP) until what they held has come to others, then go on"""
    broker = lab.broker("--session-timeout", "1s", "--session-grace", "500ms")
    broker.admin("declare", "q", "--lease", "1s").expect(0)
    history = History()
    hands = [Hand(lab, history, "putter", broker.endpoint, "q", 5) for _ in range(2)]
    hands += [Hand(lab, history, "getter", broker.endpoint, "q", hold=0.5) for _ in range(4)]
    await_progress(history, lab)
    rounds = 0
    while rounds < (30 if lab.long else 3) or (rounds < 40 and history.again() == 0):
        rounds += 1
        frozen = lab.random.sample(hands[2:], 2)
        for hand in frozen:
            hand.freeze()
        time.sleep(2.5)  # longer than lease, session_timeout and grace
        for hand in frozen:
            hand.thaw()
        await_progress(history, lab)
    settle(history, broker, hands, lab)
    again = history.again()
    check(again > 0, "nothing came again: the stops hit nobody who held something")
    lab.note("%d accepted, %d delivered more than once, %d leases lost" % (len(history.accepted), again, history.lost_leases))


@scenario
@given_time
def a_broker_that_stood_still(lab, scale):
    """the broker is stopped for longer than a lease and session_timeout: that is nobody's silence, and whoever goes on keeps what he held"""
    broker = lab.broker("--session-timeout", "%ds" % (2 * scale), "--lease", "%ds" % (2 * scale), memory=True)
    worker, other = broker.client(), broker.client()
    worker.put("q", "x")
    item = worker.get_one("q")
    broker.program.signal(signal.SIGSTOP)
    ping = other.send("ping")
    time.sleep(2.5 * scale)
    broker.program.signal(signal.SIGCONT)
    check_equal(other.wait(ping).status, Status.OK, "the broker goes on")
    check_equal(worker.task_done(item).status, Status.OK, "task_done")
    stat = broker.stat("q")
    check_equal((stat.dones, stat.failed, stat.unfinished), (1, 0, 0), "done, failed, unfinished")


@scenario(timeout=240, long_timeout=1200)
def killed_workers(lab):
    """putters and getters are killed (kill -9) at any moment and replaced"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "1h")
    broker.admin("declare", "q", "--lease", "1h").expect(0)  # only the end of its connection brings back what a getter held
    history = History()
    kinds = ["putter", "putter", "getter", "getter"]
    hands = [Hand(lab, history, kind, broker.endpoint, "q", 20 if kind == "putter" else 0) for kind in kinds]
    await_progress(history, lab)
    for _ in range(100 if lab.long else 8):
        which = lab.random.randrange(len(hands))
        time.sleep(lab.random.uniform(0, 0.3))
        hands[which].kill()
        hands[which] = Hand(lab, history, kinds[which], broker.endpoint, "q", 20 if hands[which].puts else 0)
    settle(history, broker, hands, lab)
    lab.note("%d accepted, %d delivered more than once" % (len(history.accepted), history.again()))


@scenario(timeout=240, long_timeout=600)
def slow_and_endless_consumers(lab):
    """some take their time, some never finish: hold_max takes their items back, the others do them"""
    broker = lab.broker()
    broker.admin("declare", "q", "--lease", "1s", "--hold-max", "2s").expect(0)
    history = History()
    endless = [broker.spawn("netqueue-consumer", "q", "-j", "3", "--grace", "0", "--", "sh", "-c", "cat >/dev/null; exec sleep 600") for _ in range(2)]
    broker.produce("q", *["endless %d" % n for n in range(6)]).expect(0)
    broker.await_stat("q", gets=lambda n: n >= 6)  # not all at one time, when one of the two starts late
    with history.lock:
        history.accepted.update(b"endless %d" % n for n in range(6))
    workers = threads_of(history, broker, lab, 1, 1) + threads_of(history, broker, lab, 0, 1, hold=0.3)
    await_progress(history, lab, 200 if not lab.long else 5000)
    for consumer in endless:
        check(consumer.running(), "a consumer ended: %s", consumer.err)
    until(lambda: {b"endless %d" % n for n in range(6)} <= history.done.keys() or history.wrong, 60 * lab.slow, "others do what the endless held")
    for consumer in endless:
        consumer.kill()
    settle(history, broker, workers, lab)
    lab.note("%d accepted, %d delivered more than once" % (len(history.accepted), history.again()))


# ------------------------------------------------------------------------------------------------------------------- the broker


@scenario(timeout=240, long_timeout=1200)
def restarts_under_load(lab):
    """graceful restarts: nothing is lost, nothing comes twice, no lease is lost"""
    broker = lab.broker("--session-grace", "30s")
    history = History()
    workers = threads_of(history, broker, lab, 3, 3)
    await_progress(history, lab)
    for _ in range(100 if lab.long else 8):
        time.sleep(lab.random.uniform(0, 0.3))
        broker.restart()
        await_progress(history, lab)
    settle(history, broker, workers, lab)
    check_equal((history.again(), history.lost_leases), (0, 0), "delivered more than once, leases lost")
    lab.note("%d accepted, %d reconnects" % (len(history.accepted), history.reconnects))


@scenario
def two_brokers_on_one_directory(lab):
    """the second is refused (73) while the first works; after a kill -9 of the first, one of two that start at once serves"""
    broker = lab.broker("--session-grace", "500ms")
    history = History()
    workers = threads_of(history, broker, lab)
    await_progress(history, lab)
    for _ in range(20 if lab.long else 4):
        second = lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", broker.data, timeout=20).expect(73)
        check(broker.data.encode() in second.err, "it does not name the directory: %r", second.err)
        await_progress(history, lab)
    for _ in range(10 if lab.long else 2):
        broker.kill()
        rival = lab.spawn("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", broker.data, "--endpoint-file", lab.path("rival"))
        served = broker.try_start()
        if not served:  # the rival was first
            broker.program.wait(20).expect(73)
            until(lambda: os.path.exists(lab.path("rival")), 20 * lab.slow, "the rival serves")
            rival.kill()
            broker.start()
        else:
            rival.wait(20).expect(73)
        await_progress(history, lab)
    settle(history, broker, workers, lab)


# ------------------------------------------------------------------------------------------------------------------------ clocks


class Clock:
    """The wall clock of a broker that is started with `env`."""

    def __init__(self, lab):
        self.path = lab.write("clock", struct.pack("q", 0))
        self.env = {"LD_PRELOAD": preloaded(lab, "libnq_stepped_clock.so"), "NQ_CLOCK_FILE": self.path}

    def set(self, seconds):
        with open(self.path, "r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))


@scenario(timeout=240, long_timeout=600)
def clock_steps(lab):
    """steps of the wall clock by hours under load: nothing ends early or late, nothing comes twice"""
    clock = Clock(lab)
    broker = lab.broker("--session-timeout", "1h", start=False)
    broker.start_env = clock.env
    broker.start()
    client = broker.client()
    client.put("delayed", "in an hour", delay_ms=3600000)
    client.declare("expiring", ttl_ms=3600000)
    client.put("expiring", "within an hour")
    client.declare("held", lease_ms=3600000)
    client.put("held", "for an hour")
    item = client.get_one("held")
    history = History()
    workers = threads_of(history, broker, lab)
    await_progress(history, lab)
    for _ in range(200 if lab.long else 12):
        clock.set(lab.random.randrange(-10 * 86400, 10 * 86400))
        time.sleep(lab.random.uniform(0, 0.1))
        await_progress(history, lab, 5)
    check_equal(client.put("soon", "x", delay_ms=300).status, Status.OK, "put")
    broker.await_stat("soon", ready=1)
    check_equal((client.stat("delayed").delayed, client.stat("expiring").ready, client.stat("held").leased), (1, 1, 1), "delayed, ready, leased")
    check_equal(client.task_done(item).status, Status.OK, "done of the lease")
    settle(history, broker, workers, lab)
    check_equal((history.again(), history.lost_leases), (0, 0), "delivered more than once, leases lost")
    # A start takes the wall clock again: what was due within the step is, so the clock was really another.
    client.drop()
    broker.stop()
    clock.set(2 * 3600)
    broker.start()
    broker.await_stat("delayed", ready=1, delayed=0)
    broker.await_stat("expiring", ready=0, expired=1)
    # And when the clock was set back, time begins where it had been: it does not stand still until the clock has come there again.
    broker.stop()
    clock.set(-86400)
    broker.start()
    client = broker.client()
    check_equal(client.put("soon", "y", delay_ms=300).status, Status.OK, "put")
    broker.await_stat("soon", ready=2)


@scenario
def away_for_longer_than_a_lease(lab):
    """a broker that was away for half an hour, stopped or killed, takes no item from a consumer that comes back, and counts no failure"""
    clock = Clock(lab)
    for kill in (False, True):
        broker = lab.broker("--session-timeout", "60s", start=False)
        broker.start_env = clock.env
        broker.start()
        client = broker.client()
        client.declare("q", lease_ms=60000, max_deliveries=1)  # a failure would be its end: there is no dead-letter queue
        client.put("q", "x")
        item = client.get_one("q")
        client.put("other", "y")  # with this the lease is stored
        (broker.kill if kill else broker.stop)()
        clock.set(1800 if kill else 900)
        broker.start()
        broker.await_stat("other", ready=1)
        check(client.reconnect().resumed, "resumed")
        check_equal((client.stat("q").leased, client.stat("q").failed), (1, 0), "leased, failed")
        check_equal(client.task_done(item).status, Status.OK, "done of the lease")
        client.drop()
        broker.stop()


@scenario(timeout=240, long_timeout=900)
def clock_steps_between_kills(lab):
    """the broker is killed and finds its clock hours ahead or behind: nothing is lost, nothing done comes again"""
    clock = Clock(lab)
    broker = lab.broker("--session-grace", "500ms", start=False)
    broker.start_env = clock.env
    broker.start()
    history = History()
    workers = threads_of(history, broker, lab)
    for _ in range(100 if lab.long else 8):
        await_progress(history, lab)
        broker.kill()
        clock.set(lab.random.randrange(-12 * 3600, 10 * 3600))  # less than dedup_keep in all: a stream may be forgotten after that
        broker.start()
    settle(history, broker, workers, lab)
    lab.note("%d accepted, %d delivered more than once, %d leases lost" % (len(history.accepted), history.again(), history.lost_leases))


# ------------------------------------------------------------------------------------------------------------------------ limits


@scenario(timeout=240, long_timeout=600)
def descriptors_run_out(lab):
    """connections take all descriptors, over several checkpoints: who is connected goes on; afterwards all is as before"""
    broker = lab.broker("--session-grace", "500ms", prefix=["prlimit", "--nofile=64:64"])
    history = History()
    workers = threads_of(history, broker, lab)
    await_progress(history, lab)
    before = descriptors(broker)
    for _ in range(10 if lab.long else 2):
        flood = []
        for _ in range(150):
            peer = Peer(broker.endpoint)
            peer.send(greeting() + ready())  # whole ones, which no handshake time ends
            flood.append(peer)
        until(lambda: descriptors(broker) >= 62, 20 * lab.slow, lambda: "the limit is reached; %d" % descriptors(broker))
        until_later = time.monotonic() + 2.2  # a checkpoint is begun each second
        while time.monotonic() < until_later:
            await_progress(history, lab, 5)
        check(broker.running(), "the broker ended")
        for peer in flood:
            peer.close()
        until(lambda: descriptors(broker) <= before + 2, 30 * lab.slow, lambda: "descriptors: %d before, %d now" % (before, descriptors(broker)))
        client = broker.client()
        check_equal(client.call("ping").status, Status.OK, "a new client after the flood")
        client.drop()
    settle(history, broker, workers, lab)


def putting_client(broker):
    """A new session that has put an item. One of which nothing is heard for two seconds, when the machine stands still, is over before."""
    while True:
        client = Client(broker.endpoint, timeout=30 * broker.lab.slow)
        status = client.put("q", "x").status
        if status != Status.NO_SESSION:
            check_equal(status, Status.OK, "put")
            return client
        client.drop()


def drain(broker):
    status = Status.NO_SESSION
    while status == Status.NO_SESSION:
        client = broker.client()
        status, items = client.get("q", 1000)
        while status == Status.OK and client.task_done(*items).status == Status.OK:
            status, items = client.get("q", 1000)
        status = Status.NO_SESSION if status == Status.OK else status
        client.goodbye()
    check_equal(status, Status.EMPTY, "what is left")


@scenario(timeout=240, long_timeout=900)
def thousands_of_sessions(lab):
    """600 sessions (20,000 with --long) come, put, get, and go, politely or not: descriptors, sessions and memory are flat"""
    broker = lab.broker("--session-grace", "100ms", "--session-timeout", "2s", "--dedup-keep", "1s")  # else what is known of 20,000 streams stays
    watcher = broker.client()
    count = 2000 if lab.long else 100
    memory = []
    rounds = 10 if lab.long else 6
    for _ in range(rounds):
        clients = []
        for number in range(count):
            client = putting_client(broker)
            clients.append(client)
            items = client.get("q")[1]  # none, when its session is over
            if number % 3 < 2 and items:
                client.task_done(*items)
            if number % 3 == 0:
                client.goodbye()
            elif number % 3 == 1:
                client.send("get", queue="never", wait_ms=WAIT_FOREVER)
            if len(clients) >= 50:
                for one in clients:
                    one.drop()
                clients = []
        for one in clients:
            one.drop()
        until(lambda: watcher.call("ping").ping.sessions <= 1, 60 * lab.slow, "the sessions are gone", 0.1)
        broker.await_stat("q", leased=0)
        drain(broker)
        until(lambda: descriptors(broker) <= 40, 20 * lab.slow, lambda: "%d descriptors" % descriptors(broker), 0.1)
        memory.append(broker.status_value("RssAnon"))
    stat = broker.stat("q")
    check_equal((stat.puts, stat.unfinished), (rounds * count, 0), "puts, unfinished")
    lab.note("RssAnon in MiB: %s" % " ".join("%.1f" % (m / MEBI) for m in memory))
    check(lab.sanitizer or memory[-1] < memory[1] + 4 * MEBI, "memory grows: %s", memory)


# ------------------------------------------------------------------------------------------------------------- the judge itself


def judged(*steps):
    """What the history says of: ("put", keys) accepted, ("got", getter, asked, body, seq, epoch, redelivered), ("done", keys, when)."""
    history = History()
    for what, *values in steps:
        if what == "put":
            history.note_accepted(*values)
        elif what == "done":
            history.note_done(*values)
        else:
            getter, asked, *delivery = values
            history.note_deliveries(getter, asked, [tuple(delivery)])
    try:
        history.check_nothing_lost()
    except AssertionError as error:
        return str(error)
    return ""


@scenario
def broken_promises_are_seen(lab):
    """each kind of broken promise is found in a history made for it; one whose notes come late is not"""
    del lab
    put, done = ("put", [b"p 1"]), ("done", [b"p 1"], 9.0)
    first, again = ("got", "a", 1.0, b"p 1", 1, 1, False), ("got", "b", 2.0, b"p 1", 1, 1, True)
    check_equal(judged(put, first, done), "", "a good history")
    check_equal(judged(put, again, done, first), "", "the first delivery noted last, by one who was stopped")
    for what, steps in (
            ("never done", (put, first)),
            ("without the flag", (put, first, ("got", "b", 2.0, b"p 1", 1, 1, False), done)),
            ("without the flag", (put, first, ("got", "b", 2.0, b"p 1", 1, 2, False), done)),
            ("after its task_done", (put, first, done, ("got", "b", 9.5, b"p 1", 1, 1, True))),
            ("has seq 2 and had 1", (put, first, ("got", "b", 2.0, b"p 1", 2, 1, True), done)),
            ("has seq 1 between", (put, first, ("got", "b", 2.0, b"p 2", 1, 1, False), done)),
            ("came to a after 5", (put, ("got", "a", 1.0, b"r 1", 5, 1, False), ("got", "a", 2.0, b"p 1", 4, 1, False), done)),
            ("another body", (put, ("got", "a", 1.0, b"p 1 x", 1, 1, False), done))):
        check(what in judged(*steps), "%r is not in %r", what, judged(*steps))


if __name__ == "__main__":
    sys.exit(main())
