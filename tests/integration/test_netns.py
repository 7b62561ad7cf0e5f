"""A network between the programs and the broker that delays, reorders, repeats and loses packets, and breaks without a word: two network
namespaces and a link of ours (nqlab/link.py), or the kernel's (tc netem: scenarios called netem_...). The connections are half open then:
neither side hears that the other is away. Needs root and /dev/net/tun or netem; skipped by name elsewhere."""
import functools
import os
import sys

sys.dont_write_bytecode = True
from nqlab import check, check_equal, given_time, main, scenario, until
from nqlab.crew import Hand
from nqlab.history import History, settle
from nqlab.lines import Lines
from nqlab.link import Way, Weather
from nqlab.netem import NetemLink
from nqlab.network import Network, TunLink

PATIENCE = 240  # seconds that a hand waits for an answer: one direction dead for 40 s, good for a moment, dead again
SHORT_SESSIONS = ("--session-timeout", "2s", "--session-grace", "1s")
SESSIONS_FOR_EVER = ("--session-timeout", "1h", "--session-grace", "1h", "--lease", "1h")
GOOD, CUT = Weather(), Weather(cut=True)
BAD = Weather(delay=0.02, jitter=0.02, loss=0.03, twice=0.03)
SLOW = Weather(delay=0.2, rate=16000)


class Load:
    """Two putters and two getters that keep a history and, with `lines`, a producer and two consumers, all on the clients' host."""

    def __init__(self, lab, network, lines=True, put_rate=10, filler=0):
        self.lab, self.network, self.history = lab, network, History(filler)
        self.hands = [Hand(lab, self.history, kind, network.broker.endpoint, "q", rate, prefix=network.prefix(network.outside), keys=network.key_directory,
                           patience=PATIENCE)
                      for kind, rate in (("putter", put_rate), ("putter", put_rate), ("getter", 0), ("getter", 0))]
        self.lines = Lines(lab, network, "lines", 200, 50) if lines else None

    def await_done(self, count):
        """Wait until so many items more are done, and a round of lines more has arrived."""
        items = len(self.history.done) + count
        rounds = len(self.lines.whole) + 1 if self.lines else 0

        def happened():
            if self.lines:
                self.lines.turn()
            return self.history.wrong or (len(self.history.done) >= items and (not self.lines or len(self.lines.whole) >= rounds))
        until(happened, 60 * self.lab.slow, lambda: "%s; %d of %d items are done" % (self.network.link.counts(), len(self.history.done), items))
        self.history.check_promises()

    def settle(self):
        settle(self.history, self.network, self.hands, self.lab)
        if self.lines:
            self.lines.settle()
        self.lab.note("%d accepted, %d delivered more than once, %d leases lost, %d reconnects%s" % (
            len(self.history.accepted), self.history.again(), self.history.lost_leases, self.history.reconnects,
            "; %d rounds of lines, %d printed more than once" % (self.lines.rounds, self.lines.again) if self.lines else ""))

    def check_nothing_twice(self):
        check_equal((self.history.again(), self.history.lost_leases, self.lines.again if self.lines else 0), (0, 0, 0),
                    "delivered more than once, leases lost, lines printed more than once")


def with_network(*flags, keys=False, make_link=TunLink):
    """The scenario takes a network, too; the broker on it is started with these flags."""
    def mark(work):
        @functools.wraps(work)
        def whole(lab):
            network = Network(lab, flags, keys, make_link)
            try:
                network.broker.start()
                work(lab, network)
            finally:
                for program in lab.programs:
                    program.kill()
                network.end()
        return whole
    return mark


def on_a_scale(work, flags, make_link):
    """A scenario with a network that is made again with longer times: flags that are numbers are seconds, work(lab, network, scale) has the scale."""
    @functools.wraps(work)
    def attempt(lab, scale):
        scaled = ["%ds" % (flag * scale) if isinstance(flag, int) else flag for flag in flags]
        with_network(*scaled, make_link=make_link)(lambda lab, network: work(lab, network, scale))(lab)
    return given_time(attempt)


def on_each_link(*flags, keys=False, long_timeout=1800, netem_long_only=True, on_scales=False):
    """Two scenarios with a network: on our own link, and, called netem_..., on the kernel's."""
    def mark(work):
        for prefix, make_link in (("", TunLink), ("netem_", NetemLink)):
            if on_scales:
                whole = on_a_scale(work, flags, make_link)
            else:
                whole = with_network(*flags, keys=keys, make_link=make_link)(work)
            whole.__name__ = prefix + work.__name__
            scenario(timeout=600 if on_scales else 240, long_timeout=long_timeout, long_only=netem_long_only and make_link is NetemLink)(whole)
        return work
    return mark


# ----------------------------------------------------------------------------------------------------------- the link itself


def sent_at_once(weather, count, size=100):
    """So many packets sent at the time 0; the way, and [(when, number)] of what arrived."""
    way, arrived = Way(7), []
    way.change(weather)
    for number in range(count):
        way.take(number.to_bytes(4, "big") + bytes(size - 4), 0.0)
    while way.next_time() is not None:
        now = way.next_time()
        arrived += [(now, int.from_bytes(packet[:4], "big")) for packet in way.arrivals(now)]
    return way, arrived


@scenario
def what_the_link_does(lab):
    """in virtual time: each kind of bad weather is what it says, and is counted"""
    del lab
    way, arrived = sent_at_once(GOOD, 1000)
    check_equal(arrived, [(0.0, number) for number in range(1000)], "a good link")
    way, arrived = sent_at_once(Weather(delay=0.2), 1000)
    check_equal(arrived, [(0.2, number) for number in range(1000)], "delay")
    way, arrived = sent_at_once(Weather(delay=0.2, jitter=0.1), 1000)
    check_equal(sorted(number for _, number in arrived), list(range(1000)), "jitter loses nothing")
    check(0.2 <= arrived[0][0] < 0.21 < 0.29 < arrived[-1][0] <= 0.3, "jitter: from %f to %f", arrived[0][0], arrived[-1][0])
    check(way.counts["overtaken"] > 900, "jitter: %s", way.counts)
    way, arrived = sent_at_once(Weather(loss=0.1), 10000)
    check(900 < way.counts["lost"] < 1100 and len(arrived) == 10000 - way.counts["lost"], "loss: %s", way.counts)
    way, arrived = sent_at_once(Weather(twice=0.1), 10000)
    check(900 < way.counts["twice"] < 1100 and len(arrived) == 10000 + way.counts["twice"], "twice: %s", way.counts)
    way, arrived = sent_at_once(Weather(rate=10000), 1000)  # 100 packets of 100 bytes a second, and room for 0.25 s
    check_equal([(round(when, 6), number) for when, number in arrived], [((number + 1) / 100, number) for number in range(25)], "rate")
    check_equal(way.counts["crowded"], 975, "no room for")
    way, arrived = sent_at_once(CUT, 1000)
    check_equal((arrived, way.counts["cut"]), ([], 1000), "cut")
    way.change(Weather(delay=1))
    way.take(b"under way", 0.0)
    way.change(CUT)
    check_equal((way.next_time(), way.counts["cut"]), (None, 1001), "what is under way at a cut")


# ------------------------------------------------------------------------------------------------------- weather that stays


@on_each_link(*SESSIONS_FOR_EVER, long_timeout=900)
def bad_link(lab, network):
    """packets late, out of order, twice and lost, under load: all is done and, as no session ends, nothing twice"""
    network.link.both(BAD)
    load = Load(lab, network, filler=3000)  # frames of several packets: on a slow machine, too, there are some to overtake each other
    load.await_done(3000 if lab.long else 50)
    network.link.await_counts(lost=20, twice=20, overtaken=20)
    load.settle()
    load.check_nothing_twice()
    check_equal(load.history.reconnects, 0, "connections given up")
    lab.note("%s" % network.link.counts())


class LongWork:
    """A consumer on the clients' host works on one item until it is told to end."""

    def __init__(self, lab, network, lease):
        self.network, self.seen, self.hold = network, lab.write("seen", b""), lab.write("hold", b"")
        network.ask("netqueue", "declare", "work", "--lease", lease).expect(0)
        network.ask("netqueue-producer", "work", "long").expect(0)
        command = 'cat >> "%s"; while test -e "%s"; do sleep 0.1; done' % (self.seen, self.hold)
        self.worker = network.spawn("netqueue-consumer", "work", "-n", "1", "--", "sh", "-c", command)
        network.await_stat("work", leased=1)

    def end(self):
        """The lease was kept all the time, and the item is done."""
        stat = self.network.stat("work")
        check_equal((stat["leased"], stat["redelivered"], stat["failed"]), (1, 0, 0), "leased, redelivered, failed")
        os.unlink(self.hold)
        self.worker.wait().expect(0)
        self.network.await_stat("work", unfinished=0, redelivered=0, dones=1)
        with open(self.seen, "rb") as file:
            check_equal(file.read(), b"long", "what was worked on")


@on_each_link("--session-timeout", 12, long_timeout=2400, on_scales=True)  # a packet that is dropped again and again comes 12 s late now and then
def slow_link(lab, network, scale):
    """0.2 s each way and 16 kB a second: who waits or works for longer than sessions and leases last keeps both, and gets what it waited for"""
    network.link.both(SLOW)
    work = LongWork(lab, network, "%ds" % (12 * scale))
    network.ask("netqueue", "declare", "full", "--maxsize", "1").expect(0)
    network.ask("netqueue-producer", "full", "first").expect(0)
    getter = network.spawn("netqueue-consumer", "empty", "-n", "1")
    putter = network.spawn("netqueue-producer", "full", "second")
    joiner = network.spawn("netqueue", "join", "work", "--wait", "1h")
    network.await_stat("empty", waiting_gets=1)
    network.await_stat("full", waiting_puts=1)
    network.await_stat("work", waiting_joins=1)
    load = Load(lab, network, lines=False, put_rate=1)
    bulk = network.spawn("netqueue-producer", "bulk", "-n", 400 if lab.long else 60, "--size", "1000")
    for _ in range(10 if lab.long else 1):
        load.await_done(1)
        network.let_pass(25000 * scale)
    bulk.wait(60).expect(0)
    for queue, waiting in (("empty", "waiting_gets"), ("full", "waiting_puts"), ("work", "waiting_joins")):
        check_equal(network.stat(queue)[waiting], 1, "%s of %s" % (waiting, queue))
    network.ask("netqueue-producer", "empty", "at last").expect(0)
    check_equal(getter.wait().expect(0).out, b"at last\n", "what the get waited for")
    check_equal(network.ask("netqueue-consumer", "full", "-n", "2").expect(0).lines, [b"first", b"second"], "the full queue")
    putter.wait().expect(0)
    work.end()
    joiner.wait().expect(0)
    load.settle()
    load.check_nothing_twice()


@scenario(timeout=240, long_only=True)
@with_network()
def two_endpoints_far_away(lab, network):
    """the way to the broker and back takes longer than an endpoint is tried at first: who has two reaches it all the same"""
    network.link.both(Weather(delay=0.3))
    network.spawn("netqueue-producer", "-s", network.broker.endpoint, "q", "item").wait(60 * lab.slow).expect(0)
    network.await_stat("q", ready=1)


# ------------------------------------------------------------------------------------------------------ weather that changes


def until_given_up(network, queues):
    """The broker hears nothing of its clients for longer than session_timeout and grace, in its own time: who held leases or waited has no session.
    What stood in a slow link's queue, or is sent on without having been confirmed, may come to it for some seconds more."""
    network.let_pass(7000)
    for queue in queues:
        network.await_stat(queue, leased=0, waiting_gets=0)


@on_each_link(*SHORT_SESSIONS, keys=True)
def weather_that_changes(lab, network):
    """good, bad, cut and good again; one direction dead and the other well, for a moment or for longer than sessions live; with keys"""
    load = Load(lab, network)
    load.await_done(20)
    network.link.both(BAD)
    load.await_done(20)
    cuts = [("broker", "clients"), ("broker",), ("clients",)]
    for number in range(60 if lab.long else 3):
        dead = cuts[number % 3]
        between = lab.random.choice((GOOD, BAD, SLOW))
        network.link.both(between)
        network.link.change(**{way: CUT for way in dead})
        if number % 2 == 0:
            until_given_up(network, ("q", "lines"))
        else:
            network.link.await_counts(*dead, cut=lab.random.randrange(5, 30))
        network.link.both(between if lab.long else GOOD)
        load.await_done(20)
    network.link.both(GOOD)
    load.settle()


@on_each_link(*SHORT_SESSIONS, netem_long_only=False)
def link_down(lab, network):
    """the clients' device is down for a moment, or for longer than sessions live; connections hang half open meanwhile"""
    load = Load(lab, network, lines=False)
    load.await_done(50)
    for number in range(30 if lab.long else 2):
        network.plug("down")
        if number % 2:
            network.let_pass(lab.random.randrange(100, 1000))
        else:
            until_given_up(network, ("q",))
        network.plug("up")
        load.await_done(20)
    load.settle()


@scenario(timeout=240, long_timeout=1800)
@with_network(*SESSIONS_FOR_EVER)
def connections_forgotten_on_the_way(lab, network):
    """a firewall between forgets the connections there are, answers are lost before: half open for ever. All connect anew and go on as they were"""
    network.patience = "30s"  # who hears nothing connects anew after two thirds of that
    work = LongWork(lab, network, "18s")
    until(lambda: network.connections() >= 2, 60 * lab.slow, "the worker renews its lease, on a connection for that alone", 0.1)
    lines = Lines(lab, network, "lines", 200, 1000)

    def await_more(count):
        wanted = network.stat("lines")["puts"] + count
        until(lambda: lines.turn() or network.stat("lines")["puts"] >= wanted, 60 * lab.slow, lambda: "lines are put; %s" % network.link.counts(), 0.1)

    network.await_stat("lines", state="open")
    for _ in range(10 if lab.long else 1):
        await_more(300)
        network.link.change(clients=CUT)
        network.link.await_counts("clients", cut=5)
        network.link.forget()
        network.link.change(clients=GOOD)
        network.let_pass(19000)
        await_more(300)
    counts = network.link.counts()
    check(all(way["forgotten"] > 0 for way in counts.values()), "nothing was on the forgotten connections: %s", counts)
    work.end()
    lines.settle()
    check_equal((lines.again, network.stat("lines")["puts"]), (0, 1000 * lines.rounds), "lines printed more than once, items put")
    lab.note("%d rounds, %s" % (lines.rounds, counts))


@on_each_link(*SHORT_SESSIONS, long_timeout=900, netem_long_only=False)
def clients_that_vanish(lab, network):
    """the link goes with clients behind it and without FIN or RST: what they held goes to others"""
    network.ask("netqueue-producer", "q", *range(20)).expect(0)
    held = lab.path("held")
    command = 'cat >> "%s"; echo >> "%s"; while test -e "%s"; do sleep 0.1; done' % (held, held, held)  # ends with the test's directory
    network.spawn("netqueue-consumer", "-j", "5", "q", "--", "sh", "-c", command)
    until(lambda: os.path.exists(held) and open(held, "rb").read().count(b"\n") >= 5, 30 * lab.slow, "five commands run")
    network.link.both(CUT)
    until_given_up(network, ("q",))
    got = network.ask("netqueue-consumer", "q", "-n", "20", "--max-idle", "30s")
    check_equal(sorted(map(int, got.out.split())), list(range(20)), "what another consumer got")
    network.await_stat("q", unfinished=0)


@on_each_link(*SHORT_SESSIONS, long_timeout=900)
def broker_killed_behind_a_cut(lab, network):
    """the broker is killed and started while the link is down: the clients find out by themselves and go on"""
    load = Load(lab, network, lines=False)
    load.await_done(50)
    for _ in range(10 if lab.long else 2):
        network.plug("down")
        network.broker.kill()
        network.broker.start()
        network.let_pass(lab.random.randrange(1000))
        network.plug("up")
        load.await_done(20)
    load.settle()


if __name__ == "__main__":
    sys.exit(main())
