"""A bad network between the real programs and the broker: cut connections, lost answers, stalls. Nothing is lost, nothing is stored or printed twice.

Faults come when so many puts and dones more are stored, and after so many bytes then, numbers from the seed. (Not after so many bytes alone: a
link that always breaks before a whole request has passed lets nothing through.) Times are waited for only where the fault is one of time: a stall.
"""
import itertools
import re
import sys
import time

sys.dont_write_bytecode = True
from nqlab import check, check_equal, given_time, main, scenario, until
from nqlab.proxy import Proxy


class Course:
    """How far the work has come, asked on a connection that the faults do not touch."""

    def __init__(self, lab, broker, proxy, producer):
        self.lab, self.watcher, self.proxy, self.producer = lab, broker.client(), proxy, producer

    def goes_on(self):
        return self.producer.running()

    def _stored(self):
        stat = self.watcher.stat("q")
        return stat.puts + stat.dones

    def await_more(self, most):
        """Until so many puts and dones more are stored as the seed says."""
        wanted = self._stored() + self.lab.random.randrange(most)
        until(lambda: self._stored() >= wanted or not self.goes_on(), 60 * self.lab.slow, "puts and dones are stored")

    def await_sessions(self):
        """Until both programs know their session: an answer of each came through."""
        until(lambda: min(self.watcher.stat("q").puts, self.watcher.stat("q").dones) > 0, 60 * self.lab.slow, "both programs have worked")

    def await_end_of_sessions(self):
        until(lambda: self.watcher.call("ping").ping.sessions == 1, 60 * self.lab.slow, "sessions end")

    def lose(self, sender, most, least=1):
        """After some bytes more of that sender, what follows is lost, at least so many bytes; then the connection ends."""
        self.proxy.limit(sender, self.lab.random.randrange(most))
        until(lambda: self.proxy.lost[sender] >= least or not self.goes_on(), 60 * self.lab.slow, "bytes of the %s pass" % sender)
        self.proxy.cut(reset=self.lab.random.random() < 0.5)
        self.proxy.limit(sender, None)


def through(lab, faults, count, rate, queue_options=(), session_grace="20s"):
    """One producer and one consumer through a proxy while faults(proxy, course) is called again and again."""
    broker = lab.broker("--session-grace", session_grace, "--log-level", "debug")
    broker.admin("declare", "q", *queue_options).expect(0)
    proxy = Proxy(broker.endpoint)
    text = b"".join(b"line %d\n" % i for i in range(count))
    consumer = lab.spawn("netqueue-consumer", "q", server=proxy.endpoint)
    with open(lab.write("in", text), "rb") as file:
        producer = lab.spawn("netqueue-producer", "q", "--rate", rate, stdin=file, server=proxy.endpoint)
    course = Course(lab, broker, proxy, producer)
    try:
        course.await_sessions()
        while course.goes_on():
            faults(proxy, course)
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
    opened = re.findall(rb"opened by '.*:(netqueue-\w+):", broker.program.err)
    check(proxy.cuts >= 3, "only %d cuts", proxy.cuts)
    check(consumer.out == text, "the output differs from the input: %d and %d lines", len(consumer.out.splitlines()), count)
    check_equal(sorted(opened), [b"netqueue-consumer", b"netqueue-producer"], "sessions opened: each was resumed in time")
    check_equal((stat.redelivered, stat.failed), (stat.requeued, 0), "redelivered, failed: what came again had found its connection gone")


@scenario
def cuts(lab):
    """connections end in the middle of requests, politely or not"""
    def fault(_proxy, course):
        course.await_more(6000)
        course.lose("clients", 3000)
    through(lab, fault, 200000 if lab.long else 40000, "8000")


@scenario
def lost_answers(lab):
    """what the broker answers is lost from any byte on, then the connection ends"""
    def fault(_proxy, course):
        course.await_more(6000)
        course.lose("broker", 3000, lab.random.choice((1, 20, 200)))
    through(lab, fault, 200000 if lab.long else 40000, "8000")


@scenario
def lost_answers_on_a_full_queue(lab):
    """the same with a bounded queue: puts wait, runs are accepted in parts"""
    def fault(_proxy, course):
        course.await_more(1000)
        course.lose("broker" if lab.random.random() < 0.7 else "clients", 1000)
    through(lab, fault, 40000 if lab.long else 8000, "2000", ["--maxsize", "5"])


@scenario
def stalls(lab):
    """nothing passes for up to a second, then all of it; now and then the connection ends behind a stall"""
    ends = itertools.cycle(lab.random.sample((True, True, True, False, False), 5))

    def fault(proxy, course):
        course.await_more(4000)
        proxy.hold = True
        time.sleep(lab.random.uniform(0.1, 1.0))  # a stall is time in which nothing happens
        if next(ends):
            proxy.cut(reset=True)
        proxy.hold = False
    through(lab, fault, 100000 if lab.long else 25000, "4000")


@scenario
@given_time
def connections_that_pass_nothing(lab, scale):
    """as behind a firewall that has forgotten them: after two thirds of --timeout the programs open new ones, and go on"""
    broker = lab.broker("--session-timeout", "5m")
    proxy = Proxy(broker.endpoint)
    text = b"".join(b"line %d\n" % i for i in range(1000))
    patience = ["--timeout", "%ds" % (15 * scale)]
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
    """sessions end, or do not quite: items come again, flagged; each is stored once and done once"""
    broker = lab.broker("--session-grace", "200ms", "--session-timeout", "2s")
    broker.admin("declare", "q").expect(0)
    proxy = Proxy(broker.endpoint)
    count = 12000
    with open(lab.write("in", b"".join(b"%d\n" % i for i in range(count))), "rb") as file:
        producer = lab.spawn("netqueue-producer", "q", "--rate", "1500", stdin=file, server=proxy.endpoint)
    consumers = [lab.spawn("netqueue-consumer", "q", server=proxy.endpoint) for _ in range(2)]
    course = Course(lab, broker, proxy, producer)
    try:
        while course.goes_on():
            course.await_more(4000)
            proxy.hold = True
            proxy.cut(reset=True)
            if lab.random.random() < 0.7:
                course.await_end_of_sessions()
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
