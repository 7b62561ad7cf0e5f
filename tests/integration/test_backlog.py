"""A deep backlog: memory bounded, quick restart, drained in order; a hole at its head; a purge that nobody feels."""
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
from nqlab import Client, Keeper, Status, check, check_equal, main, scenario

MEBI = 1024 * 1024


def depth(lab):
    return 10000000 if lab.long else 1000000


def fill(lab, broker, queue, count):
    """`count` numbered items of 100 bytes; each number once, in order."""
    reader, writer = os.pipe()

    def write():
        with os.fdopen(writer, "wb", 1 << 20) as out:
            for start in range(0, count, 10000):
                out.write(b"".join(b"%0100d\n" % i for i in range(start, min(start + 10000, count))))

    feeder = threading.Thread(target=write, daemon=True)
    with os.fdopen(reader, "rb") as stdin:
        producer = broker.spawn("netqueue-producer", queue, stdin=stdin)
    feeder.start()
    result = producer.wait(1200).expect(0)
    feeder.join(10)
    check_equal(broker.stat(queue).ready, count, "ready")
    return result.seconds


def drain_in_order(broker, queue, first, count):
    """Through netqueue-consumer, comparing as it comes."""
    reader, writer = os.pipe()
    consumer = broker.spawn("netqueue-consumer", queue, "-n", count, stdout=writer)
    os.close(writer)
    number = first
    with os.fdopen(reader, "rb", 1 << 20) as lines:
        for line in lines:
            if line != b"%0100d\n" % number:
                raise AssertionError("expected item %d, got %r" % (number, line))
            number += 1
    result = consumer.wait(60).expect(0)
    check_equal(number, first + count, "the last item's number")
    return result.seconds


def memory(lab, broker, what):
    used = broker.status_value("RssAnon")
    lab.note("RssAnon %.1f MiB %s" % (used / MEBI, what))
    check(lab.sanitizer or used < 64 * MEBI, "RssAnon %.1f MiB %s", used / MEBI, what)


@scenario(timeout=300, long_timeout=3000)
def bounded_memory_quick_restart_in_order(lab):
    """1,000,000 items (10,000,000 with --long)"""
    broker = lab.broker()
    count = depth(lab)
    took = fill(lab, broker, "deep", count)
    lab.note("filled with %d items in %.1f s: %.0f/s" % (count, took, count / took))
    memory(lab, broker, "with the backlog")
    start = broker.restart()
    lab.note("restart: serving after %.2f s" % start)
    check(start < 10 * lab.slow, "the start took %.1f s", start)
    memory(lab, broker, "after the restart")
    check_equal(broker.stat("deep").ready, count, "ready after the restart")
    broker.kill()
    start = broker.start()
    lab.note("after kill -9: serving after %.2f s" % start)
    check(start < 10 * lab.slow, "the start took %.1f s", start)
    took = drain_in_order(broker, "deep", 0, count)
    lab.note("drained in order in %.1f s: %.0f/s" % (took, count / took))
    memory(lab, broker, "after draining")
    check_equal(broker.stat("deep").unfinished, 0, "unfinished")


@scenario(timeout=300, long_timeout=3000)
def hole_at_the_head(lab):
    """item 1 never finished, half done behind it, half waiting"""
    broker = lab.broker("--session-grace", "60s", "--session-timeout", "60s")
    count = depth(lab)
    fill(lab, broker, "q", count)
    client = broker.client()
    first = client.get_one("q", lease_ms=3600000)
    keeper = Keeper(client, 5)
    keeper.start()
    drain_in_order(broker, "q", 1, count // 2 - 1)
    memory(lab, broker, "with the hole")
    start = broker.restart()
    lab.note("restart with the hole: serving after %.2f s" % start)
    check(start < 10 * lab.slow, "the start took %.1f s", start)
    memory(lab, broker, "after the restart")
    check(client.reconnect().resumed, "not resumed")
    stat = broker.stat("q")
    check_equal((stat.ready, stat.leased, stat.dones), (count - count // 2, 1, count // 2 - 1), "stat")
    drain_in_order(broker, "q", count // 2, count - count // 2)
    keeper.stop()
    check_equal(client.task_done(first).status, Status.OK, "done of item 1")
    check_equal(broker.stat("q").unfinished, 0, "unfinished")


@scenario(timeout=300, long_timeout=3000)
def purge_is_not_felt(lab):
    """purge and delete of a big queue while another is used in lock-step"""
    broker = lab.broker()
    count = depth(lab) // 2
    fill(lab, broker, "big", count)
    fill(lab, broker, "big2", count)
    slowest, rounds, stop, wrong = [0.0], [0], threading.Event(), []

    def lock_step():
        client = Client(broker.endpoint)
        try:
            while not stop.is_set():
                before = time.monotonic()
                client.put("other", "x")
                item = client.get_one("other")
                client.task_done(item)
                slowest[0] = max(slowest[0], time.monotonic() - before)
                rounds[0] += 1
        except BaseException as error:  # shown by the main thread
            wrong.append(repr(error))
        finally:
            client.drop()

    worker = threading.Thread(target=lock_step, daemon=True)
    worker.start()
    time.sleep(1)
    usual, slowest[0] = slowest[0], 0.0
    before = time.monotonic()
    purged = broker.admin("purge", "big").expect(0)
    broker.admin("delete", "big2").expect(0)
    lab.note("purge took %.3f s, both %.3f s" % (purged.seconds, time.monotonic() - before))
    check(purged.seconds < 5 * lab.slow, "purge took %.1f s", purged.seconds)
    time.sleep(5)
    stop.set()
    worker.join(30)
    lab.note("slowest lock-step cycle: %.0f ms before, %.0f ms meanwhile (%d cycles)" % (usual * 1000, slowest[0] * 1000, rounds[0]))
    check_equal(wrong, [], "the other queue")
    check(slowest[0] < 5 * lab.slow, "the other queue stalled for %.2f s", slowest[0])
    check_equal(broker.stat("big").ready, 0, "ready")
    check(broker.stat("big2") is None, "big2 is still there")


@scenario(timeout=300, long_timeout=3000)
def space_is_used_again(lab):
    """the store's file does not grow when as much is drained as is put"""
    broker = lab.broker()
    count, sizes = 40000, []  # of 1000 bytes: far more than lies in memory for a moment
    for _ in range(4):
        broker.produce("q", "-n", count, "--size", "1000").expect(0)
        broker.consume("q", "-n", count, stdout=open(os.devnull, "wb")).expect(0)
        sizes.append(os.stat(os.path.join(broker.data, "data.mdb")).st_blocks * 512)
    lab.note("data.mdb after each round: %s MiB" % ", ".join("%.1f" % (s / MEBI) for s in sizes))
    # LMDB keeps some pages free for what comes next, so the second round may need more than the first; the two behind it, nothing.
    check(sizes[-1] - sizes[1] < count * 1000, "the file grows: %s", sizes)


if __name__ == "__main__":
    sys.exit(main())
