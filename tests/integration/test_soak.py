"""A soak: two durable brokers under a steady load and random faults, for minutes (--minutes, an hour with --long): all promises are kept,
and memory, descriptors and file size are flat. One of the two brokers is killed, too; the other lives through, so that what it loses in
memory would show."""
import heapq
import itertools
import os
import signal
import statistics
import sys
import time

sys.dont_write_bytecode = True
from nqlab import check, main, scenario
from nqlab.crew import Hand
from nqlab.history import History, settle
from nqlab.lab import log
from nqlab.lines import Lines

MEBI = 1024 * 1024
LEASE = 4  # seconds
FILLER = 2000

# What may differ between the first third of the samples and the last, in the median: a part of the first, and so much more.
SLACK = {"anon": (0.2, 8 * MEBI), "descriptors": (0.1, 10), "disk": (0.25, 16 * MEBI)}


class Site:
    """A broker with its workers, and what can happen to them."""

    def __init__(self, lab, name, rate, killed):
        self.lab, self.name = lab, name
        self.broker = lab.broker("--session-timeout", "3s", "--session-grace", "1s")
        for queue in ("q", "lines"):
            self.broker.admin("declare", queue, "--lease", "%ds" % LEASE).expect(0)
        self.history = History(FILLER)
        self.put_rate = rate / 4 / 11.75  # runs have 11.75 items in the mean; two putters have the half of the items, the lines the rest
        self.hands = [self.hand("putter") for _ in range(2)] + [self.hand("getter") for _ in range(2)]
        self.prober = Hand(lab, self.history, "prober", self.broker.endpoint, "probe", 10)
        self.lines = Lines(lab, self.broker, "lines", max(1, rate // 2), max(1, rate // 2) * (20 if lab.long else 4))
        self.frozen = set()
        self.counts = {}
        self.samples = []
        self.faults = [self.freeze_getter, self.freeze_consumer, self.freeze_putter, self.kill_getter, self.kill_putter,
                       self.lines.kill_consumer, self.lines.kill_producer] + ([self.kill_broker] * 2 if killed else [])

    def hand(self, kind):
        return Hand(self.lab, self.history, kind, self.broker.endpoint, "q", self.put_rate if kind == "putter" else 0)

    def fault(self):
        """One of them, now. Returns what is to be done later: [(seconds, function)]."""
        chosen = self.lab.random.choice(self.faults)
        self.counts[chosen.__name__] = self.counts.get(chosen.__name__, 0) + 1
        return chosen() or []

    def _freeze(self, program):
        if program.pid in self.frozen:
            return []
        self.frozen.add(program.pid)
        program.signal(signal.SIGSTOP)

        def thaw():
            self.frozen.discard(program.pid)
            program.signal(signal.SIGCONT)
        return [(LEASE + self.lab.random.uniform(1, 4), thaw)]

    def _one(self, kind):
        return self.lab.random.choice([hand for hand in self.hands if hand.kind == kind])

    def freeze_getter(self):
        return self._freeze(self._one("getter").program)

    def freeze_putter(self):
        return self._freeze(self._one("putter").program)

    def freeze_consumer(self):
        return self._freeze(self.lab.random.choice(self.lines.consumers))

    def _replace(self, kind):
        victim = self._one(kind)
        victim.kill()
        self.hands[self.hands.index(victim)] = self.hand(kind)

    def kill_getter(self):
        self._replace("getter")

    def kill_putter(self):
        self._replace("putter")

    def kill_broker(self):
        self.broker.kill()
        time.sleep(self.lab.random.uniform(0, 0.5))
        self.broker.start()

    def turn(self):
        check(self.broker.running(), "%s: the broker ended by itself", self.name)
        self.lines.turn()
        self.history.check_promises()

    def sample(self):
        with self.history.lock:
            timings, self.history.timings = self.history.timings, []
        files = [os.stat(os.path.join(self.broker.data, name)) for name in os.listdir(self.broker.data)]
        one = {"rss": self.broker.status_value("VmRSS"), "anon": self.broker.status_value("RssAnon"),
               "descriptors": len(os.listdir("/proc/%d/fd" % self.broker.pid)), "disk": sum(f.st_blocks * 512 for f in files),
               "accepted": len(self.history.accepted), "rounds": self.lines.rounds}
        for what in ("put", "get"):
            times = sorted(seconds * 1000 for name, seconds in timings if name == what) or [0]
            one[what] = (times[len(times) // 2], times[len(times) * 99 // 100], times[-1])
        self.samples.append(one)
        return one

    def settle(self):
        settle(self.history, self.broker, self.hands, self.lab)
        self.prober.join(60)
        self.lines.settle()
        self.history.check_nothing_lost()
        self.broker.stop()


HEADING = "%-7s %4s %8s %8s %5s %8s %9s %22s %22s" % (
    "broker", "at", "RSS MiB", "anon MiB", "files", "disk MiB", "accepted", "put ms p50 p99 max", "get ms p50 p99 max")


def row(site, number, one):
    return "%-7s %4d %8.1f %8.1f %5d %8.1f %9d %22s %22s" % (
        site.name, number, one["rss"] / MEBI, one["anon"] / MEBI, one["descriptors"], one["disk"] / MEBI, one["accepted"],
        "%.1f %.0f %.0f" % one["put"], "%.1f %.0f %.0f" % one["get"])


def growth(samples):
    """What is not flat, as lines; and the medians of the first and the last third, as text."""
    third = len(samples) // 3
    grown, text = [], []
    for name, (part, more) in SLACK.items():
        first, last = (statistics.median(s[name] for s in some) for some in (samples[:third], samples[-third:]))
        unit = 1 if name == "descriptors" else MEBI
        text.append("%s %.1f -> %.1f" % (name, first / unit, last / unit))
        if last > first * (1 + part) + more:
            grown.append("%s grew: %s, more than %d %% and %d" % (name, text[-1], part * 100, more))
    return grown, ", ".join(text)


def run(lab, sites, seconds, pause, each):
    """Faults at random moments of all sites, a turn of everything ten times a second, a sample each `each` seconds."""
    began = time.monotonic()
    order = itertools.count()
    due = []  # (when, order, function)

    def later(seconds, function):
        heapq.heappush(due, (time.monotonic() + seconds, next(order), function))

    def strike(site):
        for after, function in site.fault():
            later(after, function)
        later(lab.random.uniform(*pause), lambda: strike(site))

    for site in sites:
        later(2, lambda site=site: strike(site))
    sampled = 0
    while time.monotonic() - began < seconds:
        while due and due[0][0] <= time.monotonic():
            heapq.heappop(due)[2]()
        for site in sites:
            site.turn()
        if time.monotonic() - began >= (sampled + 1) * each:
            sampled += 1
            for site in sites:
                log("       " + row(site, sampled, site.sample()))
        time.sleep(0.1)
    for program in lab.programs:
        program.signal(signal.SIGCONT)


@scenario(timeout=240, long_timeout=7 * 86400)
def soak(lab):
    """two brokers under load and random faults (12 s; an hour with --long)"""
    minutes = lab.minutes or (60 if lab.long else 0.2)
    rate = lab.rate or (1000 if lab.long else 400)
    sites = [Site(lab, "lives", rate, False), Site(lab, "killed", rate, True)]
    log("       " + HEADING)
    run(lab, sites, minutes * 60, (2, 8) if lab.long else (0.5, 1.5), 60 if minutes >= 9 else 3)
    for site in sites:
        site.settle()
    for site in sites:
        lab.note("%s: %d items accepted one by one or in runs, none lost; %d delivered more than once, %d leases lost, %d reconnects; %d rounds of %d lines, "
                 "%d with a killed producer, none of the others lost a line, %d lines printed again" % (
                     site.name, len(site.history.accepted), site.history.again(), site.history.lost_leases, site.history.reconnects,
                     site.lines.rounds, site.lines.round_lines, site.lines.unknown, site.lines.again))
        lab.note("%s: faults: %s" % (site.name, ", ".join("%s %d" % pair for pair in sorted(site.counts.items()))))
    for site in sites:
        if len(site.samples) < 3:
            continue  # the machine was too busy to tell
        grown, text = growth(site.samples)
        lab.note("%s: first and last third, medians in MiB: %s" % (site.name, text))
        check(lab.sanitizer or not grown, "%s: %s", site.name, grown)


@scenario
def what_grows_is_seen(lab):
    """the judgement itself: a leak of 1 MiB, of a descriptor or of 2 MiB of file each minute of an hour is found, noise is not"""
    def hour(**leaks):
        level = {"anon": 20 * MEBI, "descriptors": 30, "disk": 60 * MEBI}
        noise = {"anon": 4 * MEBI, "descriptors": 6, "disk": 30 * MEBI}
        return [{name: level[name] + lab.random.uniform(0, noise[name]) + minute * leaks.get(name, 0) for name in level} for minute in range(60)]

    check(not growth(hour())[0], "noise is taken for growth: %s", growth(hour()))
    for name, leak in (("anon", MEBI), ("descriptors", 1), ("disk", 2 * MEBI)):
        found = growth(hour(**{name: leak}))[0]
        check(len(found) == 1 and found[0].startswith(name), "%s: %s", name, found)


if __name__ == "__main__":
    sys.exit(main())
