"""A soak: two durable brokers under a steady load and random faults, for minutes (--minutes, an hour with --long): all promises are kept,
and memory, descriptors, file size and latency are flat. One of the two brokers is killed, too; the other lives through, so that what it
loses in memory would show, and has nearly all of the load: half of the most that it does here, measured before the faults begin."""
import heapq
import itertools
import os
import signal
import statistics
import sys
import time
from types import SimpleNamespace

sys.dont_write_bytecode = True
from nqlab import check, check_equal, main, scenario
from nqlab.crew import Hand
from nqlab.history import History, settle
from nqlab.lab import log
from nqlab.lines import Lines
from nqlab.load import ITEMS_MAX, Load

MEBI = 1024 * 1024
LEASE = 4  # seconds
FILLER = 2000
HANDS_RATE = 200     # items a second of the hands in Python and the lines of the programs, at each broker: few, but looked at more closely
KILLED_RATE = 10000  # of the load at the broker that is killed, in the long form
SHORT_RATE = 1000    # of the load at each broker in the short form, for any machine

# What may differ between the first third of the samples and the last, in the median: a part of the first, and so much more; the unit to show.
# Files are as long as the largest backlog so far has made them, which is that of a moment when all getters happened to be stopped: where it
# has grown, they may have grown in proportion. And the first are not the largest: of files the second third is compared.
SLACK = {"anon": (0.2, 8 * MEBI, MEBI), "descriptors": (0.1, 10, 1), "disk": (0.1, 16 * MEBI, MEBI), "backlog": (1, 500000, 1),
         "put_p50": (2, 5, 1), "put_p99": (2, 50, 1), "put_to_get_p50": (2, 5, 1), "put_to_get_p99": (2, 50, 1)}


class Site:
    """A broker with its workers, and what can happen to them."""

    def __init__(self, lab, name, killed):
        self.lab, self.name = lab, name
        self.broker = lab.broker("--session-timeout", "3s", "--session-grace", "1s")
        for queue in ("q", "lines", "load"):
            self.broker.admin("declare", queue, "--lease", "%ds" % LEASE).expect(0)
        self.history = History(FILLER)
        self.put_rate = HANDS_RATE / 4 / 11.75  # runs have 11.75 items in the mean; two putters have the half of the items, the lines the rest
        self.hands = [self.hand("putter") for _ in range(2)] + [self.hand("getter") for _ in range(2)]
        self.lines = Lines(lab, self.broker, "lines", HANDS_RATE // 2, HANDS_RATE // 2 * (20 if lab.long else 4))
        self.load = Load(lab, self.broker, "load")
        self.frozen = set()
        self.counts = {}
        self.samples, self.before = [], None
        self.killed, self.largest, self.looked = killed, 1, 0
        self.faults = [self.freeze_getter, self.freeze_consumer, self.freeze_putter, self.freeze_load_getter, self.freeze_load_putter,
                       self.kill_getter, self.kill_putter, self.kill_load_getter, self.kill_load_putter,
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

    def freeze_load_getter(self):
        return self._freeze(self.lab.random.choice(self.load.getters))

    def freeze_load_putter(self):
        return self._freeze(self.lab.random.choice(self.load.putters))

    def _replace(self, kind):
        victim = self._one(kind)
        victim.kill()
        self.hands[self.hands.index(victim)] = self.hand(kind)

    def kill_getter(self):
        self._replace("getter")

    def kill_putter(self):
        self._replace("putter")

    def kill_load_getter(self):
        self.load.kill("getter")

    def kill_load_putter(self):
        self.load.kill("putter")

    def kill_broker(self):
        self.broker.kill()
        time.sleep(self.lab.random.uniform(0, 0.5))
        self.broker.start()

    def turn(self):
        check(self.broker.running(), "%s: the broker ended by itself", self.name)
        self.lines.turn()
        self.load.turn()
        self.history.check_promises()
        if not self.killed and time.monotonic() - self.looked >= 1:
            self.looked = time.monotonic()
            self.largest = max(self.largest, self.broker.stat("load").unfinished)

    def begin(self):
        """What the first sample counts from."""
        self.before = {"done": self.load.sample()["done"], "at": time.monotonic()}

    def sample(self):
        """What the broker uses now; of the load, counts since the last sample, and times in ms."""
        files = [os.stat(os.path.join(self.broker.data, name)) for name in os.listdir(self.broker.data)]
        one = {"rss": self.broker.status_value("VmRSS"), "anon": self.broker.status_value("RssAnon"),
               "descriptors": len(os.listdir("/proc/%d/fd" % self.broker.pid)), "disk": sum(f.st_blocks * 512 for f in files)}
        one.update(self.load.sample(), at=time.monotonic())
        one["backlog"] = one["sent"] - one["got"] + one["again"]
        self.largest = max(self.largest, one["backlog"])
        one["largest"] = self.largest
        for what in ("put", "put_to_get"):
            one[what + "_p50"], one[what + "_p99"] = one[what][:2]
        one["rate"] = (one["done"] - self.before["done"]) / (one["at"] - self.before["at"])
        self.before = one
        self.samples.append(one)
        return one

    def settle(self):
        found = self.load.settle()
        settle(self.history, self.broker, self.hands, self.lab)
        self.lines.settle()
        self.history.check_nothing_lost()
        self.broker.stop()
        return found


HEADING = "%-7s %4s %8s %8s %5s %8s %10s %8s %9s %28s %28s" % (
    "broker", "at", "RSS MiB", "anon MiB", "files", "disk MiB", "done", "done/s", "backlog", "put ms p50 p99 p99.9 max", "put to get ms, the same")


def row(site, number, one):
    return "%-7s %4d %8.1f %8.1f %5d %8.1f %10d %8.0f %9d %28s %28s" % (
        site.name, number, one["rss"] / MEBI, one["anon"] / MEBI, one["descriptors"], one["disk"] / MEBI, one["done"], one["rate"],
        one["backlog"], "%.1f %.1f %.0f %.0f" % tuple(one["put"]), "%.1f %.1f %.0f %.0f" % tuple(one["put_to_get"]))


def growth(samples, names=tuple(SLACK)):
    """What of these is not flat, as lines; and the medians of the first and the last third, as text."""
    third = len(samples) // 3
    grown, text = [], []
    for name, (part, more, unit) in SLACK.items():
        before = samples[third:2 * third] if name == "disk" else samples[:third]
        first, last = (statistics.median(s[name] for s in some) for some in (before, samples[-third:]))
        text.append("%s %.1f -> %.1f" % (name, first / unit, last / unit))
        if name == "disk":
            backlogs = [statistics.median(s["largest"] for s in some) for some in (before, samples[-third:])]
            text[-1] += " (largest backlog %d -> %d)" % tuple(backlogs)
            first *= max(1, backlogs[1] / backlogs[0])
        if name in names and last > first * (1 + part) + more:
            grown.append("%s grew: %s, more than %d %% and %d" % (name, text[-1], part * 100, more / unit))
    return grown, ", ".join(text)


def run(lab, sites, seconds, pause, each):
    """Faults at random moments of all sites, a turn of everything ten times a second, a sample each `each` seconds."""
    for site in sites:
        site.begin()
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


def measure(lab, sites, seconds):
    """Items a second that the broker that lives gets done at most while the other has its part; nothing is killed yet."""
    def count_after(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for site in sites:
                site.turn()
            time.sleep(0.1)
        return sites[0].load.sample()["done"], time.monotonic()

    sites[1].load.put(KILLED_RATE if lab.long else SHORT_RATE)
    sites[0].load.put(0)
    (first, began), (last, ended) = count_after(seconds / 4), count_after(seconds * 3 / 4)
    sites[0].load.drain()
    return (last - first) / (ended - began)


def half_of(lab, most, minutes):
    """The rate of the run."""
    fits = int(ITEMS_MAX * 0.9 / (minutes * 60 + 60))
    rate = lab.rate or (int(most / 2) if lab.long else min(int(most / 2), SHORT_RATE))
    if rate > fits:
        lab.note("the account has no room for %d items/s; %d is the rate" % (rate, fits))
    return max(2, min(rate, fits))


def report(lab, site, found):
    lab.note("%s: load: %d items accepted, all of them done (%d of these by getters that were killed over it), and %d of %d whose putter was killed before "
             "the answer; %d delivered again, %d leases lost" % (
                 site.name, found["accepted"], found["finishing"], found["unanswered_came"], found["sent"] - found["accepted"], found["again"], found["leases_lost"]))
    lab.note("%s: %d items accepted one by one or in runs, none lost; %d delivered more than once, %d leases lost, %d reconnects; %d rounds of %d lines, "
             "%d with a killed producer, none of the others lost a line, %d lines printed again" % (
                 site.name, len(site.history.accepted), site.history.again(), site.history.lost_leases, site.history.reconnects,
                 site.lines.rounds, site.lines.round_lines, site.lines.unknown, site.lines.again))
    lab.note("%s: faults: %s" % (site.name, ", ".join("%s %d" % pair for pair in sorted(site.counts.items()))))


def judge_growth(lab, sites, minutes):
    """In the short form what a machine is busy with moves latencies, and the broker that is killed has another level after each start."""
    long = minutes >= 9
    for site in sites:
        if len(site.samples) < 3:
            continue  # the machine was too busy to tell
        grown, text = growth(site.samples, tuple(SLACK) if long else ("anon", "descriptors", "disk"))
        lab.note("%s: medians of the first and the last third, in MiB and ms: %s" % (site.name, text))
        check(lab.sanitizer or not grown or not (long or site is sites[0]), "%s: %s", site.name, grown)


@scenario(timeout=240, long_timeout=7 * 86400)
def soak(lab):
    """two brokers under load and random faults (12 s; an hour at half of the most with --long)"""
    minutes = lab.minutes or (60 if lab.long else 0.2)
    sites = [Site(lab, "lives", False), Site(lab, "killed", True)]
    most = measure(lab, sites, (60 if minutes >= 9 else 15) if lab.long else 1)
    rate = half_of(lab, most, minutes)
    lab.note("lives: without faults %.0f items/s put, got and done at most; the run was at %d" % (most, rate))
    log("       " + lab.notes[-1])
    sites[0].load.put(rate)
    log("       " + HEADING)
    run(lab, sites, minutes * 60, (2, 8) if lab.long else (0.5, 1.5), 60 if minutes >= 9 else 3)
    for site in sites:
        report(lab, site, site.settle())
    judge_growth(lab, sites, minutes)


@scenario
def what_grows_is_seen(lab):
    """the judgement itself: a leak of 1 MiB, of a descriptor or of 4 MiB of file each minute of an hour, and slower answers are found, noise is not"""
    level = {"anon": 20 * MEBI, "descriptors": 30, "disk": 60 * MEBI, "backlog": 2000, "put_p50": 2, "put_p99": 20, "put_to_get_p50": 2, "put_to_get_p99": 20}
    noise = {"anon": 4 * MEBI, "descriptors": 6, "disk": 30 * MEBI, "backlog": 50000, "put_p50": 1, "put_p99": 30, "put_to_get_p50": 1, "put_to_get_p99": 30}

    def hour(largest=lambda minute: 1000000, **leaks):
        return [dict({name: level[name] + lab.random.uniform(0, noise[name]) + minute * leaks.get(name, 0) for name in level}, largest=largest(minute))
                for minute in range(60)]

    check(not growth(hour())[0], "noise is taken for growth: %s", growth(hour()))
    check(not growth(hour(lambda minute: 1000000 + 80000 * minute, disk=4 * MEBI))[0], "files grow as the largest backlog does")
    check(growth(hour(lambda minute: 1000000 + 5000 * minute, disk=4 * MEBI))[0], "files grow faster than the largest backlog")
    for name, leak in (("anon", MEBI), ("descriptors", 1), ("disk", 4 * MEBI), ("backlog", 50000), ("put_p50", 1), ("put_p99", 20),
                       ("put_to_get_p50", 1), ("put_to_get_p99", 20)):
        found = growth(hour(**{name: leak}))[0]
        check(len(found) == 1 and found[0].startswith(name), "%s: %s", name, found)
    for since, grew in ((15, False), (45, True)):  # of an hour: the first third is not looked at, the last is
        files = [dict(one, disk=one["disk"] + 200 * MEBI * (minute >= since)) for minute, one in enumerate(hour())]
        check(bool(growth(files)[0]) == grew, "files that are longer since minute %d: %s", since, growth(files))
    check(not growth([dict(one, anon=one["anon"] + 100 * MEBI * (minute == 50)) for minute, one in enumerate(hour())])[0], "a moment is taken for growth")

    # Which of it ends a soak, by its minutes and by the broker that it is of: that one lives, or is killed.
    quiet = SimpleNamespace(sanitizer="", note=lambda text: None)
    for minutes, leaks, ends in ((60, ({"put_p99": 20}, {}), True), (60, ({}, {"anon": MEBI}), True), (60, ({}, {}), False),
                                 (0.2, ({"anon": MEBI}, {}), True), (0.2, ({"put_p99": 20}, {"anon": MEBI}), False)):
        sites = [SimpleNamespace(name=name, samples=hour(**leak)) for name, leak in zip(("lives", "killed"), leaks)]
        try:
            judge_growth(quiet, sites, minutes)
            check(not ends, "%s passes after %s minutes", leaks, minutes)
        except AssertionError as error:
            check(ends and "grew" in str(error), "%s after %s minutes: %s", leaks, minutes, error)


def ended_with(program, text):
    """The getter has found what is wrong, and says so."""
    result = program.wait(60).expect(1)
    check(text in result.one_line_error(), "%r: %r", text, result.err)


@scenario
def broken_promises_of_the_load_are_seen(lab):
    """an item that is damaged, invented, there twice, out of order, done and handed out again, or lost"""
    broker = lab.broker()
    client = broker.client()

    def bodies(load, count):
        """Put by a putter, taken out of the queue by somebody else."""
        load.putter(0, count).wait(60).expect(0)
        _, items = client.get(load.queue, max_items=count)
        check_equal(len(items), count, "items got")
        client.task_done(*items)
        return [item.body for item in items]

    def seen(name, text, change):
        load = Load(lab, broker, name, getters=0, items_max=100000)
        client.put(name, *change(bodies(load, 3)))
        ended_with(load.getter(0), text)

    seen("damaged", "another body", lambda some: [some[0][:-1] + bytes([some[0][-1] ^ 1])])
    seen("cut", "another body", lambda some: [some[0][:-1]])
    seen("order", "of its putter", lambda some: [some[1], some[0]])
    seen("twice", "a second time", lambda some: [some[0], some[0]])
    foreign = Load(lab, broker, "foreign", getters=0, items_max=100000)
    seen("invented", "never put", lambda some: bodies(foreign, 5)[4:])

    again = Load(lab, broker, "again", getters=0, items_max=100000)
    body = bodies(again, 3)[0]
    client.put("again", body)
    getter = again.getter(0)
    broker.await_stat("again", unfinished=0)
    client.put("again", body)
    ended_with(getter, "a second time")
    client.put("again", body)
    client.requeue(client.get_one("again"))  # now it has the flag
    ended_with(again.getter(0), "its task_done had been answered")

    lost = Load(lab, broker, "lost", getters=0, items_max=100000)
    client.put("lost", *bodies(lost, 3)[1:])
    lost.getters.append(lost.getter(0))
    broker.await_stat("lost", unfinished=0)
    try:
        lost.settle()
    except AssertionError as error:
        check("1 of 3 accepted items were never done, the first of them run 0, number 0" in str(error), "%s", error)
    else:
        check(False, "a lost item is not seen")


if __name__ == "__main__":
    sys.exit(main())
