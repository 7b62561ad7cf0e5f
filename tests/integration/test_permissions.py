"""What an authorised key may do, and what belongs to another: each right without the right, other clients' sessions and items, odd names."""
import sys

import zmq

sys.dont_write_bytecode = True
from nqlab import KeyRing, Status, WAIT_FOREVER, check, check_equal, main, scenario, until
from nqlab.client import items_of

RIGHTS = {  # operation -> (fields, which of the roles may)
    "get": ({"max_items": 1}, {"getter"}),
    "join": ({"wait_ms": 1}, {"putter", "getter", "chief"}),
    "stat": ({}, {"putter", "getter", "chief"}),
    "peek": ({"max_items": 1}, {"getter"}),
    "declare": ({}, {"chief"}),
    "purge": ({}, {"chief"}),
    "redrive": ({}, {"chief"}),
    "shutdown": ({}, {"chief"}),
    "delete": ({}, {"chief"}),
}


def four_roles(lab):
    ring = KeyRing(lab)
    ring.add("putter", "--put", "work.*")
    ring.add("getter", "--get", "work.*")
    ring.add("chief", "--admin", "work.*")
    ring.add("all", "--put", "*", "--get", "*", "--admin", "*")
    return ring


@scenario
def each_right(lab):
    """every operation with every role, on a queue of its pattern and on another; a refusal is NOT_AUTHORISED, says why, and does nothing"""
    ring = four_roles(lab)
    ring.serve(memory=True)
    boss = ring.client("all")
    clients = {name: ring.client(name) for name in ("putter", "getter", "chief")}
    for queue in ("work.a", "private"):
        check_equal(boss.put(queue, "one", "two").status, Status.OK, "put to " + queue)
    for op, (fields, allowed) in RIGHTS.items():
        for name, client in clients.items():
            if name not in allowed:
                refused = client.call(op, queue="work.a", **fields)
                check_equal(Status(refused.status), Status.NOT_AUTHORISED, "%s by %s" % (op, name))
                check(b"this key" in refused.detail, "%s by %s says why: %r", op, name, refused.detail)
            check_equal(Status(client.call(op, queue="private", **fields).status), Status.NOT_AUTHORISED, "%s by %s elsewhere" % (op, name))
            check_equal(Status(client.call(op, queue="work.nowhere" if name in allowed else "nowhere", **fields).status) == Status.NOT_AUTHORISED,
                        name not in allowed, "%s by %s of a queue that is not there" % (op, name))
    for name, client in clients.items():
        check_equal(client.put("work.b", "x").status, Status.OK if name == "putter" else Status.NOT_AUTHORISED, "put by " + name)
        check_equal(client.put("private", "x").status, Status.NOT_AUTHORISED, "put elsewhere by " + name)
    for queue in ("work.a", "private"):
        stat = boss.stat(queue)
        check_equal((stat.ready, stat.puts, stat.gets, stat.state), (2, 2, 0, 0), queue + " afterwards")
    check_equal(Status(boss.call("stat", queue="nowhere").status), Status.NO_SUCH_QUEUE, "no queue came of it")
    item = clients["getter"].get_one("work.a")
    check_equal(clients["getter"].task_done(item).status, Status.OK, "task_done by getter")
    for op, fields, _ in [(op, f, a) for op, (f, a) in RIGHTS.items() if "chief" in a]:
        check_equal(Status(clients["chief"].call(op, queue="work.b", **fields).status) == Status.NOT_AUTHORISED, False, op + " by chief")


@scenario
def lists_show_what_is_allowed(lab):
    """a list holds only queues on which the key has some right"""
    ring = four_roles(lab)
    ring.serve(memory=True)
    boss = ring.client("all")
    for queue in ("a", "work.1", "work.2", "worker", "z"):
        boss.put(queue, "x")
    check_equal([stats.name for stats in ring.client("chief").list_all(page=1)], [b"work.1", b"work.2"], "chief's list")
    check_equal(len(boss.list_all()), 5, "everybody's list")


@scenario
def by_another_queue(lab):
    """a dead-letter queue or a redrive is no way into a queue that the key may not put to"""
    ring = four_roles(lab)
    ring.serve(memory=True)
    boss, chief = ring.client("all"), ring.client("chief")
    boss.put("private", "x")
    check_equal(Status(chief.declare("work.a", dead_letter="private").status), Status.NOT_AUTHORISED, "dead letters into another's queue")
    check_equal(Status(chief.declare("work.a", dead_letter="work.dead").status), Status.OK, "into one's own")
    boss.put("work.dead", "y")
    check_equal(Status(chief.call("redrive", queue="work.dead", to="private").status), Status.NOT_AUTHORISED, "redrive to another's queue")
    check_equal(boss.stat("private").ready, 1, "items there")


@scenario
def anothers_session(lab):
    """with another key neither session id nor resume token nor lease token are of use, before and after a restart"""
    ring = KeyRing(lab)
    for name in ("alice", "thief"):
        ring.add(name)
    broker = ring.serve()
    alice, thief = ring.client("alice"), ring.client("thief", hello=False)
    alice.put("q", "one", "two")
    item = alice.get_one("q")

    def steal(when):
        thief.connect()
        thief.session_id, thief.resume_token = alice.session_id, alice.resume_token
        reply = thief.call("hello", session_id=alice.session_id, resume_token=alice.resume_token, waiting_gets=[item.get_id], held_gets=[item.get_id])
        taken = reply.status == Status.OK and reply.hello.resumed
        check(not taken, "%s: the session was resumed", when)
        check_equal(Status(thief.call("renew", session_id=alice.session_id, resume_token=alice.resume_token).status), Status.NO_SESSION, when + ": renew")
        for op in ("task_done", "extend", "requeue"):
            reply = thief.call(op, queue_id=item.queue_id, epoch=item.epoch, seqs=[item.seq])
            status = Status(reply.status)
            check(status in (Status.LEASE_LOST, Status.NOT_LEASED), "%s: %s of another's item: %s", when, op, status.name)
        check(not any(answer.HasField("get") and items_of(answer) for answer in thief.surprises), "%s: items came", when)
        thief.goodbye()

    steal("live")
    check_equal(alice.call("stat", queue="q").stat.leased, 1, "still on lease")
    broker.restart()
    steal("restarted")
    check(alice.reconnect().resumed, "its own client takes it up again")
    check_equal(alice.task_done(item).status, Status.OK, "task_done by whose it is")
    check_equal(alice.stat("q").dones, 1, "dones")


@scenario
def odd_names(lab):
    """no name that is not plainly of the pattern is let through, and none reaches a queue of another name"""
    ring = KeyRing(lab)
    ring.add("one", "--put", "a.*,exact,b.?", "--get", "a.*", "--admin", "a.*")
    ring.add("all", "--put", "*", "--get", "*", "--admin", "*")
    ring.serve(memory=True)
    client, boss = ring.client("one"), ring.client("all")
    for name in ("private", "a", "a.x", "exact"):
        boss.put(name, "x")
    names = ["a.\0private", "private\0a.x", "\0a.x", "exact\0", "a.x\0", "a.*", "*", "a.", "..", "a..x", "a./../private", "../a.x", "a.//x", "/a.x",
             "A.x", "a.x ", " a.x", "a.x\n", "a.\u0445", "\uff41.x", "a\u2024x", b"a.\xff\xfe", "a.\u202ex", "", "a" * 129, "a." + "y" * 200, "-a.x",
             ".a.x", "exact.", "exactly", "inexact", "b.", "b.xy", "b", "a", "ax", "private", "b.\0", "a.x,private"]
    for name in names:
        asked = name if isinstance(name, bytes) else name.encode()
        for op, fields in (("get", {"max_items": 1}), ("peek", {"max_items": 1}), ("purge", {}), ("declare", {}), ("stat", {})):
            status = Status(client.call(op, queue=asked, **fields).status)
            fine = (Status.BAD_NAME, Status.NOT_AUTHORISED)
            # "a." is of the pattern and a good name; "exact" and "b.?" give a right to look.
            harmless = asked in (b"a.",) or op == "stat" and status == Status.NO_SUCH_QUEUE
            check(status in fine or harmless, "%s of %r: %s", op, name, status.name)
        status = client.put(asked, "y").status
        check(status in (Status.BAD_NAME, Status.NOT_AUTHORISED) or asked == b"a.", "put to %r: %s", name, Status(status).name)
    for name in ("private", "a"):
        stat = boss.stat(name)
        check_equal((stat.ready, stat.puts), (1, 1), name + " afterwards")
    for name, status in (("a.y", Status.OK), ("a./deep/er.x", Status.OK), ("exact", Status.OK), ("b.c", Status.OK)):
        check_equal(client.put(name, "x").status, status, name)


@scenario
def changed_roles(lab):
    """SIGHUP changes what a live session may do, at once: waiting gets too; its leases stay"""
    ring = KeyRing(lab)
    ring.add("alice")
    ring.add("boss", "--put", "*", "--get", "*")
    ring.serve(memory=True)
    alice, boss = ring.client("alice"), ring.client("boss")
    boss.put("q", "one")
    item = alice.get_one("q")
    waiting = alice.send("get", queue="q", max_items=1, wait_ms=WAIT_FOREVER)
    until(lambda: boss.stat("q").waiting_gets == 1, 20 * lab.slow, "the get waits")
    path = ring.authorised("alice")
    with open(path, encoding="ascii") as file:
        text = file.read()
    with open(path, "w", encoding="ascii") as file:
        file.write(text.replace('get = "*"', 'get = "other"'))
    ring.reload()
    check_equal(Status(alice.wait(waiting).status), Status.NO_SESSION, "the get that waited: HELLO, and ask again")
    check(alice.hello().hello.resumed, "the session goes on")
    check_equal(alice.get("q")[0], Status.NOT_AUTHORISED, "get now")
    check_equal(boss.stat("q").leased, 1, "what it holds stays")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    ring.reload()
    check_equal(alice.task_done(item).status, Status.OK, "task_done, when allowed again")


@scenario
def programs_say_it(lab):
    """exit code 77 and the reason on one line; the broker writes one line for a key and minute"""
    ring = four_roles(lab)
    broker = ring.serve(memory=True)
    for _ in range(3):
        for name, args in (("getter", ("netqueue-producer", "work.q", "x")), ("putter", ("netqueue-consumer", "work.q")),
                           ("putter", ("netqueue", "purge", "work.q"))):
            error = ring.run(name, *args).expect(77).one_line_error()
            check("this key may not" in error, error)
    for name in ("getter", "putter"):
        check_equal(broker.log_tail(1000).count("refused '%s'" % name), 1, "lines about " + name)


@scenario
def limits_of_a_key(lab):
    """sessions of one key and its requests a second are limited; other keys are not touched"""
    ring = KeyRing(lab)
    for name in ("greedy", "modest"):
        ring.add(name)
    ring.serve("--max-sessions-per-key", "3", "--max-requests-per-key", "50", memory=True)
    clients = [ring.client("greedy") for _ in range(3)]
    fourth = ring.client("greedy", hello=False)
    check_equal(Status(fourth.hello(expect=None).status), Status.LIMIT_REACHED, "a fourth session")
    modest = ring.client("modest")
    clients[0].goodbye()
    check_equal(Status(fourth.hello(expect=None).status), Status.OK, "when one has ended")
    statuses = {Status(clients[1].call("stat", queue="q").status) for _ in range(400)}
    check_equal(statuses, {Status.NO_SUCH_QUEUE, Status.BUSY}, "a flood of requests")
    check_equal(modest.put("q", "x").status, Status.OK, "another key meanwhile")


@scenario
def parked_bytes_of_a_key(lab):
    """what waits of all sessions of one key is limited together, the answer says so, and another key's puts wait as before"""
    ring = KeyRing(lab)
    for name in ("greedy", "modest"):
        ring.add(name, "--put", "*", "--get", "*", "--admin", "*")
    ring.serve("--parked-limit-per-key", "3M", memory=True)
    modest = ring.client("modest")
    modest.declare("full", maxsize=1)
    modest.put("full", "first")
    greedy = [ring.client("greedy") for _ in range(3)]
    waiting, busy = [], []
    for number, client in enumerate(greedy):
        ids = [client.send_put("full", b"y" * 500000, wait_ms=WAIT_FOREVER, stream=1 + number * 4 + i, first_number=1) for i in range(4)]
        check_equal(client.call("ping").status, Status.OK, "ping")
        waiting += [(client, i) for i in ids if i not in client.answers]
        busy += [client.answers[i] for i in ids if i in client.answers]
    check_equal((len(waiting), len(busy)), (6, 6), "puts of 500 kB that wait, and that do not, with a limit of 3 MiB")
    check_equal({(Status(reply.status), bytes(reply.detail)) for reply in busy},
                {(Status.BUSY, b"the waiting puts of this key's sessions hold as many bytes as they may")}, "answers")
    others = [modest.send_put("full", b"z" * 500000, wait_ms=WAIT_FOREVER) for _ in range(4)]
    check_equal(modest.call("ping").status, Status.OK, "ping")
    check_equal([i for i in others if i in modest.answers], [], "another key's that were answered")
    ring.run("greedy", "netqueue-producer", "full", "--put-timeout", "1s", input=b"x" * 500000 + b"\n").expect(75).one_line_error()
    for _ in range(len(waiting) + len(others) + 1):
        modest.task_done(modest.get_one("full", wait_ms=20000))
    check_equal({client.wait(i).status for client, i in waiting}, {Status.OK}, "those that waited")
    ring.run("greedy", "netqueue-producer", "full", "--put-timeout", "60s", input=b"x" * 500000 + b"\n").expect(0)


@scenario
def programs_wait_for_their_rate(lab):
    """over the rate of its key every program waits its turn: administration and consumers as well as producers"""
    ring = KeyRing(lab)
    ring.add("alice", "--put", "*", "--get", "*", "--admin", "*")
    ring.serve("--max-requests-per-key", "2", memory=True)
    ring.run("alice", "netqueue-producer", "q", "one", "two").expect(0)
    at_once = [ring.spawn("alice", "netqueue", *args) for args in (["list"], ["stat", "q"], ["ping"], ["peek", "q"], ["declare", "r"],
                                                                 ["purge", "s"], ["list"], ["list"])]
    check_equal([program.wait(60).code for program in at_once], [0, 0, 0, 0, 0, 1, 0, 0], "exit codes (there is no s)")
    check_equal(ring.run("alice", "netqueue-consumer", "--exit-when-empty", "q").expect(0).lines, [b"one", b"two"], "items")


if __name__ == "__main__":
    sys.exit(main())
