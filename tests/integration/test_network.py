"""A bad network between the real programs and the broker: cut connections, lost answers, stalls. Nothing is lost, nothing is stored or printed twice."""
import sys
import time

sys.dont_write_bytecode = True
from nqlab import check, check_equal, main, scenario
from nqlab.proxy import Proxy


def through(lab, faults, count, rate, queue_options=(), session_grace="20s"):
    """One producer and one consumer through a proxy while faults(proxy) is called again and again."""
    broker = lab.broker("--session-grace", session_grace)
    if queue_options:
        broker.admin("declare", "q", *queue_options).expect(0)
    proxy = Proxy(broker.endpoint)
    text = b"".join(b"line %d\n" % i for i in range(count))
    consumer = lab.spawn("netqueue-consumer", "q", server=proxy.endpoint)
    with open(lab.write("in", text), "rb") as file:
        producer = lab.spawn("netqueue-producer", "q", "--rate", rate, stdin=file, server=proxy.endpoint)
    try:
        while producer.running():
            faults(proxy)
        producer.wait(60).expect(0)
        check_equal(broker.stat("q").puts, count, "items stored of those the producer says are stored")
        broker.admin("join", "q", timeout=60).expect(0)
        broker.admin("shutdown", "q").expect(0)
        consumer.wait(60).expect(0)
    finally:
        proxy.stop()
    stat = broker.stat("q")
    check_equal((stat.dones, stat.unfinished), (count, 0), "dones, unfinished")
    lab.note("%d cuts, %d redelivered" % (proxy.cuts, stat.redelivered))
    check(proxy.cuts >= 3, "only %d cuts", proxy.cuts)
    check(consumer.out == text, "the output differs from the input: %d and %d lines", len(consumer.out.splitlines()), count)
    check_equal(stat.redelivered, 0, "redelivered although every session was resumed in time")


@scenario
def cuts(lab):
    """connections end at random moments, politely or not"""
    def fault(proxy):
        time.sleep(lab.random.uniform(0.02, 0.4))
        proxy.cut(reset=lab.random.random() < 0.5)
    through(lab, fault, 200000 if lab.long else 40000, "8000")


@scenario
def lost_answers(lab):
    """for a moment nothing that the broker answers arrives, then the connection ends"""
    def fault(proxy):
        time.sleep(lab.random.uniform(0.05, 0.4))
        proxy.swallow = True
        time.sleep(lab.random.uniform(0.005, 0.1))
        proxy.cut(reset=True)
        proxy.swallow = False
    through(lab, fault, 200000 if lab.long else 40000, "8000")


@scenario
def lost_answers_on_a_full_queue(lab):
    """the same with a bounded queue: puts wait, runs are accepted in parts"""
    def fault(proxy):
        time.sleep(lab.random.uniform(0.05, 0.3))
        proxy.swallow = lab.random.random() < 0.7
        time.sleep(lab.random.uniform(0.005, 0.05))
        proxy.cut(reset=True)
        proxy.swallow = False
    through(lab, fault, 40000 if lab.long else 8000, "2000", ["--maxsize", "5"])


@scenario
def stalls(lab):
    """nothing passes for up to a second, then all of it; now and then the connection ends behind a stall"""
    def fault(proxy):
        time.sleep(lab.random.uniform(0.1, 0.3))
        proxy.hold = True
        time.sleep(lab.random.uniform(0.1, 1.0))
        if lab.random.random() < 0.6:
            proxy.cut(reset=True)
        proxy.hold = False
    through(lab, fault, 100000 if lab.long else 25000, "4000")


@scenario
def connections_that_pass_nothing(lab):
    """as behind a firewall that has forgotten them: after two thirds of --timeout the programs open new ones, and go on"""
    broker = lab.broker("--session-timeout", "60s")
    proxy = Proxy(broker.endpoint)
    text = b"".join(b"line %d\n" % i for i in range(1000))
    patience = ["--timeout", "15s"]
    consumer = lab.spawn("netqueue-consumer", "q", *patience, server=proxy.endpoint)
    with open(lab.write("in", text), "rb") as file:
        producer = lab.spawn("netqueue-producer", "q", "--rate", "500", *patience, stdin=file, server=proxy.endpoint)
    try:
        broker.await_stat("q", dones=lambda n: n >= 100)
        proxy.strike_dumb()
        producer.wait(60).expect(0)
        broker.admin("join", "q", timeout=60).expect(0)
        broker.admin("shutdown", "q").expect(0)
        consumer.wait(60).expect(0)
    finally:
        proxy.stop()
    check(consumer.out == text, "the output differs from the input: %d and %d lines", len(consumer.out.splitlines()), 1000)
    check_equal((broker.stat("q").puts, broker.stat("q").redelivered), (1000, 0), "puts, redelivered")


@scenario
def cuts_longer_than_the_grace(lab):
    """sessions end: items come again, flagged; each is stored once and done once"""
    broker = lab.broker("--session-grace", "200ms", "--session-timeout", "2s")
    proxy = Proxy(broker.endpoint)
    count = 12000
    with open(lab.write("in", b"".join(b"%d\n" % i for i in range(count))), "rb") as file:
        producer = lab.spawn("netqueue-producer", "q", "--rate", "1500", stdin=file, server=proxy.endpoint)
    consumers = [lab.spawn("netqueue-consumer", "q", server=proxy.endpoint) for _ in range(2)]
    try:
        while producer.running():
            time.sleep(lab.random.uniform(0.3, 0.8))
            proxy.hold = True
            proxy.cut(reset=True)
            time.sleep(lab.random.uniform(0.0, 2.0))
            proxy.hold = False
        producer.wait(60).expect(0)
        broker.admin("join", "q", timeout=60).expect(0)
        broker.admin("shutdown", "q").expect(0)
        lines = [line for c in consumers for line in c.wait(60).expect(0).lines]
    finally:
        proxy.stop()
    stat = broker.stat("q")
    check_equal((stat.puts, stat.dones, stat.unfinished), (count, count, 0), "puts, dones, unfinished")
    check_equal(sorted(set(map(int, lines))), list(range(count)), "lines")
    lab.note("%d cuts, %d printed more than once" % (proxy.cuts, len(lines) - count))


if __name__ == "__main__":
    sys.exit(main())
