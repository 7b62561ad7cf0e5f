"""Brokers whose memory is limited, by a control group of their own or by address space: work is refused before the kernel ends them, what they
have goes on, and nothing accepted is lost."""
import os
import sys

sys.dont_write_bytecode = True
from nqlab import ControlGroup, Skip, Status, WAIT_FOREVER, check, check_equal, main, scenario, until
from nqlab import zmtp
from nqlab.zmtp import MORE, Peer

MEBI = 1024 * 1024
FILLER = b"z" * 50000


def no_sanitizer(lab):
    if lab.sanitizer:
        raise Skip("a sanitizer's own memory is not within a limit")


def numbered(first, count, filler=FILLER):
    return [b"%010d" % number + filler for number in range(first, first + count)]


def fill(client, least, item_bytes):
    """At least so many numbered items, two at a time; how many they are."""
    count = 0
    while count < least:
        count += client.put("q", *numbered(count, 2, b"x" * item_bytes)).put.accepted
    return count


def put_until_busy(clients, queue="q"):
    """Numbered items of 50 kB by these clients in turn, until each was refused at once; how many were accepted."""
    accepted, refused = 0, 0
    while refused < len(clients):
        check(accepted * len(FILLER) < 1024 * MEBI, "%d items of 50 kB, and no end", accepted)
        for client in clients:
            reply = client.put(queue, *numbered(accepted, 20))
            accepted += reply.put.accepted
            check(reply.status in (Status.OK, Status.BUSY), "status %s", Status(reply.status).name)
            refused = refused + 1 if reply.status == Status.BUSY else 0
    return accepted


def drain_all(client, queue):
    """All of the queue is got and done; the numbers."""
    got = []
    while True:
        status, items = client.get(queue, 20)
        if status != Status.OK:
            return got
        got += [int(item.body[:10]) for item in items]
        check_equal(client.task_done(*items).status, Status.OK, "task_done")


def drain(client, queue, expected):
    """All of the queue is got and done; the numbers are these, each once."""
    got = drain_all(client, queue)
    check_equal((len(got), sorted(got)), (len(expected), sorted(expected)), "items that came out, of those accepted")
    return got


def takes_puts_again(lab, client):
    until(lambda: client.put("again", "again").status == Status.OK, 20 * lab.slow, "puts are accepted again", 0.1)


def check_alive(lab, group, broker):
    check_equal(group.kills(), 0, "kills for want of memory")
    check(broker.running(), "the broker ended")
    lab.note("at most %s MiB were charged of %d" % (group.peak() and group.peak() // MEBI, group.limit // MEBI))


@scenario(timeout=180)
def in_memory_within_a_group(lab):
    """a broker in memory within 160 MiB: several producers' puts end BUSY, get and done go on, drained it takes puts again; the kernel kills nobody"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker(memory=True)
        accepted = put_until_busy([broker.client() for _ in range(4)])
        lab.note("%d items of 50 kB" % accepted)
        check(accepted * len(FILLER) > 40 * MEBI, "only %d items of 50 kB", accepted)
        result = broker.produce("q", "%010d" % accepted, "--put-timeout", "1s")
        check(result.code in (0, 75), "the program: %s", result.err)  # what was under way may be free again by then
        accepted += 1 if result.code == 0 else 0
        client = broker.client()
        drain(client, "q", list(range(accepted)))
        takes_puts_again(lab, client)
        check_alive(lab, group, broker)


@scenario(timeout=180)
def on_disk_within_a_group(lab):
    """a store on disk within 96 MiB takes items of three times that: its files' pages are the kernel's to drop, and do not count"""
    no_sanitizer(lab)
    count = 6000
    with ControlGroup(lab, 96 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        for first in range(0, count, 20):  # the disk may be slower than we: then it is BUSY for a while
            until(lambda: client.put("q", *numbered(first, 20)).status == Status.OK, 20 * lab.slow, "item %d is accepted" % first)
        lab.note("of files %d MiB, of its own %d" % (group.stat("total_cache" if group.stat("total_cache") else "file") // MEBI, broker.status_value("RssAnon") // MEBI))
        check_equal(drain(client, "q", list(range(count))), list(range(count)), "the order")
        check_alive(lab, group, broker)


@scenario(timeout=180)
def waiting_puts_within_a_group(lab):
    """puts that wait for room in full queues end BUSY before the memory is out; those that wait go in as there is room"""
    no_sanitizer(lab)
    with ControlGroup(lab, 128 * MEBI) as group:
        broker = group.broker("--parked-limit", "1G", "--parked-limit-per-key", "1G", "--session-timeout", "1h")  # they are silent while others send
        clients = [broker.client() for _ in range(8)]
        waiting = []
        for number, client in enumerate(clients):
            check_equal(client.declare("full%d" % number, maxsize=1).status, Status.OK, "declare")
            check_equal(client.put("full%d" % number, "%010d" % 0).status, Status.OK, "the first put")
        for number, client in enumerate(clients):
            ids = [client.send_put("full%d" % number, *numbered(i, 1, b"y" * 400000), wait_ms=WAIT_FOREVER) for i in range(1, 76)]
            check_equal(client.call("ping").status, Status.OK, "ping")
            waiting.append([i for i in ids if i not in client.answers])
            statuses = {Status(client.answers[i].status) for i in ids if i in client.answers}
            check(statuses <= {Status.BUSY, Status.OUT_OF_SEQUENCE, Status.STREAM_UNKNOWN}, "answers %s", statuses)
        total = sum(len(ids) for ids in waiting)
        lab.note("%d puts of 400 kB wait" % total)
        check(40 < total < 400, "%d puts of 400 kB wait", total)
        for number, client in enumerate(clients):
            for i in range(len(waiting[number]) + 1):
                item = client.get_one("full%d" % number, wait_ms=20000)
                check_equal(int(item.body[:10]), i, "item")
                check_equal(client.task_done(item).status, Status.OK, "task_done")
            check_equal({client.wait(i).status for i in waiting[number]} | {Status.OK}, {Status.OK}, "those that waited")
        takes_puts_again(lab, clients[0])
        check_alive(lab, group, broker)


def flood(lab, broker, producers, rounds):
    """Each sends frames as large as the broker takes, all of them before an answer is looked at; (client, request, number) of each put."""
    clients = [broker.client() for _ in range(producers)]
    body = b"x" * 1000000
    count = max(1, clients[0].hello_reply.limits.frame_bytes // 1050000)
    sent = []
    for i in range(rounds):
        for client in clients:
            first = len(sent) * count
            sent.append((client, client.send_put("q", *numbered(first, count, body), stream=1 + len(sent), first_number=1), first))
    statuses = [Status(client.wait(request, 60 * lab.slow).status) for client, request, _ in sent]
    check(set(statuses) <= {Status.OK, Status.BUSY}, "statuses %s", set(statuses))
    lab.note("%d puts of %d MB each: %d accepted" % (len(sent), count, statuses.count(Status.OK)))
    return [first + i for (_, _, first), status in zip(sent, statuses) if status == Status.OK for i in range(count)]


@scenario(timeout=180)
def largest_frames_within_a_group(lab):
    """four producers at once send the largest frames that the broker takes, in memory and on disk: what is under way stays within what is left"""
    no_sanitizer(lab)
    for memory in (True, False):
        with ControlGroup(lab, 160 * MEBI) as group:
            broker = group.broker("--disk-reserve", "0", memory=memory)
            expected = flood(lab, broker, 4, 40)
            check_alive(lab, group, broker)
            client = broker.client()
            drain(client, "q", expected)
            takes_puts_again(lab, client)
            check_alive(lab, group, broker)


def frame_of_empty_items(client, queue, first_number, delay_ms):
    """One frame, about as long as the broker takes, of puts of 10,000 empty items each; the ids of these."""
    count = client.hello_reply.limits.frame_bytes // 2 // 10100
    more = {"stream": 1 + client.session_id[0], "delay_ms": delay_ms}
    puts = [client.make("put", queue=queue, bodies=[b""] * 10000, first_number=first_number + 10000 * i, **more) for i in range(count)]
    client.send_frame(puts)
    return [put.id for put in puts]


def empty_items_until_busy(lab, clients, delay_ms):
    """By these clients at once, each in a queue of its own, until each was refused something; how many were accepted."""
    accepted, refused = [0] * len(clients), set()
    while len(refused) < len(clients):
        sent = [frame_of_empty_items(client, "q%d" % i, accepted[i] + 1, delay_ms) for i, client in enumerate(clients)]
        for i, client in enumerate(clients):
            replies = [client.wait(request, 60 * lab.slow) for request in sent[i]]
            statuses = {Status(reply.status) for reply in replies}
            check(statuses <= {Status.OK, Status.BUSY, Status.OUT_OF_SEQUENCE, Status.STREAM_UNKNOWN}, "statuses %s", statuses)
            accepted[i] += sum(reply.put.accepted for reply in replies)
            refused |= {i} if statuses != {Status.OK} else set()
    return sum(accepted)


@scenario(timeout=180)
def tiny_items_within_a_group(lab):
    """what a broker in memory keeps of an item that is empty and delayed is many times what it takes in a frame: puts are refused in time"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker(memory=True)
        clients = [broker.client() for _ in range(3)]
        accepted = empty_items_until_busy(lab, clients, 3600000)
        lab.note("%d empty items" % accepted)
        check_alive(lab, group, broker)
        purged = sum(clients[0].call("purge", timeout=60 * lab.slow, queue="q%d" % i).count.count for i in range(3))
        check_equal(purged, accepted, "what the broker held")
        takes_puts_again(lab, clients[0])
        check_alive(lab, group, broker)


@scenario(timeout=180)
def slow_consumers_within_a_group(lab):
    """consumers ask for all there is and do not read the answers: what is kept for them is bounded, and goes back to its places when they go"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        count = fill(client, 200, 1000000)
        peers = [ask_for_items(broker, client, 30) for _ in range(6)]
        until(lambda: broker.stat("q").gets >= count, 60 * lab.slow, "all gets are answered")
        check_alive(lab, group, broker)
        for peer in peers:
            peer.close()
        until(lambda: broker.stat("q").ready == count, 60 * lab.slow, "what they had is back", 0.1)
        drain(client, "q", list(range(count)))
        check_alive(lab, group, broker)


@scenario(timeout=180)
def late_readers_within_a_group(lab):
    """clients ask for more than is held for a connection and read late: what does not fit is BUSY, its items go back, and no connection is lost"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        count = fill(client, 120, 1000000)
        late = [broker.client(receive_limit=1) for _ in range(2)]
        asked = []
        for number, reader in enumerate(late):
            gets = [reader.make("get", queue="q", max_items=2) for _ in range(30)]
            reader.send_frame(gets)
            asked.append([get.id for get in gets])
            until(lambda: broker.stat("q").gets >= 60 * (number + 1), 60 * lab.slow, "all its gets are answered")
        got, busy = [], 0
        for reader, ids in zip(late, asked):
            for request in ids:
                status, items = reader.end_get(request, 60 * lab.slow)
                check(status in (Status.OK, Status.BUSY, Status.EMPTY), "a late reader's get ends %s", status.name)
                busy += status == Status.BUSY
                got += [int(item.body[:10]) for item in items]
                if items:
                    check_equal(reader.task_done(*items).status, Status.OK, "task_done")
            check(not reader.connection_was_lost(), "a connection was lost")
        lab.note("%d items for the late readers, %d gets BUSY" % (len(got), busy))
        check(busy > 0, "no get was BUSY")
        check_equal(sorted(got + drain_all(client, "q")), list(range(count)), "items that came out")
        check_alive(lab, group, broker)


def ask_for_items(broker, maker, gets, peeks=0):
    """A client that asks for so many times two items, and reads nothing. Any number of clients may peek at the same ones."""
    frame = maker.pb.ClientFrame(version=1)
    operations = ["peek"] * peeks + ["get"] * gets
    frame.requests.extend([maker.make("hello", session_id=os.urandom(16))] + [maker.make(op, queue="q", max_items=2) for op in operations])
    peer = Peer(broker.endpoint)
    peer.handshake()
    peer.send(zmtp.frame(frame.SerializeToString()))
    return peer


@scenario(timeout=180)
def a_hundred_that_read_nothing_within_a_group(lab):
    """100 connections ask for 20 MB each and read nothing: those that hold most are ended, a client that reads goes on, and all items are there"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        count = fill(client, 20, 500000)
        peers = [ask_for_items(broker, client, 1, 20) for _ in range(100)]
        for number in range(20):  # BUSY while what is held for those that were ended is not free yet
            until(lambda: client.put("other", "%d" % number).status == Status.OK, 60 * lab.slow, "item %d is accepted" % number)
            item = get_patiently(lab, client, "other")
            check_equal(item.body, b"%d" % number, "item")
            check_equal(client.task_done(item).status, Status.OK, "task_done")
        for peer in peers:
            peer.close()
        until(lambda: broker.stat("q").ready == count, 60 * lab.slow, "what they had is back", 0.1)
        drain(client, "q", list(range(count)))
        check_alive(lab, group, broker)


def get_patiently(lab, client, queue):
    """As a library does it: BUSY is asked again."""
    got = []

    def is_there():
        status, items = client.get(queue)
        check(status in (Status.OK, Status.BUSY), "get ends %s", status.name)
        got.extend(items)
        return status == Status.OK
    until(is_there, 60 * lab.slow, "a get is served")
    return got[0]


@scenario(timeout=180)
def hundreds_of_half_frames_within_a_group(lab):
    """300 connections each send almost the largest frame: libzmq holds them, so the kernel may end the broker; it has all that was accepted then"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        size = client.hello_reply.limits.frame_bytes
        accepted = sum(client.put("q", *numbered(first, 20)).put.accepted for first in range(0, 200, 20))
        check_equal(accepted, 200, "accepted")
        client.drop()
        half = zmtp.frame(b"x" * (size - 1000))[:-1000]
        peers = []
        try:
            while len(peers) < 300 and broker.running():
                peers.append(Peer(broker.endpoint))
                peers[-1].handshake()
                peers[-1].send(half)
        except OSError:
            pass  # it is gone
        for peer in peers:
            peer.close()
        until(lambda: not broker.running() or not connections_to(broker), 60 * lab.slow, "all of them are gone, or the broker")
        lab.note("%d connections sent %d MiB; the broker %s" % (len(peers), len(peers) * len(half) // MEBI, "goes on" if broker.running() else "was ended"))
        if not broker.running():
            broker.program.wait(60)
            broker.start()  # as a supervisor does
        drain(broker.client(), "q", list(range(accepted)))


def connections_to(broker):
    """How many of the broker's connections are open, or closed by the other side only."""
    port = int(broker.endpoint.rsplit(":", 1)[1])
    with open("/proc/net/tcp", encoding="ascii") as file:
        found = [line.split()[1:4] for line in file.readlines()[1:]]
    return sum(state in ("01", "08") and int(local.split(":")[1], 16) == port for local, _, state in found)


def run_out(broker, group):
    """A message whose parts never end: libzmq keeps them all, whatever we do."""
    peer = Peer(broker.endpoint)
    peer.handshake()
    block = zmtp.frame(b"", MORE) * 500000
    sent = 0
    while broker.running() and sent < 100 * MEBI and peer.send(block):
        sent += len(block)
    peer.close()
    until(lambda: group.kills() > 0 or not broker.running(), 60 * broker.lab.slow, "the group's memory is out")
    return sent


@scenario(timeout=180)
def killed_and_started_again(lab):
    """what the broker has no means against (a message of endless parts) ends it at the group's limit; started again, it has all that was accepted"""
    no_sanitizer(lab)
    with ControlGroup(lab, 160 * MEBI) as group:
        broker = group.broker("--disk-reserve", "0")
        client = broker.client()
        accepted = sum(client.put("q", *numbered(first, 20)).put.accepted for first in range(0, 200, 20))
        check_equal(accepted, 200, "accepted")
        client.drop()
        sent = run_out(broker, group)
        broker.program.wait(60)
        lab.note("ended with %s after %.1f MiB of empty parts" % (broker.program.process.returncode, sent / MEBI))
        check(broker.program.process.returncode != 0, "it ended as if nothing were")
        broker.start()  # as a supervisor does
        drain(broker.client(), "q", list(range(accepted)))


@scenario(timeout=180)
def address_space_on_disk(lab):
    """a store on disk within 2500 MiB of address space: waiting puts end BUSY, what fills the map NO_SPACE, get and done go on"""
    no_sanitizer(lab)
    broker = lab.broker("--parked-limit", "2G", "--parked-limit-per-key", "2G", "--disk-reserve", "960M", prefix=["prlimit", "--as=%d" % (2500 * MEBI)])
    check(broker.status_value("VmSize") < 2500 * MEBI, "address space is not limited")
    client = broker.client()
    accepted, reply = 0, client.put("q", *numbered(0, 20))
    while reply.status == Status.OK:
        accepted += 20
        check(accepted * len(FILLER) < 1024 * MEBI, "%d items of 50 kB, and no end", accepted)
        reply = client.put("q", *numbered(accepted, 20))
    check_equal(Status(reply.status), Status.NO_SPACE, "what fills a map of 1 GiB, of which 960 MiB are reserved")
    lab.note("%d items of 50 kB within the map" % accepted)
    drain(client, "q", list(range(accepted)))
    takes_puts_again(lab, client)
    broker.restart()
    broker.stop()


@scenario
def too_little_address_space(lab):
    """a limit of address space that leaves no room for the store's map: one clear line at the start, exit code 78"""
    no_sanitizer(lab)
    broker = lab.broker(start=False, prefix=["prlimit", "--as=%d" % (1500 * MEBI)])
    check(not broker.try_start(), "it serves")
    broker.program.wait().expect(78)
    lines = [line for line in broker.program.err.splitlines() if b"privileges" not in line]
    check(len(lines) == 1 and b"1024 MiB of address space" in lines[0], "what it says: %s", lines)


if __name__ == "__main__":
    sys.exit(main())
