"""netqueue bench against the real broker: each mode, what it reports, what it leaves behind, its mistakes. Nothing here is timed."""
import csv
import json
import signal
import sys

sys.dont_write_bytecode = True
from nqlab import check, check_equal, main, scenario, until

FIELDS = ["mode", "size", "window", "producers", "consumers", "queues", "rate", "seconds", "items", "items_per_s", "bytes_per_s",
          "client_cpu_seconds", "latency_us", "histogram_digits", "missed", "errors"]
LATENCY = ["p50", "p90", "p99", "p99_9", "max", "count"]


def bench(broker, *args):
    """The report of a run that must go well."""
    report = broker.admin("bench", "--format", "json", *args).expect(0).json()
    check_equal(list(report), FIELDS, "fields")
    check_equal(list(report["latency_us"]), ["put", "put_to_get", "done"], "latencies")
    for name, latency in report["latency_us"].items():
        check_equal(list(latency), LATENCY, name)
        values = [latency[key] for key in LATENCY[:5]]
        check(values == sorted(values), "%s: percentiles do not rise: %r", name, values)
        check((latency["count"] > 0) == (latency["max"] > 0), "%s: %r", name, latency)
    check_equal((report["errors"], report["histogram_digits"]), (0, 3), "errors, digits")
    return report


def counts(report):
    return tuple(report["latency_us"][name]["count"] for name in ("put", "put_to_get", "done"))


def no_queues(broker):
    check_equal(broker.admin("list", "--format", "json").expect(0).json(), [], "queues that are left")


@scenario
def cycles_by_number(lab):
    """-n: exactly so many, at every window and number of threads and queues; nothing is left"""
    broker = lab.broker(memory=True)
    for args in (["--window", "1"], ["--window", "10"], [], ["--window", "1", "--producers", "3", "--consumers", "2"],
                 ["--producers", "2", "--consumers", "3"], ["--queues", "5"], ["--queues", "5", "--window", "1", "--producers", "2"],
                 ["--queues", "4", "--producers", "3", "--consumers", "4", "--window", "7"], ["--size", "0"], ["--size", "5000"]):
        report = bench(broker, "-n", "500", *args)
        check_equal((report["mode"], report["items"]), ("cycle", 500), "mode and items of %r" % args)
        check(report["items_per_s"] > 0 and report["seconds"] > 0 and report["client_cpu_seconds"] >= 0, "rates of %r", args)
        if args == ["--window", "1"]:
            check_equal(counts(report), (500, 500, 500), "every item is timed in lock-step")
        no_queues(broker)


@scenario
def cycles_by_time(lab):
    """--duration, --warmup, with the disk store"""
    broker = lab.broker()
    report = bench(broker, "--duration", "2s", "--warmup", "100ms", "mine")
    check(report["items"] > 0 and 1.9 < report["seconds"], "report %r", report)
    check(all(count > 0 for count in counts(report)), "counts %r", counts(report))
    no_queues(broker)


@scenario
def fixed_rate(lab):
    """--rate: every item of the schedule is put and timed, from when it was due"""
    broker = lab.broker(memory=True)
    for args in (["--window", "1"], ["--window", "100"], ["--window", "100", "--producers", "2", "--consumers", "2", "--queues", "3"]):
        report = bench(broker, "--rate", "1000", "-n", "300", *args)
        check_equal((report["items"], report["missed"], report["rate"]), (300, 0, 1000), "items of %r" % args)
        check_equal(counts(report)[:2], (300, 300), "timed of %r" % args)
        check(report["seconds"] > 0.29, "300 items at 1000/s took %r s", report["seconds"])
    bench(broker, "--rate", "0", "-n", "100")


@scenario
def late_items_count_from_when_they_were_due(lab):
    """a rate that cannot be kept shows as latency, or as missed"""
    broker = lab.broker(memory=True)
    report = bench(broker, "--rate", "1000000", "--window", "1", "--duration", "300ms", "--warmup", "0")
    check(report["missed"] > 0, "a million lock-step puts a second?")
    # All 3000 are due within 3 ms. Half of them have been put before the one in the middle, each after the other's answer: that took at least
    # 10 us each on any machine, and a single call, were it counted from when it was made, far less than their sum.
    report = bench(broker, "--rate", "1000000", "--window", "1", "-n", "3000", "--warmup", "0")
    check(report["latency_us"]["put"]["p50"] > 15000, "put %r", report["latency_us"]["put"])


@scenario
def put_and_get(lab):
    """put --keep leaves items, get --force takes them; get alone fills its queue"""
    broker = lab.broker(memory=True)
    report = bench(broker, "put", "-n", "1000", "--keep", "--producers", "2", "q")
    check_equal((report["items"], report["consumers"], counts(report)[1:]), (1000, 0, (0, 0)), "put")
    check_equal(broker.stat("q").ready, 1000, "ready")
    text = broker.admin("bench", "get", "q").expect(1).one_line_error()
    check("'q' holds 1000 items" in text and "--force" in text, "says %r", text)
    check_equal(broker.stat("q").ready, 1000, "ready after the refusal")
    report = bench(broker, "get", "--force", "-n", "400", "q")
    check_equal((report["items"], report["producers"], counts(report)[:2]), (400, 0, (0, 0)), "get")
    # A queue that was there before stays; what was fetched ahead went back.
    broker.await_stat("q", ready=600, unfinished=600)
    check_equal(bench(broker, "get", "--force", "q")["items"], 600, "the rest")
    check_equal(broker.stat("q").unfinished, 0, "unfinished")
    broker.admin("delete", "q").expect(0)
    for window in ("1", "100"):
        report = bench(broker, "get", "-n", "300", "--window", window)
        check_equal(report["items"], 300, "get of what it filled in")
        check(counts(report)[2] > 0, "done is timed")
        no_queues(broker)


@scenario
def behind_a_backlog(lab):
    """cycle --force: the items before are got first, and are not timed as ours"""
    broker = lab.broker(memory=True)
    bench(broker, "put", "-n", "25", "--keep", "q")
    broker.client().put("q", *[b"\xff" * 100] * 25)  # of somebody else: no time is to be read out of these
    report = bench(broker, "--force", "-n", "200", "--window", "1", "q")
    check_equal((report["items"], counts(report)[1]), (200, 150), "items, and those of this run among them")
    left = broker.stat("q") # the run ends with the 200th item got, so not all 200 need have been put
    check_equal((left.unfinished, left.dones), (left.puts - 200, 200), "left")
    check(left.ready <= 50, "more was put than asked for")


@scenario
def forms(lab):
    """text and CSV"""
    broker = lab.broker(memory=True)
    rows = list(csv.DictReader(broker.admin("bench", "--format", "csv", "-n", "100").expect(0).out.decode().splitlines()))
    check(None not in rows[0] and None not in rows[0].values(), "a value for each name, and no more: %r", rows[0])
    check_equal((rows[0]["missed"], rows[0]["errors"]), ("0", "0"), "the last two")
    check_equal((len(rows), rows[0]["mode"], rows[0]["items"]), (1, "cycle", "100"), "CSV")
    check(float(rows[0]["put_p50"]) <= float(rows[0]["put_max"]), "CSV %r", rows[0])
    result = broker.admin("bench", "-n", "100").expect(0)
    check(b"100 items in" in result.out and b"3 significant figures" in result.out, "text %r", result.out)
    check_equal(result.err, b"", "no progress in a pipe")


@scenario
def interrupted(lab):
    """SIGINT: the report of what was measured, exit code 0, nothing is left"""
    broker = lab.broker(memory=True)
    # Enough that some are confirmed: with a window, confirmations are seen a window later.
    for args, dones in (([], 5000), (["--window", "1"], 20), (["--rate", "500"], 20), (["--queues", "3"], 2000)):
        running = broker.spawn("netqueue", "bench", "--format", "json", "--warmup", "0", "--duration", "1h", *args, "q")
        name = "q.0" if "--queues" in args else "q"
        until(lambda: broker.stat(name) is not None and broker.stat(name).dones > dones, 20 * lab.slow, "items go through")
        running.signal(signal.SIGINT)
        report = json.loads(running.wait(20).expect(0).out)
        check(report["items"] > 0, "report %r", report)
        no_queues(broker)


@scenario
def failure(lab):
    """a queue that is shut down meanwhile ends the run with its report and the reason"""
    broker = lab.broker(memory=True)
    running = broker.spawn("netqueue", "bench", "--format", "json", "--duration", "1h", "q")
    until(lambda: broker.stat("q") is not None and broker.stat("q").dones > 0, 20 * lab.slow, "items go through")
    broker.admin("shutdown", "q").expect(0)
    result = running.wait(20).expect(1)
    check("shut down" in result.err.decode(), "says %r", result.err)
    check(result.json()["errors"] > 0, "errors %r", result.out)
    no_queues(broker)


@scenario
def mistakes(lab):
    """64 and one line"""
    broker = lab.broker("--body-limit", "1000", memory=True)
    for args, word in ((["--windw", "1"], "--windw"), (["--window", "0"], "--window"), (["--rate", "fast"], "--rate"),
                       (["--format", "xml"], "text|json|csv"), (["cycel", "q"], "cycel"), (["cycle", "q", "more"], "more"),
                       (["put", "--consumers", "2"], "consumers"), (["get", "--rate", "5"], "--rate"), (["get", "--producers", "2"], "producers"),
                       (["--size", "1001"], "1000"), (["-n", "2", "--producers", "3"], "fewer"), (["a b"], "name")):
        text = broker.admin("bench", *args).expect(64, "bench %r" % args).one_line_error()
        check(word in text, "%r: says %r", args, text)
    no_queues(broker)
    for queue in ("q.1", "q.2"):
        broker.admin("declare", queue, "--initial", "3" if queue == "q.1" else "0").expect(0)
    broker.admin("bench", "--queues", "3", "q").expect(1).one_line_error()
    names = [stat["name"] for stat in broker.admin("list", "--format", "json").expect(0).json()]
    check_equal(names, ["q.1", "q.2"], "a run that is refused deletes nothing")
    lab.run("netqueue", "-s", "tcp://127.0.0.1:9", "--timeout", "300ms", "bench", "-n", "1").expect(69).one_line_error()


if __name__ == "__main__":
    sys.exit(main())
