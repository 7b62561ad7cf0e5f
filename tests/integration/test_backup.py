"""netqueue backup: a copy of a live broker's store that a broker starts from, with all that was answered before; refusals are clear."""
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Skip, Status, check, check_equal, main, scenario, until
from nqlab.history import Getter, History, Putter
from nqlab.lab import Program


def broker_with_backups(lab, *flags):
    """(broker, its folder for backups)"""
    folder = lab.path("backups-%d" % lab.next_number())
    os.mkdir(folder)
    return lab.broker("--backup-dir", folder, *flags), folder


def broker_from(lab, folder, name, *flags):
    """A broker on a copy of the backup: the backup itself stays as it is."""
    broker = lab.broker(*flags, start=False)
    shutil.copytree(os.path.join(folder, name), broker.data)
    broker.start()
    return broker


def check_store(lab, folder):
    """netqueue-broker check finds nothing."""
    lab.run("netqueue-broker", "check", folder).expect(0, "check of %s" % folder)


def drain(client, queue):
    bodies = []
    while True:
        status, items = client.get(queue, 1000)
        if status != Status.OK:
            return bodies
        bodies += [i.body for i in items]
        client.task_done(*items)


@scenario
def what_was_answered_is_in_it(lab):
    """items, delays, leases and counters; later puts are not; the store id is another"""
    broker, folder = broker_with_backups(lab)
    client = broker.client()
    client.declare("q", maxsize=5000, max_deliveries=3, dead_letter="dead")
    client.put("q", *[b"%d" % i for i in range(3000)])
    client.put("later", "x", delay_ms=3600000)
    client.task_done(*client.get("q", 500)[1])
    reply = client.call("backup", name="first")
    check_equal(Status(reply.status), Status.OK, "backup: %s" % reply.detail)
    check_equal(sorted(os.listdir(folder)), ["first"], "nothing else is there")
    check_equal(reply.count.count, os.path.getsize(os.path.join(folder, "first", "data.mdb")), "its size")
    client.put("q", "too late")
    check_store(lab, os.path.join(folder, "first"))
    copy = broker_from(lab, folder, "first").client()
    stat = copy.stat("q")
    check_equal((stat.puts, stat.dones, stat.ready, stat.options.maxsize), (3000, 500, 2500, 5000), "q")
    check_equal(drain(copy, "q"), [b"%d" % i for i in range(500, 3000)], "items")
    check_equal(copy.stat("later").delayed, 1, "delayed")
    check(copy.store_id != client.store_id, "a copy must not be taken for the store it was made of")


@scenario(timeout=240)
def under_load(lab):
    """backups one after the other while putters and getters work: each has what was accepted before it and not finished"""
    broker, folder = broker_with_backups(lab)
    history = History()
    workers = [Putter(history, broker.endpoint, "q", lab.seed + n) for n in range(3)]
    workers += [Getter(history, broker.endpoint, "q", lab.seed + 10)]  # slower than the putters: a backlog grows
    for worker in workers:
        worker.start()
    checked = []
    for number in range(10 if lab.long else 3):
        until(lambda: len(history.accepted) > 500 * (number + 1), 30 * lab.slow, "load")
        with history.lock:
            accepted, done = set(history.accepted), set(history.done)
        broker.admin("backup", "n%d" % number).expect(0)
        with history.lock:
            unsure = set(history.delivered)
        checked.append(("n%d" % number, accepted, done, unsure))
    history.stop_putting.set()
    for worker in workers[:3]:
        worker.join(60)
    history.stop_getting.set()
    for worker in workers[3:]:
        worker.join(60)
    history.check_promises()
    for name, accepted, done, unsure in checked:
        check_store(lab, os.path.join(folder, name))
        copy = broker_from(lab, folder, name, "--session-grace", "100ms")
        copy.await_stat("q", leased=0)  # nobody takes up the sessions of the other
        bodies = drain(copy.client(), "q")
        check_equal(len(bodies), len(set(bodies)), "no item twice")
        lost = accepted - set(bodies) - unsure
        check(not lost, "%s: %d accepted items are not in it, such as %s", name, len(lost), sorted(lost)[:5])
        check(set(bodies) <= history.accepted, "%s: items that were never put", name)
        check(not done & set(bodies), "%s: items that were done before", name)
        lab.note("%s: %d accepted before, %d done, %d in it" % (name, len(accepted), len(done), len(bodies)))
        copy.stop()


@scenario
def refusals(lab):
    """a taken or bad name, no --backup-dir, no store on disk, a folder that is not there: one clear line each"""
    broker, folder = broker_with_backups(lab)
    broker.produce("q", "x").expect(0)
    broker.admin("backup", "monday").expect(0)
    before = os.stat(os.path.join(folder, "monday", "data.mdb"))
    text = broker.admin("backup", "monday").expect(64).one_line_error()
    check("monday" in text and "already" in text, "taken name: %s", text)
    check_equal(os.stat(os.path.join(folder, "monday", "data.mdb")), before, "the first one is untouched")
    os.mkdir(os.path.join(folder, "empty"))
    broker.admin("backup", "empty").expect(64)
    for name in ("", ".", "..", "../out", "a/b", "/abs", ".hidden", "x" * 65, "a b", "a:b"):
        text = broker.admin("backup", name).expect(64).one_line_error()
        check("name" in text, "bad name %r: %s", name, text)
        client = broker.client()
        check_equal(Status(client.call("backup", name=name).status), Status.BAD_NAME, "on the wire: %r" % name)
        client.goodbye()
    text = broker.admin("backup").expect(64).one_line_error()
    check("NAME" in text, "no name: %s", text)
    check_equal(sorted(os.listdir(folder)), ["empty", "monday"], "nothing else was made")
    text = lab.broker().admin("backup", "a").expect(77).one_line_error()
    check("--backup-dir" in text, "not set: %s", text)
    text = lab.broker("--backup-dir", folder, memory=True).admin("backup", "a").expect(77).one_line_error()
    check("disk" in text, "memory: %s", text)
    result = lab.run("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--data", lab.path("d"), "--backup-dir", lab.path("nowhere"))
    last = result.expect(78).err.decode().splitlines()[-1]  # root is told before that its privileges are given up
    check("nowhere" in last, "no such folder: %s", last)


def puts_during_a_backup(client, folder):
    """How many puts were answered, one after the other, between the order and the end of a backup; a second order is refused."""
    shutil.rmtree(os.path.join(folder, "large"), ignore_errors=True)
    first, second = orders = [client.make("backup", name="large"), client.make("backup", name="second")]
    client.send_frame(orders)  # both at once: the second cannot come too late
    served = 0
    while not client.answered(first.id):
        check_equal(client.put("other", "x").status, Status.OK, "put meanwhile")
        served += 1
    check_equal((Status(client.wait(first.id).status), Status(client.wait(second.id).status)), (Status.OK, Status.BUSY), "the first, the second")
    return served


@scenario
def one_at_a_time_and_others_are_served(lab):
    """while a large backup is made, puts and gets go on; a second one is told BUSY; a stop does not wait for it"""
    broker, folder = broker_with_backups(lab)
    client = broker.client()
    body = os.urandom(100000)
    for _ in range(20 if lab.sanitizer else 60):
        check_equal(client.put("q", *[body] * 40).status, Status.OK, "put")
    served = attempts = 0
    while served < 3 and attempts < 5:  # should we be kept from the processor for all of one
        served, attempts = puts_during_a_backup(client, folder), attempts + 1
    lab.note("%d puts were answered while %d MiB were copied" % (served, os.path.getsize(os.path.join(folder, "large", "data.mdb")) >> 20))
    check(served >= 3, "nobody is served while a backup is made")
    client.send("backup", name="cut-off")
    broker.stop()
    left = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    check(set(left) <= {"large", "cut-off"}, "left: %s", left)
    if "cut-off" in left:
        check_store(lab, os.path.join(folder, "cut-off"))
    broker.start()
    check_equal(broker.stat("q").ready, 40 * (20 if lab.sanitizer else 60), "items")
    if "cut-off" not in left:
        broker.admin("backup", "cut-off").expect(0)  # its remains are no hindrance
        check_store(lab, os.path.join(folder, "cut-off"))
    check(not [name for name in os.listdir(folder) if name.startswith(".")], "remains: %s", os.listdir(folder))


@scenario
def check_and_compact(lab):
    """both refuse a folder that a broker uses; after a kill check reads the journal, too, and compact keeps all and gives space back"""
    broker = lab.broker()
    client = broker.client()
    for _ in range(10):
        client.put("q", *[os.urandom(20000) for _ in range(100)])
    bodies = drain_all_but(client, "q", 50)
    for action in ("check", "compact"):
        text = lab.run("netqueue-broker", action, broker.data).expect(73).one_line_error()
        check("using" in text and broker.data in text, "%s of a folder in use: %s", action, text)
    broker.kill()
    lab.run("netqueue-broker", "compact", broker.data).expect(0)
    broker.start()
    check_equal(broker.stat("q").unfinished, 50, "items after a kill and compact")
    broker.stop()
    before = os.path.getsize(os.path.join(broker.data, "data.mdb"))
    result = lab.run("netqueue-broker", "compact", broker.data).expect(0)
    after = os.path.getsize(os.path.join(broker.data, "data.mdb"))
    check(after <= before and after < 3 << 20, "compact: %d -> %d: %s", before, after, result.out)
    check_store(lab, broker.data)
    broker.start()
    check_equal(drain(broker.client(), "q"), bodies, "the rest, byte for byte")
    for action in ("check", "compact"):
        text = lab.run("netqueue-broker", action, lab.path("nowhere")).expect(73).one_line_error()
        check("nowhere" in text, "%s of nothing: %s", action, text)


@scenario
def stores_of_others(lab):
    """root checks and compacts a store of another user: the files stay that user's, and nothing is left that he cannot use"""
    if os.geteuid() != 0:
        raise Skip("not root")
    broker, folder = broker_with_backups(lab)
    broker.client().put("q", *[b"%d" % i for i in range(100)])
    broker.admin("backup", "copy").expect(0)
    copy = os.path.join(folder, "copy")
    os.chmod(os.path.join(copy, "data.mdb"), 0o640)
    for path in (copy, os.path.join(copy, "data.mdb")):
        os.chown(path, 10001, 10002)
    for action in ("check", "compact", "check"):
        lab.run("netqueue-broker", action, copy).expect(0, action)
    found = {name: os.stat(os.path.join(copy, name)) for name in os.listdir(copy)}
    check_equal({name: (status.st_uid, status.st_gid) for name, status in found.items()}, {"data.mdb": (10001, 10002), "lock": (10001, 10002)}, "owners")
    check_equal(found["data.mdb"].st_mode & 0o777, 0o640, "mode of the data")


@scenario
def read_only_stores(lab):
    """check reads a store on a file system that is read-only, with the broker's lock or without; compact says why it cannot"""
    if os.geteuid() != 0 or os.spawnlp(os.P_WAIT, "unshare", "unshare", "-m", "true") != 0:
        raise Skip("not root, or no private mount namespace here")
    broker, folder = broker_with_backups(lab)
    broker.client().put("q", "x")
    broker.admin("backup", "copy").expect(0)
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'

    def run(action, store):
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, store, lab.bin("netqueue-broker"), action, store]
        return Program(lab, command).wait(20)

    copy = os.path.join(folder, "copy")
    run("check", copy).expect(0, "a backup")
    check("Read-only" in run("compact", copy).expect(73).one_line_error(), "compact says why")
    check("using" in run("check", broker.data).expect(73).one_line_error(), "a store that is in use")
    broker.stop()
    run("check", broker.data).expect(0, "a store that is not in use")
    check_equal(os.listdir(copy), ["data.mdb"], "what is in the backup")


def drain_all_but(client, queue, count):
    """Finish all but the last `count`; these, put back."""
    ready = client.stat(queue).ready
    while ready > count:
        status, items = client.get(queue, min(100, ready - count))
        check_equal(status, Status.OK, "get")
        client.task_done(*items)
        ready -= len(items)
    rest = client.get(queue, count)[1]
    client.requeue(*rest)
    return [i.body for i in rest]


@scenario
def killed_meanwhile(lab):
    """kill -9 while a backup is made: there is a whole one or none under its name"""
    broker, folder = broker_with_backups(lab)
    client = broker.client()
    body = os.urandom(100000)
    for _ in range(20):
        client.put("q", *[body] * 40)
    whole = os.path.join(folder, "b")
    kills = 0
    while kills < 4 or not os.listdir(folder):  # the last one leaves something behind
        check(kills < 30, "no kill came midway")
        for name in os.listdir(folder):
            shutil.rmtree(os.path.join(folder, name))
        admin = broker.spawn("netqueue", "backup", "b", "--timeout", "1s")
        until(lambda: os.listdir(folder), 20 * lab.slow, "it has begun", 0.0005)
        time.sleep(lab.random.uniform(0, 0.1) / (kills + 1))
        broker.kill()
        admin.wait(30)
        kills += 1
        if os.path.exists(whole):
            check_store(lab, whole)
            shutil.rmtree(whole)
        broker.start()
    lab.note("%d kills, the last one midway" % kills)
    broker.admin("backup", "b").expect(0)
    copy = broker_from(lab, folder, "b")
    check_equal(copy.stat("q").ready, 800, "items")


@scenario
def disk_full(lab):
    """the disk that backups go to is full: NO_SPACE, nothing is left of it, the broker goes on"""
    if os.geteuid() != 0 or os.spawnlp(os.P_WAIT, "unshare", "unshare", "-m", "true") != 0:
        raise Skip("not root, or no private mount namespace here")
    folder = lab.path("small")
    os.mkdir(folder)
    script = 'mount -t tmpfs -o size=2M tmpfs "%s" && exec "$@"' % folder
    broker = lab.broker("--backup-dir", folder, prefix=["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"])
    seen = "/proc/%d/root%s" % (broker.pid, folder)
    client = broker.client()
    client.put("q", *[os.urandom(50000) for _ in range(100)])
    text = broker.admin("backup", "big").expect(73).one_line_error()
    check("full" in text and "big" in text, "the line: %s", text)
    check_equal(os.listdir(seen), [], "left behind")
    check_equal(client.put("q", "goes on").status, Status.OK, "put")
    check(broker.running(), "the broker ended")
    drain(client, "q")
    broker.await_stat("q", unfinished=0)
    broker.admin("backup", "small").expect(0)
    check_equal(os.listdir(seen), ["small"], "then there is room")


if __name__ == "__main__":
    sys.exit(main())
