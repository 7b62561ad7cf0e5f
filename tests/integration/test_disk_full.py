"""A full disk: puts are refused clearly, dones and gets go on, freed space is used again. Needs root (a private mount); skipped by name elsewhere."""
import os
import sys

sys.dont_write_bytecode = True
from nqlab import Skip, Status, check, check_equal, main, scenario, until

MEBI = 1024 * 1024


def small_disk(lab, size="128M", *flags):
    """A broker whose data directory is a small tmpfs that only it sees."""
    if os.geteuid() != 0:
        raise Skip("not root: no private mount")
    probe = os.spawnlp(os.P_WAIT, "unshare", "unshare", "-m", "true")
    if probe != 0:
        raise Skip("no private mount namespace here")
    disk = lab.path("disk-%d" % lab.next_number())
    os.mkdir(disk)
    script = 'mount -t tmpfs -o size=%s tmpfs "%s" && exec "$@"' % (size, disk)
    broker = lab.broker(*flags, start=False, prefix=["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"])
    broker.data = os.path.join(disk, "data")
    broker.start()
    broker.disk = "/proc/%d/root%s" % (broker.pid, disk)
    return broker


def free_bytes(broker):
    found = os.statvfs(broker.disk)
    return found.f_bavail * found.f_frsize


def occupy(broker, leave):
    """Somebody else fills the disk up to `leave` bytes."""
    with open(os.path.join(broker.disk, "other"), "ab") as file:
        while free_bytes(broker) > leave:
            try:
                file.write(b"\0" * min(256 * 1024, max(4096, free_bytes(broker) - leave)))
                file.flush()
            except OSError:
                return


def vacate(broker):
    os.unlink(os.path.join(broker.disk, "other"))


def await_put(client, status, lab):
    until(lambda: client.put("q", "x").status == status, 15 * lab.slow, "puts answer %s" % status.name, 0.1)


@scenario
def others_fill_the_disk(lab):
    """below the reserve puts are NO_SPACE, the rest goes on; after freeing puts go on"""
    broker = small_disk(lab, "128M", "--disk-reserve", "16M")
    client = broker.client()
    check_equal(client.put("q", *range(1000)).status, Status.OK, "put")
    occupy(broker, 4 * MEBI)
    await_put(client, Status.NO_SPACE, lab)
    result = broker.produce("q", "refused").expect(73)
    check("full" in result.one_line_error() or "space" in result.one_line_error(), "the error does not say why: %r", result.err)
    status, items = client.get("q", 500)
    check_equal((status, len(items)), (Status.OK, 500), "get")
    check_equal(client.task_done(*items).status, Status.OK, "done")
    check_equal(client.call("stat", queue="q").status, Status.OK, "stat")
    vacate(broker)
    await_put(client, Status.OK, lab)
    broker.produce("q", "accepted").expect(0)


@scenario
def not_a_byte_left(lab):
    """the reserve file covers what others took: it is given up for dones and dead letters, and made again when there is room"""
    broker = small_disk(lab, "224M", "--disk-reserve", "48M")
    reserve = os.path.join(broker.disk, "data", "reserve")
    client = broker.client()
    client.declare("q", dead_letter="dead")
    count, letters = 40000, []
    for first in range(0, count, 1000):
        check_equal(client.put("q", *[b"%01000d" % i for i in range(first, first + 1000)]).status, Status.OK, "put")
    check(os.path.exists(reserve), "there is no reserve")
    occupy(broker, 0)
    for _ in range(0, count, 1000):
        status, items = client.get("q", 1000)
        check_equal((status, len(items)), (Status.OK, 1000), "get with a full disk")
        # What is moved is written once more: until the store has used up what it has allocated ahead.
        moved = [item for at, item in enumerate(items) if at % 10] if os.path.exists(reserve) else []
        if moved:
            check_equal(client.requeue(*moved, dead=True).status, Status.OK, "dead letters with a full disk")
            letters += [int(item.body) for item in moved]
        rest = items[::10] if moved else items
        check_equal(client.task_done(*rest).status, Status.OK, "done with a full disk")
    check(not os.path.exists(reserve), "the reserve is there all the same, after %d dead letters", len(letters))
    lab.note("%d dead letters until the reserve was needed" % len(letters))
    check(broker.running(), "the broker ended")
    vacate(broker)
    await_put(client, Status.OK, lab)
    until(lambda: os.path.exists(reserve), 20 * lab.slow, "the reserve is made again", 0.1)
    got = []
    while len(got) < len(letters):
        status, items = client.get("dead", 1000)
        check_equal(status, Status.OK, "get of dead letters")
        got += [int(item.body) for item in items]
        client.task_done(*items)
    check_equal(got, letters, "dead letters")


@scenario
def producer_fills_the_disk(lab):
    """a producer that fills it itself ends 73; what was accepted comes out"""
    broker = small_disk(lab, "64M", "--disk-reserve", "16M")
    path = lab.write("in", b"".join(b"%0999d\n" % i for i in range(200000)))
    with open(path, "rb") as file:
        producer = broker.spawn("netqueue-producer", "q", stdin=file)
    result = producer.wait(60).expect(73)
    result.one_line_error()
    stat = broker.stat("q")
    lab.note("%d items of 1000 bytes fit into 64 MiB less 16 MiB" % stat.ready)
    check(stat.ready > 1000, "only %d items fitted", stat.ready)
    lines = broker.consume("q", "--exit-when-empty").expect(0).lines
    check_equal([int(line) for line in lines], list(range(stat.ready)), "lines")
    client = broker.client()
    await_put(client, Status.OK, lab)


def fill_to_the_limit(client):
    """Runs of 500 items of 1000 bytes until one is refused; how many were accepted."""
    accepted = 0
    while accepted < 200000:
        reply = client.put("q", *[b"%01000d" % i for i in range(500)])
        accepted += reply.put.accepted
        if reply.status != Status.OK:
            check_equal(Status(reply.status), Status.NO_SPACE, "status")
            return accepted
    raise AssertionError("no limit")


@scenario
def max_disk(lab):
    """--max-disk: NO_SPACE at the limit, at most a commit group (16 MiB) beyond it (needs no root)"""
    broker = lab.broker("--max-disk", "24M", "--disk-reserve", "0")
    accepted = fill_to_the_limit(broker.client())
    used = sum(os.stat(os.path.join(broker.data, f)).st_blocks * 512 for f in os.listdir(broker.data))
    lab.note("%d items of 1000 bytes, %.1f MiB on disk with --max-disk 24M" % (accepted, used / MEBI))
    check(5000 < accepted < 45000, "%d accepted", accepted)
    check(used < 48 * MEBI, "%d MiB on disk", used // MEBI)


@scenario
def max_disk_drained(lab):
    """what was drained makes room again (needs no root)"""
    broker = lab.broker("--max-disk", "24M", "--disk-reserve", "0")
    client = broker.client()
    accepted, got = fill_to_the_limit(client), 0
    while True:
        status, items = client.get("q", 1000)
        if status != Status.OK:
            break
        client.task_done(*items)
        got += len(items)
    check_equal(got, accepted, "drained")
    await_put(client, Status.OK, lab)
    broker.restart()
    await_put(broker.client(), Status.OK, lab)


if __name__ == "__main__":
    sys.exit(main())
