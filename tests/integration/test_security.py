"""Who gets in and what can be seen: every way in without an authorised key is tried, and must fail."""
import os
import re
import shutil
import socket
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

sys.dont_write_bytecode = True
from nqlab import Client, KeyRing, Status, WAIT_FOREVER, check, check_equal, main, read_key, scenario, until
from nqlab.client import NoAnswer
from nqlab.proxy import Proxy

SECRET_BODY = b"the-body-that-nobody-may-read"
SECRET_QUEUE = b"the-queue-that-nobody-may-know"


def mode(path):
    return oct(os.stat(path).st_mode & 0o777)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def is_served(ring, name):
    """A client with this key gets its put and its item."""
    client = ring.client(name)
    check_equal(client.put("alive", name).status, Status.OK, name + ": put")
    item = client.get_one("alive")
    check_equal(client.task_done(item).status, Status.OK, name + ": task_done")
    client.goodbye()


def gets_no_answer(lab, endpoint, seconds=0.7, **how):
    """A client that says HELLO and PING in this way hears nothing."""
    client = Client(endpoint, hello=False, **how)
    lab.clients.append(client)
    for op, fields in (("ping", {}), ("hello", {"session_id": b"x" * 16})):
        request = client.make(op, **fields)
        try:
            if client.socket.poll(int(seconds * 1000), zmq.POLLOUT):  # nothing is sent without a handshake (IMMEDIATE)
                client.send_frame([request])
            client.wait(request.id, seconds)
        except (NoAnswer, zmq.Again):
            continue
        raise AssertionError("%s was answered to a client with %s" % (op, how))
    client.drop()


# ------------------------------------------------------------------------------------------------------------------- keys

@scenario
def keygen_makes_a_working_set(lab):
    """two commands, and everything has its keys with the right modes; nothing is ever written over"""
    made = lab.run("netqueue", "keygen", lab.path("keys"), "alice", "bob").expect(0)
    check_equal(made.out.count(b"public key"), 3, "lines")
    ring = KeyRing(lab)
    for path in ("broker_secret", "clients/alice/client_secret", "clients/bob/client_secret"):
        check_equal(mode(os.path.join(ring.dir, path)), "0o600", path)
    for path in ("", "authorised", "clients", "clients/alice"):
        check_equal(mode(os.path.join(ring.dir, path)), "0o700", path)
    check(read_key(ring.of("alice") + "/client") != read_key(ring.of("bob") + "/client"), "keys are not all the same")
    before = read(os.path.join(ring.dir, "broker_secret"))
    error = lab.run("netqueue", "keygen", ring.dir, "alice").expect(78).one_line_error()
    check("is there already" in error, error)
    check_equal(read(os.path.join(ring.dir, "broker_secret")), before, "the broker's key")
    for bad in ("../eve", ".eve", "a/b", "eve_secret", "ünï", ""):
        lab.run("netqueue", "keygen", ring.dir, bad).expect(64)
    lab.run("netqueue", "keygen", ring.dir, "eve", "--put", 'a" admin = "*').expect(64)
    check(not os.path.exists(ring.authorised("eve")), "nobody was authorised with a bad pattern")
    lab.run("netqueue", "keygen", lab.path("other"), "eve", "--get", "[a]").expect(64).one_line_error()
    check(not os.path.exists(lab.path("other")), "a command that is refused makes nothing")
    ring.serve(memory=True)
    ring.run("alice", "netqueue-producer", "q", "one", "two").expect(0)
    check_equal(ring.run("bob", "netqueue-consumer", "--exit-when-empty", "q").expect(0).lines, [b"one", b"two"], "items")
    environment = {"NETQUEUE_KEYS": ring.of("bob"), "NETQUEUE_SERVER": ring.broker.endpoint}
    lab.run("netqueue", "stat", "q", env=environment).expect(0)


@scenario
def keygen_again(lab):
    """the name of a client whose folder has been handed out and removed is not given a second time: its key stays as it was"""
    ring = KeyRing(lab)
    ring.add("alice")
    os.rename(ring.of("alice"), lab.path("handed-out"))
    before = read(ring.authorised("alice"))
    error = lab.run("netqueue", "keygen", ring.dir, "alice").expect(78).one_line_error()
    check(ring.authorised("alice") in error and "is there already" in error, error)
    check_equal(read(ring.authorised("alice")), before, "alice's key")
    check(not os.path.exists(ring.of("alice")), "a folder with keys that nobody lets in")


@scenario
def secrets_that_others_may_read(lab):
    """refused by broker and programs, with a line that says which file; so is what others may change"""
    ring = KeyRing(lab)
    ring.add("alice")
    ring.serve(memory=True)
    secret = ring.of("alice") + "/client_secret"
    for bits in (0o640, 0o604, 0o666):
        os.chmod(secret, bits)
        error = ring.run("alice", "netqueue", "list").expect(78).one_line_error()
        check(secret in error and "chmod 600" in error, error)
    os.chmod(secret, 0o600)
    os.chmod(ring.of("alice") + "/broker", 0o646)
    check("everybody may change it" in ring.run("alice", "netqueue", "list").expect(78).one_line_error(), "the broker's key")
    ring.broker.stop()
    os.chmod(os.path.join(ring.dir, "broker_secret"), 0o644)
    fails_to_start(lab, ring, "chmod 600")
    os.chmod(os.path.join(ring.dir, "broker_secret"), 0o600)
    os.chmod(ring.authorised(), 0o777)
    fails_to_start(lab, ring, "everybody may change it")


def fails_to_start(lab, ring, words):
    ended = lab.run("netqueue-broker", "--memory", "--listen", "tcp://127.0.0.1:*", "--keys", ring.dir, timeout=20).expect(78)
    check(words in ended.err.decode(), "%r is said: %s", words, ended.err)


@scenario
def broken_keys(lab):
    """a broker does not start with a key that is none; nor does a program"""
    ring = KeyRing(lab)
    ring.add("alice")
    path = os.path.join(ring.dir, "broker_secret")
    good = read(path)
    for name, bad in {
            "empty": b"", "not a certificate": b"\x00\xff" * 50, "cut": good[:-30], "no secret key": good.replace(b"secret-key", b"secret-kex"),
            "a key of zeros": re.sub(rb'secret-key = ".*"', b'secret-key = "' + b"0" * 40 + b'"', good),
            "not Z85": re.sub(rb'secret-key = ".*"', b'secret-key = "' + b"~" * 40 + b'"', good),
            "of another pair": re.sub(rb'public-key = ".*"', b'public-key = "' + read_key(ring.of("alice") + "/client") + b'"', good)}.items():
        write(path, bad)
        ended = lab.run("netqueue-broker", "--memory", "--listen", "tcp://127.0.0.1:*", "--keys", ring.dir, timeout=20)
        check(ended.code == 78, "%s: exit code %s", name, ended.code)
        check_equal(ended.out, b"", name + ": on stdout")
    os.unlink(path)
    fails_to_start(lab, ring, "broker_secret")
    write(path, good)
    os.chmod(path, 0o600)
    shutil.rmtree(ring.authorised())
    fails_to_start(lab, ring, "authorised")


# ----------------------------------------------------------------------------------------------------- without a good key

@scenario
def anonymous(lab):
    """a client without keys, with PLAIN, or with an old protocol gets no answer: there is no way down from CURVE"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve(memory=True)
    gets_no_answer(lab, broker.endpoint)
    plain = zmq.Context.instance().socket(zmq.DEALER)
    plain.linger, plain.plain_username, plain.plain_password = 0, b"alice", b"alice"
    plain.setsockopt(zmq.IMMEDIATE, 1)
    monitor = plain.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | 0x0800 | 0x2000 | 0x4000)
    plain.connect(broker.endpoint)
    check(monitor.poll(10000), "something happens to a PLAIN handshake")
    check(recv_monitor_message(monitor)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED, "PLAIN is not let in")
    plain.disable_monitor()
    monitor.close(0)
    plain.close()
    for greeting in (b"\x01\x00", b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x05",  # ZMTP 1, ZMTP 2
                     b"\xff" + b"\0" * 8 + b"\x7f\x03\x00NULL" + b"\0" * 48):  # ZMTP 3 without encryption
        with socket.create_connection(("127.0.0.1", int(broker.endpoint.rsplit(":", 1)[1])), 10) as raw:
            raw.sendall(greeting + b"\x04\x26\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0" + b"\x00\x04\x08\x01\x12\x00")
            raw.settimeout(10 * lab.slow)
            heard = b""
            try:
                while True:
                    data = raw.recv(4096)
                    if not data:
                        break
                    heard += data
            except ConnectionError:
                pass
            check(b"READY" not in heard, "greeting %r was answered with %r", greeting[:12], heard)
    for program in ("netqueue", "netqueue-producer", "netqueue-consumer"):
        args = ["list"] if program == "netqueue" else ["q", "x"] if program == "netqueue-producer" else ["q"]
        ended = broker.run(program, "--timeout", "1s", *args)
        check(ended.code in (69, 77), "%s without keys: exit code %s", program, ended.code)
        check("demand" in ended.one_line_error(), "%s says what is missing: %s", program, ended.err)
    is_served(ring, "alice")


@scenario
def unknown_key(lab):
    """a good pair that is not authorised: no answer, exit code 77 at once, one line in the log however often it tries"""
    ring = KeyRing(lab)
    ring.add("alice")
    other = KeyRing(lab, "other")
    mallory = other.add("mallory")
    broker = ring.serve(memory=True)
    write(mallory + "/broker", read(ring.dir + "/broker"))
    for _ in range(5):
        error = lab.run("netqueue", "--keys", mallory, "list", server=broker.endpoint).expect(77).one_line_error()
        check("does not know this key" in error, error)
    gets_no_answer(lab, broker.endpoint, curve=other.curve("mallory"))
    key = read_key(mallory + "/client").decode()
    check_equal(broker.log_tail(1000).count(key), 1, "lines in the log about the key")
    is_served(ring, "alice")


@scenario
def stolen_public_key(lab):
    """who knows an authorised public key but not its secret one gets no answer"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve(memory=True)
    public, _, server = ring.curve("alice")
    _, other_secret = zmq.curve_keypair()
    gets_no_answer(lab, broker.endpoint, curve=(public, other_secret, server))
    check("refused a connection" not in broker.log_tail(), "it did not come as far as being asked about")


@scenario
def revoked(lab):
    """SIGHUP ends the sessions of a key that is gone: waiting and later requests are refused, leases go to others, programs end with 77"""
    ring = KeyRing(lab)
    for name in ("alice", "bob"):
        ring.add(name)
    broker = ring.serve()
    alice, bob = ring.client("alice"), ring.client("bob")
    check_equal(bob.put("q", "one", "two").status, Status.OK, "put")
    item = alice.get_one("q")
    waiting = alice.send("get", queue="empty", max_items=1, wait_ms=WAIT_FOREVER)
    consumer = ring.spawn("alice", "netqueue-consumer", "empty")
    check_equal(bob.call("stat", queue="q").stat.leased, 1, "leased")
    until(lambda: bob.call("stat", queue="empty").stat.waiting_gets == 2, 20 * lab.slow, "two gets wait")
    ring.revoke("alice")
    check_equal(Status(alice.wait(waiting).status), Status.NO_SESSION, "the get that waited")
    for op, fields in (("ping", {}), ("hello", {"session_id": alice.session_id, "resume_token": alice.resume_token}),
                       ("get", {"queue": "q", "max_items": 1}), ("stat", {"queue": "q"}),
                       ("renew", {"session_id": alice.session_id, "resume_token": alice.resume_token}),
                       ("task_done", {"queue_id": item.queue_id, "epoch": item.epoch, "seqs": [item.seq]})):
        check_equal(Status(alice.call(op, **fields).status), Status.NOT_AUTHORISED, op)
    check_equal(alice.put("q", "x").status, Status.NOT_AUTHORISED, "put")
    consumer.wait(30).expect(77)
    check_equal(bob.get_one("q").body, b"one", "what the revoked one held, at its old place")
    alice.drop()
    gets_no_answer(lab, broker.endpoint, curve=ring.curve("alice"))
    check_equal(bob.call("stat", queue="q").stat.puts, 2, "puts")


@scenario
def rotating_a_clients_key(lab):
    """SECURITY.md, step by step: both keys are good, then only the new one; nothing is refused on the way, and the log tells of who still used the old one"""
    ring = KeyRing(lab)
    ring.add("alice", "--put", "q", "--get", "q")
    ring.serve()
    old = ring.client("alice")
    check_equal(old.put("q", "one").status, Status.OK, "with the old key")
    ring.add("alice-2027", "--put", "q", "--get", "q")
    ring.reload()
    new = ring.client("alice-2027")
    check_equal((old.put("q", "two").status, new.put("q", "three").status), (Status.OK, Status.OK), "with either")
    ring.revoke("alice")
    check("1 keys are authorised; 1 sessions of others have ended" in ring.broker.log_tail(3), "the log: %s", ring.broker.log_tail(3))
    check_equal(old.put("q", "four").status, Status.NOT_AUTHORISED, "the old key now")
    check_equal([item.body for item in new.get("q", 9)[1]], [b"one", b"two", b"three"], "items")
    error = ring.run("alice", "netqueue", "stat", "q").expect(77).one_line_error()
    check("does not know this key" in error, error)


@scenario
def rotating_the_brokers_key(lab):
    """SECURITY.md, step by step: clients keep their keys; who has the old public key of the broker is told so, who has the new one goes on"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve()
    ring.run("alice", "netqueue-producer", "q", "one").expect(0)
    new = KeyRing(lab, "new")
    shutil.copytree(ring.authorised(), new.authorised(), dirs_exist_ok=True)
    shutil.copy(new.dir + "/broker", ring.of("alice") + "/broker.new")
    waiting = ring.spawn("alice", "netqueue-consumer", "--timeout", "2s", "other")
    until(lambda: ring.client("alice").call("stat", queue="other").status == Status.OK, 20 * lab.slow, "a consumer of old")
    broker.flags[broker.flags.index(ring.dir)] = new.dir
    broker.restart()
    ended = waiting.wait(60).expect(69)
    check("may not hold the broker's key" in ended.one_line_error(), "what a program says that has the old one: %s", ended.err)
    os.rename(ring.of("alice") + "/broker.new", ring.of("alice") + "/broker")
    check_equal(ring.run("alice", "netqueue-consumer", "--exit-when-empty", "q").expect(0).lines, [b"one"], "with the new one")
    os.unlink(ring.dir + "/broker_secret")
    broker.restart()
    ring.run("alice", "netqueue", "stat", "q").expect(0)


@scenario
def fails_closed(lab):
    """whatever of the keys cannot be read lets nobody in, and what is mended lets in again"""
    ring = KeyRing(lab)
    for name in ("alice", "bob"):
        ring.add(name)
    ring.serve(memory=True)
    path = ring.authorised("alice")
    good = read(path)
    is_served(ring, "alice")
    for what, bad in {"empty": b"", "rubbish": b"\x00\x01\x02" * 1000, "no key": good.replace(b"public-key", b"public-kex"),
                      "a key of zeros": re.sub(rb'public-key = ".*"', b'public-key = "' + b"0" * 40 + b'"', good),
                      "a bad pattern": good.replace(b'put = "*"', b'put = "*,[a-z]"'),
                      "a huge file": good + b"#" * 100000, "too many patterns": good.replace(b'put = "*"', b'put = "' + b"a," * 500 + b'"')}.items():
        write(path, bad)
        ring.reload()
        check(ring.run("alice", "netqueue", "list").code == 77, "alice with %s: not let in", what)
        check("not authorised: " + path in ring.broker.log_tail(6), "%s: the log names the file: %s", what, ring.broker.log_tail(6))
        is_served(ring, "bob")
    write(path, good)
    os.chmod(path, 0o666)
    ring.reload()
    check_equal(ring.run("alice", "netqueue", "list").code, 77, "a file that everybody may change")
    os.chmod(path, 0o644)
    ring.reload()
    is_served(ring, "alice")
    os.rename(ring.authorised(), ring.dir + "/elsewhere")
    ring.reload()
    for name in ("alice", "bob"):
        check_equal(ring.run(name, "netqueue", "list").code, 77, name + " without a folder")
    os.rename(ring.dir + "/elsewhere", ring.authorised())
    ring.reload()
    is_served(ring, "alice")
    write(ring.authorised("twin"), good.replace(b'put = "*"', b'put = "none"'))
    ring.reload()
    check("twin is left out" in ring.broker.log_tail(6), "a key that is there twice: %s", ring.broker.log_tail(6))
    is_served(ring, "alice")


# --------------------------------------------------------------------------------------------------------- a wrong broker

@scenario
def impostor(lab):
    """a broker that does not hold the key which the client has: nothing is sent to it, encrypted for another or in clear"""
    ring = KeyRing(lab)
    ring.add("alice")
    other = KeyRing(lab, "other")
    other.add("alice")
    shutil.copy(ring.of("alice") + "/client", other.authorised("the-real-alice"))
    false_broker = other.serve("--log-level", "debug", memory=True)
    open_broker = lab.broker("--log-level", "debug", memory=True)
    for server, codes in ((false_broker, (69,)), (open_broker, (69, 77))):
        for program, args in (("netqueue-producer", ["q", SECRET_BODY.decode()]), ("netqueue", ["list"])):
            ended = lab.run(program, "--keys", ring.of("alice"), "--timeout", "1s", *args, server=server.endpoint)
            check(ended.code in codes, "%s to %s: exit code %s, %s", program, server.endpoint, ended.code, ended.err)
            check("key" in ended.one_line_error(), "the line names the keys: %s", ended.err)
        check(b"session" not in server.program.err, "no session was opened: %s", server.program.err)


# ---------------------------------------------------------------------------------------------------------------- the wire

@scenario
def sniffer(lab):
    """what passes between client and broker cannot be read; without keys it can, so the look would find it"""
    ring = KeyRing(lab)
    ring.add("alice")
    seen = {}
    for how, broker in (("encrypted", ring.serve(memory=True)), ("in clear", lab.broker(memory=True))):
        proxy = Proxy(broker.endpoint)
        proxy.recorded = bytearray()
        keys = ["--keys", ring.of("alice")] if how == "encrypted" else []
        lab.run("netqueue-producer", *keys, SECRET_QUEUE.decode(), SECRET_BODY.decode(), server=proxy.endpoint).expect(0)
        got = lab.run("netqueue-consumer", *keys, "--exit-when-empty", SECRET_QUEUE.decode(), server=proxy.endpoint).expect(0)
        check_equal(got.out, SECRET_BODY + b"\n", how)
        proxy.stop()
        seen[how] = bytes(proxy.recorded)
    for secret in (SECRET_BODY, SECRET_QUEUE, b"netqueue-producer"):  # the program's name is in HELLO
        check(secret in seen["in clear"], "%s is in a capture without keys", secret)
        check(secret not in seen["encrypted"], "%s is in the capture", secret)
    check(len(seen["encrypted"]) > 1000, "a capture of %d bytes", len(seen["encrypted"]))
    check_equal(len([n for n in range(0, len(seen["encrypted"]) - 8, 8) if SECRET_BODY[:8] in seen["encrypted"][n:n + 16]]), 0, "parts of the body")


@scenario
def tampered(lab):
    """a bit turned on the way ends the connection; what arrives is what was sent, once"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve(memory=True)
    proxy = Proxy(broker.endpoint)
    proxy.flip = 2
    body = os.urandom(2000).hex().encode()
    lab.run("netqueue-producer", "--keys", ring.of("alice"), "q", body.decode(), server=proxy.endpoint).expect(0)
    check_equal(proxy.flip, 0, "bits left to turn")
    got = ring.run("alice", "netqueue-consumer", "--exit-when-empty", "q").expect(0)
    check_equal(got.out, body + b"\n", "what arrived")
    proxy.stop()


@scenario
def secrets_do_not_leak(lab):
    """not in logs, command lines, environments or stored files"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve("--log-level", "debug")
    consumer = ring.spawn("alice", "netqueue-consumer", "q")
    ring.run("alice", "netqueue-producer", "q", "x").expect(0)
    until(lambda: b"x" in consumer.out, 20 * lab.slow, "the item comes")
    secrets = [read_key(ring.dir + "/broker_secret", "secret-key"), read_key(ring.of("alice") + "/client_secret", "secret-key")]
    places = [broker.program.err, broker.program.out, consumer.err]
    for pid in (broker.pid, consumer.pid):
        places += [read("/proc/%d/cmdline" % pid), read("/proc/%d/environ" % pid)]
    broker.stop()
    for folder, _, names in os.walk(broker.data):
        places += [read(os.path.join(folder, name)) for name in names if name != "reserve"]
        check_equal([name for name in names if os.stat(os.path.join(folder, name)).st_mode & 0o077], [], "files that others may read")
    for secret in secrets:
        check(not any(secret in place for place in places), "a secret key was found outside its file")


# ------------------------------------------------------------------------------------------------- floods before the handshake

@scenario(timeout=240)
def floods_before_the_handshake(lab):
    """connections that say nothing, rubbish, or announce a huge frame cost little, and are cut after five seconds"""
    ring = KeyRing(lab)
    ring.add("alice")
    broker = ring.serve(memory=True)
    is_served(ring, "alice")
    port, before = int(broker.endpoint.rsplit(":", 1)[1]), broker.status_value("VmRSS")
    curve = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00CURVE" + b"\0" * 47
    firsts = (b"", b"\xff", os.urandom(64), curve, curve + b"\x06" + b"\x00\x00\x00\x7f" * 2,  # a command of 2 EiB
              curve + b"\x04\xc8\x05HELLO\x01\x00" + os.urandom(193))
    flood = []
    for number in range(300):
        raw = socket.create_connection(("127.0.0.1", port), 10)
        raw.sendall(firsts[number % len(firsts)])
        flood.append(raw)
    is_served(ring, "alice")
    grown = broker.status_value("VmRSS") - before
    check(grown < 64 * 1024 * 1024 * lab.slow, "300 connections without a handshake cost %d bytes", grown)
    for number, raw in enumerate(flood):
        raw.settimeout(30)
        try:
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            raise AssertionError("a connection that began with %r was not cut" % firsts[number % len(firsts)][:16]) from None
        raw.close()
    until(lambda: len(os.listdir("/proc/%d/fd" % broker.pid)) < 100, 20 * lab.slow, "the descriptors are free again")
    is_served(ring, "alice")
    check(len(broker.program.err.splitlines()) < 20, "lines in the log: %d", len(broker.program.err.splitlines()))


@scenario
def loopback_or_keys(lab):
    """beyond this machine only with keys, or with --insecure, which warns"""
    ring = KeyRing(lab)
    refused = lab.run("netqueue-broker", "--memory", "--listen", "tcp://0.0.0.0:*", timeout=20).expect(78)
    check("--insecure" in refused.one_line_error(), refused.err)
    broker = ring.serve("--listen", "tcp://0.0.0.0:*", memory=True)
    check(b"warning" not in broker.program.err, "no warning with keys: %s", broker.program.err)
    insecure = lab.broker("--listen", "tcp://0.0.0.0:*", "--insecure", memory=True)
    until(lambda: b"warning: --insecure" in insecure.program.err, 10 * lab.slow, "the warning")
    check_equal(lab.broker(memory=True).program.err.count(b"warning"), 0, "warnings on loopback")


if __name__ == "__main__":
    sys.exit(main())
