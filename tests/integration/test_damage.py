"""Bits that flip on the disk under a broker: a damaged item is named and set aside, the rest is served; damaged pages end in 73 and are found by check."""
import os
import signal
import struct
import sys

sys.dont_write_bytecode = True
from nqlab import Status, check, check_equal, main, scenario, until

PAGE = 4096
DUPLICATES = 4  # F_DUPDATA of LMDB's: the values of this key are in a table of their own, which our tables do not have


def data_file(broker):
    return os.path.join(broker.data, "data.mdb")


def places_of(broker, marker):
    with open(data_file(broker), "rb") as file:
        data, found, at = file.read(), [], -1
    while True:
        at = data.find(marker, at + 1)
        if at < 0:
            return found
        found.append(at)


def overwrite(broker, at, data):
    """In place, as the disk would: a broker that has the file mapped sees it."""
    with open(data_file(broker), "r+b") as file:
        file.seek(at)
        file.write(data)


def flip(broker, marker):
    """One bit in the middle of every copy of the marker."""
    places = until(lambda: places_of(broker, marker), 20 * broker.lab.slow, "the item is in LMDB's file", 0.1)
    for at in places:
        overwrite(broker, at + len(marker) // 2, bytes([marker[len(marker) // 2] ^ 0x10]))


def fill(broker, count=300):
    """Items of some size; number 7 and number 200 can be found in the file."""
    client = broker.client()
    bodies = [b"%d " % i + b"x" * 300 for i in range(count)]
    bodies[7], bodies[200] = b"the seventh is marked" * 10, b"the two hundredth is marked" * 10
    check_equal(client.put("q", *bodies).status, Status.OK, "put")
    client.goodbye()
    return bodies


def drain(broker):
    client, bodies = broker.client(), []
    while True:
        status, items = client.get("q", 50)
        if status != Status.OK:
            return bodies
        bodies += [i.body for i in items]
        client.task_done(*items)


def log_of(broker):
    return "\n".join(open(path, encoding="utf-8", errors="replace").read() for path in broker.log_paths)


def await_checkpoint(broker):
    """What is in LMDB's file by now is read from there: a later item gets there only once the checkpoint that wrote it is over."""
    check_equal(broker.client().put("later", b"the later one is marked").status, Status.OK, "put")
    until(lambda: places_of(broker, b"the later one is marked"), 20 * broker.lab.slow, "the later item is in LMDB's file", 0.1)


@scenario
def item_flipped_while_the_broker_runs(lab):
    """it is never delivered, named in the log, counted as quarantined; the rest is served, join ends"""
    broker = lab.broker()
    bodies = fill(broker)
    flip(broker, b"the seventh is marked")
    await_checkpoint(broker)
    check_equal(drain(broker), bodies[:7] + bodies[8:], "the rest, in order")
    until(lambda: "queue q: item 8 is damaged" in log_of(broker), 20 * broker.lab.slow, lambda: "a line in the log: " + log_of(broker))
    stat = broker.await_stat("q", unfinished=0)
    check_equal((stat.quarantined, stat.dones), (1, len(bodies) - 1), "counted")
    broker.admin("join", "q", "--wait", "60s").expect(0)
    broker.restart()
    check_equal(broker.stat("q").quarantined, 1, "remembered")


@scenario
def item_flipped_while_it_was_stopped(lab):
    """check names it and ends with 73, the broker starts and serves the rest"""
    broker = lab.broker()
    bodies = fill(broker)
    broker.stop()
    flip(broker, b"the two hundredth is marked")
    result = lab.run("netqueue-broker", "check", broker.data).expect(73, "check")
    check("damaged item (queue id, seq) (1, 201)" in result.out.decode(), "check says: %s", result.out)
    broker.start()
    check_equal(drain(broker), bodies[:200] + bodies[201:], "the rest, in order")
    broker.stop()
    lab.run("netqueue-broker", "check", broker.data).expect(0, "check, after it was set aside")


@scenario
def record_flipped(lab):
    """a damaged record of a queue is named by check and by the broker's log; other queues are served"""
    broker = lab.broker()
    client = broker.client()
    for queue in ("the-one-that-is-hit", "other"):
        client.put(queue, "a", "b")
    client.goodbye()
    broker.stop()
    flip(broker, b"the-one-that-is-hit")
    result = lab.run("netqueue-broker", "check", broker.data).expect(73, "check")
    check("damaged record in table queues" in result.out.decode(), "check says: %s", result.out)
    broker.start()
    check_equal([i.body for i in broker.client().get("other", 5)[1]], [b"a", b"b"], "the other queue")
    check("damaged" in log_of(broker), "the log says: %s", log_of(broker))


@scenario(timeout=240, long_timeout=900)
def pages_overwritten(lab):
    """whole pages gone: no wrong body, an end with 73 and a line that says what to do, check ends with 73; no endless loop"""
    outcomes = {}
    for number in range(40 if lab.long else 8):
        broker = lab.broker()
        bodies = fill(broker)
        broker.stop()
        pages = os.path.getsize(data_file(broker)) // PAGE
        used = [p for p in range(2, pages) if read_page(broker, p).strip(b"\0")]
        page = lab.random.choice(used)
        overwrite(broker, page * PAGE, bytes(lab.random.randrange(256) for _ in range(PAGE)))
        found = lab.run("netqueue-broker", "check", broker.data)
        served = broker.try_start()
        got = []
        if served:
            try:
                client = broker.client(riding=True)
                got = drain_riding(client, broker)
            except Exception:  # it ended meanwhile
                pass
        check(set(got) <= set(bodies), "page %d: a wrong body came out", page)
        outcome = ""
        if broker.running():
            outcome = "served %s, " % ("all" if got == bodies else "the rest")
            check(got == bodies or found.code == 73, "page %d: items are missing, and check finds nothing", page)
            broker.program.signal(signal.SIGTERM)  # its last checkpoint may meet the page, too
        result = broker.program.wait(30)
        outcome += "ended with %s" % result.code
        if result.code != 0:
            # What LMDB takes for an address may be none: that is told from a bug.
            check("netqueue-broker: error: " in log_of(broker), "page %d: no line in the log: %s", page, log_of(broker))
            check(result.code == 73, "page %d: the broker ended with %s: %s", page, result.code, result.err[-600:])
            check(found.code == 73, "page %d: check finds nothing", page)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    lab.note(", ".join("%s: %d" % pair for pair in sorted(outcomes.items())))


@scenario
def node_that_leads_to_no_address(lab):
    """LMDB crashes on it: the broker ends with 73 and its line, each time, and check says so"""
    broker = lab.broker()
    bodies = fill(broker)
    broker.stop()
    key = struct.pack(">QQ", 1, 101)
    for at in places_of(broker, struct.pack("<H", len(key)) + key):  # in front of it the node's flags
        overwrite(broker, at - 2, struct.pack("<H", DUPLICATES))
    result = lab.run("netqueue-broker", "check", broker.data).expect(73, "check")
    check("pages are damaged" in result.out.decode(), "check says: %s", result.out)
    for start in range(2):
        if broker.try_start() and start == 0:  # the second one has to look at it as it loads
            got = drain_riding(broker.client(riding=True), broker)
            check(got == bodies[: len(got)] and len(got) <= 100, "items in front of it: %d", len(got))
        check_equal(broker.program.wait(30).code, 73, "how it ended")
        said = "a page of the store in %s cannot be read" % broker.data
        check_equal(log_of(broker).count(said), start + 1, "lines in the log: " + log_of(broker))


@scenario
def segmentation_fault_elsewhere(lab):
    """outside of LMDB it is a bug: it ends the broker by its own signal, not as if the store were damaged"""
    broker = lab.broker()
    broker.program.signal(signal.SIGSEGV)  # it has nothing to read or write: no thread is inside LMDB
    check_equal(broker.program.wait(10).code, -signal.SIGSEGV, "how it ended")
    check("damaged" not in log_of(broker), "the log says: %s", log_of(broker))


def read_page(broker, page):
    with open(data_file(broker), "rb") as file:
        file.seek(page * PAGE)
        return file.read(PAGE)


def drain_riding(client, broker):
    got = []
    while broker.running():
        request = client.send("get", queue="q", max_items=50)
        until(lambda: client.answered(request, 0.05) or not broker.running(), 20 * broker.lab.slow, "an answer or an end")
        if not client.answered(request):
            return got
        status, items = client.end_get(request)
        if status != Status.OK:
            return got
        got += [i.body for i in items]
        done = client.token_request("task_done", items)
        client.send_frame([done])
        until(lambda: client.answered(done.id, 0.05) or not broker.running(), 20 * broker.lab.slow, "an answer or an end")
    return got


if __name__ == "__main__":
    sys.exit(main())
