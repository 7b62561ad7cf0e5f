"""kill -9 of the broker under load, after so many answers as the seed says: nothing answered is lost, nothing answered done comes again."""
import collections
import sys
import time

sys.dont_write_bytecode = True
from nqlab import check, check_equal, main, scenario, until
from nqlab.history import Getter, History, Putter, settle


def kill_and_start(broker, lab, count, most, still_well):
    """Kill it at once, or when `count()` of what is answered has risen by so many, or still_well() says that it does not rise any more; see that it
    starts."""
    wanted = count() + lab.random.choice((0, 1, lab.random.randrange(most), lab.random.randrange(most)))
    until(lambda: still_well() or count() >= wanted, 60 * lab.slow, "answers come")
    check(broker.running(), "the broker ended by itself")
    broker.kill()
    if lab.random.random() < 0.3:
        time.sleep(lab.random.uniform(0, 0.3))  # long enough that clients find nobody, or not: nothing tells how far they are
    took = broker.start()
    still_well()
    return took


@scenario(timeout=240, long_timeout=1800)
def clients_with_a_history(lab):
    """3 putters and 3 getters keep account of every answer (20 kills; 200 with --long)"""
    broker = lab.broker("--session-grace", "1s")
    history = History()
    workers = [Putter(history, broker.endpoint, "q", lab.seed + n) for n in range(3)]
    workers += [Getter(history, broker.endpoint, "q", lab.seed + 10 + n) for n in range(3)]
    for worker in workers:
        worker.start()
    kills = 200 if lab.long else 20
    slowest = max(kill_and_start(broker, lab, lambda: len(history.accepted), 4000, history.check_promises) for _ in range(kills))
    settle(history, broker, workers, lab)
    lab.note("%d kills, %d puts answered, %d delivered more than once, %d leases lost, %d reconnects, slowest start %.2f s" % (
        kills, len(history.accepted), history.again(), history.lost_leases, history.reconnects, slowest))


@scenario(timeout=240, long_timeout=1800)
def programs_ride_through(lab):
    """netqueue-producer and netqueue-consumer over kills: every line arrives, the producer ends 0"""
    broker = lab.broker("--session-grace", "1s")
    kills = 100 if lab.long else 10
    count = 5000 * kills
    inputs, producers = [], []
    for number in range(2):
        inputs += [b"%d %d" % (number, i) for i in range(count)]
        path = lab.write("in-%d" % number, b"".join(b"%d %d\n" % (number, i) for i in range(count)))
        with open(path, "rb") as file:
            producers.append(broker.spawn("netqueue-producer", "q", "--rate", "10000", stdin=file))
    consumers = [broker.spawn("netqueue-consumer", "q") for _ in range(2)]

    def puts():
        stat = broker.stat("q")
        return stat.puts if stat else 0

    def still_well():
        for program in consumers + producers:
            check(program.running() or program.process.returncode == 0, "%s ended with %s: %s", program.tag, program.process.returncode, program.err)
        return not any(producer.running() for producer in producers)  # then no more is put

    for _ in range(kills):
        kill_and_start(broker, lab, puts, 10000, still_well)
    for producer in producers:
        producer.wait(200).expect(0)
    broker.await_stat("q", 60, unfinished=0)  # tells the numbers when it does not end
    broker.admin("join", "q", timeout=60).expect(0)
    broker.admin("shutdown", "q").expect(0)
    outputs = [c.wait(30).expect(0).lines for c in consumers]
    found = collections.Counter(line for lines in outputs for line in lines)
    lost = set(inputs) - set(found)
    check(not lost, "%d of %d lines are lost, such as %s", len(lost), len(inputs), sorted(lost)[:5])
    check(set(found) == set(inputs), "lines came out that never went in")
    stat = broker.stat("q")
    check_equal((stat.puts, stat.dones, stat.unfinished), (2 * count, 2 * count, 0), "each line is one item, done once")
    lab.note("%d kills, %d lines, %d printed more than once" % (kills, 2 * count, sum(1 for n in found.values() if n > 1)))


@scenario(timeout=240, long_timeout=600)
def numbers_after_kills(lab):
    """the queue's counters stay true to its items over kills"""
    broker = lab.broker("--session-grace", "300ms", "--session-timeout", "2s")
    for _ in range(30 if lab.long else 5):
        client = broker.client()
        client.put("q", *range(200))
        items = client.get("q", 100)[1]
        if items:  # none, when the machine has stood still for as long as a session may be silent
            client.task_done(*items[:50])
        client.drop()
        broker.kill()
        broker.start()
    stat = broker.await_stat("q", leased=0)
    check_equal(stat.unfinished, stat.ready, "unfinished")
    check_equal((stat.puts, stat.dones), (stat.unfinished + stat.dones, stat.puts - stat.unfinished), "puts = dones + unfinished")
    client = broker.client()
    seqs = []
    while True:
        items = client.get("q", 1000)[1]
        if not items:
            break
        seqs += [i.seq for i in items]
    check_equal((len(seqs), seqs), (stat.ready, sorted(set(seqs))), "items")


@scenario
def killed_while_idle(lab):
    """delays, time-outs and leases of long ago are right after a crash"""
    broker = lab.broker("--session-grace", "300ms")
    client = broker.client()
    client.put("q", "due", delay_ms=1500)
    client.put("q", "far", delay_ms=3600000)
    client.put("t", "x")
    client.declare("expiring", ttl_ms=1500)
    client.put("expiring", "gone")
    client.drop()
    broker.kill()
    time.sleep(0.5)  # some of the delays passes while there is no broker
    broker.start()
    stat = broker.stat("q")
    check_equal(stat.ready + stat.delayed, 2, "items")
    broker.await_stat("q", ready=1, delayed=1)
    broker.await_stat("expiring", ready=0, expired=1)
    check_equal(broker.stat("t").ready, 1, "t")


if __name__ == "__main__":
    sys.exit(main())
