"""netqueue-producer, netqueue and netqueue-broker as programs: every flag, every exit code, one clear line for every mistake."""
import json
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Status, check, check_equal, main, scenario, until

NOWHERE = "tcp://127.0.0.1:9"


def bodies(broker, queue):
    """All ready bodies, taken."""
    client = broker.client()
    found = []
    while True:
        status, items = client.get(queue, 1000)
        if status != Status.OK:
            client.goodbye()
            return found
        found += [i.body for i in items]
        client.task_done(*items)


# ------------------------------------------------------------------------------------------------------- producer


@scenario
def where_bodies_come_from(lab):
    """arguments, stdin, -0, --whole, --file, --json-lines"""
    broker = lab.broker(memory=True)
    text = b"one\n\nthree\nno newline at the end"
    for args, input_, expected in (
            (["a", "b c", ""], None, [b"a", b"b c", b""]),
            ([], text, [b"one", b"", b"three", b"no newline at the end"]),
            ([], b"", []),
            ([], b"\n", [b""]),
            ([], b"\x00\xff\r\nx\n", [b"\x00\xff\r", b"x"]),
            (["-0"], b"a\nb\0\0c", [b"a\nb", b"", b"c"]),
            (["--whole"], text, [text])):
        broker.produce("q", *args, input=input_).expect(0, "%r" % args)
        check_equal(bodies(broker, "q"), expected, "bodies of %r" % args)


@scenario
def files(lab):
    """--file: each file is an item"""
    broker = lab.broker(memory=True)
    first, second = lab.write("f1", b"first\nfile\n"), lab.write("f2", b"\0second")
    broker.produce("q", "--file", first, "--file", second).expect(0)
    check_equal(bodies(broker, "q"), [b"first\nfile\n", b"\0second"], "bodies")
    for wrong in ("missing", "."):
        check(lab.path(wrong) in broker.produce("q", "--file", lab.path(wrong)).expect(64).one_line_error(), "the error names the file")


@scenario
def named_pipes(lab):
    """--file of a pipe that nobody writes to yet keeps neither the items before it nor a signal waiting"""
    broker = lab.broker(memory=True)
    first, pipe = lab.write("f1", b"first"), lab.path("pipe")
    os.mkfifo(pipe)
    producer = broker.spawn("netqueue-producer", "q", "--file", first, "--file", pipe)
    broker.await_stat("q", ready=1)
    producer.signal(signal.SIGTERM)
    producer.wait(20).expect(0)
    producer = broker.spawn("netqueue-producer", "q", "--file", pipe)
    with open(pipe, "wb") as file:
        file.write(b"through the pipe")
    producer.wait(20).expect(0)
    check_equal(bodies(broker, "q"), [b"first", b"through the pipe"], "bodies")


@scenario
def json_lines_round_trip(lab):
    """what the consumer prints with --json the producer takes with --json-lines"""
    broker = lab.broker(memory=True)
    broker.produce("q", "plain", "-H", "colour=blue").expect(0)
    printed = broker.consume("q", "--json", "--exit-when-empty").expect(0).out
    check_equal(len(printed.splitlines()), 1, "lines")
    json.loads(printed)
    broker.produce("q", "--json-lines", input=printed).expect(0)
    client = broker.client()
    item = client.get_one("q")
    check_equal((item.body, item.headers), (b"plain", [(b"colour", b"blue")]), "item")
    broker.produce("q", "--json-lines", input=b"{nonsense\n").expect(64).one_line_error()


@scenario
def any_headers_as_json(lab):
    """headers with the same name twice, names and values that are no text: each line is JSON, and the producer takes it back"""
    broker = lab.broker(memory=True)
    headers = ["-H", "twice=1", "-H", "twice=2", "-H", b"\xff=name", "-H", b"value=\xff", "-H", b"twice=\xfe"]
    broker.produce("q", "x", *headers).expect(0)
    printed = broker.consume("q", "--json", "--exit-when-empty").expect(0).out
    check_equal(json.loads(printed.decode("utf-8"))["headers"], {"twice": "1"}, "what is text")
    broker.produce("q", "--json-lines", input=printed).expect(0)
    found = broker.client().get_one("q").headers
    check_equal(sorted(found), sorted([(b"twice", b"1"), (b"twice", b"2"), (b"twice", b"\xfe"), (b"\xff", b"name"), (b"value", b"\xff")]), "headers")
    check_equal([value for name, value in found if name == b"twice"], [b"1", b"2", b"\xfe"], "in their order")
    for pairs in (b'{}', b'[["YQ=="]]', b'[["YQ==", 1]]', b'["YQ==", "YQ=="]'):
        broker.produce("q", "--json-lines", input=b'{"body": "x", "more_headers_base64": %s}\n' % pairs).expect(64).one_line_error()


@scenario
def generators(lab):
    """-n, --size, --random, --threads"""
    broker = lab.broker(memory=True)
    broker.produce("q", "-n", "1000", "--size", "37").expect(0)
    check_equal({len(b) for b in bodies(broker, "q")}, {37}, "sizes")
    broker.produce("q", "-n", "1000", "--random").expect(0)
    found = [int(b) for b in bodies(broker, "q")]
    check_equal((len(found), min(found) >= 0, max(found) <= 256), (1000, True, True), "random integers")
    broker.produce("q", "-n", "1000", "--size", "10", "--threads", "4").expect(0)
    check_equal(len(bodies(broker, "q")), 1000, "items of four threads")


@scenario
def window_and_rate(lab):
    """--window 1 works; --rate paces"""
    broker = lab.broker(memory=True)
    broker.produce("q", "-n", "50", "--size", "5", "--window", "1").expect(0)
    before = time.monotonic()
    broker.produce("q", "-n", "40", "--size", "5", "--rate", "40/s").expect(0)
    took = time.monotonic() - before
    check(0.6 < took < 10 * lab.slow, "40 items at 40/s took %.1f s", took)
    check_equal(broker.stat("q").ready, 90, "items")


@scenario
def full_queue(lab):
    """--no-wait and --put-timeout end 75; what was accepted before stays; waiting works"""
    broker = lab.broker(memory=True)
    broker.admin("declare", "q", "--maxsize", "5").expect(0)
    broker.produce("q", "--no-wait", input=b"".join(b"%d\n" % i for i in range(20))).expect(75).one_line_error()
    check_equal(broker.stat("q").ready, 5, "ready")
    result = broker.produce("q", "x", "--put-timeout", "300ms").expect(75)
    check(0.25 < result.seconds < 15 * lab.slow, "took %.2f s", result.seconds)
    waiting = broker.spawn("netqueue-producer", "q", "late")
    broker.await_stat("q", waiting_puts=1)
    check_equal(broker.client().get_one("q").body, b"0", "the first")
    waiting.wait(20).expect(0)


@scenario
def join_and_delay(lab):
    """--join waits for task_done, --delay delays"""
    broker = lab.broker(memory=True)
    producer = broker.spawn("netqueue-producer", "q", "a", "--join")
    client = broker.client()
    item = client.get_one("q", wait_ms=20000)
    broker.await_stat("q", waiting_joins=1)
    check(producer.running(), "the producer did not wait for task_done")
    client.task_done(item)
    producer.wait(20).expect(0)
    broker.produce("d", "later", "--delay", "1h").expect(0)
    check_equal((broker.stat("d").delayed, broker.stat("d").ready), (1, 0), "delayed")


@scenario
def headers(lab):
    broker = lab.broker(memory=True)
    broker.produce("q", "x", "-H", "a=1", "-H", "b=two=2").expect(0)
    check_equal(broker.client().get_one("q").headers, [(b"a", b"1"), (b"b", b"two=2")], "headers")
    broker.produce("q", "x", "-H", "nq-reason=1").expect(64)


@scenario
def limits(lab):
    """a body over the limit, bad names: 64, one line"""
    broker = lab.broker("--body-limit", "1000", memory=True)
    text = broker.produce("q", "x" * 1001).expect(64).one_line_error()
    check("large" in text or "1000" in text, "says %r", text)
    for name in ("a b", ".q", "x" * 129, ""):
        broker.produce(name, "x").expect(64).one_line_error()
        broker.consume(name, "--exit-when-empty").expect(64).one_line_error()


@scenario
def interrupted_producer(lab):
    """SIGTERM on a producer that waits for room"""
    broker = lab.broker(memory=True)
    broker.admin("declare", "q", "--maxsize", "1").expect(0)
    producer = broker.spawn("netqueue-producer", "--grace", "500ms", "q", "a", "b", "c")
    broker.await_stat("q", waiting_puts=lambda waiting: waiting >= 1)  # one request, or two
    producer.signal(signal.SIGTERM)
    result = producer.wait(20)
    check(result.code in (0, 75), "exit code %d", result.code)
    broker.await_stat("q", ready=1, waiting_puts=0)


@scenario
def interrupted_before_the_join(lab):
    """SIGTERM on a producer with --join that still reads: what it has read is stored, and that not all is done is no success"""
    broker = lab.broker(memory=True)
    stdin, feed = os.pipe()
    producer = broker.spawn("netqueue-producer", "-q", "--join", "q", stdin=stdin)
    os.close(stdin)
    os.write(feed, b"read\nnot read yet")
    broker.await_stat("q", ready=1)
    producer.signal(signal.SIGTERM)
    check("done" in producer.wait(20).expect(75).one_line_error(), "it says why: %r", producer.err)
    os.close(feed)


# -------------------------------------------------------------------------------------------------- mistakes of all programs


@scenario
def full_output(lab):
    """stdout is a full disk: 1 and one line that says so, also of more than a buffer holds; nothing is lost"""
    broker = lab.broker(memory=True)
    broker.produce("q", "--whole", input=b"z" * 100000).expect(0)
    with open("/dev/full", "wb") as full:
        for program, *args in (["netqueue", "list"], ["netqueue", "peek", "q"], ["netqueue-consumer", "--peek", "q"], ["netqueue-consumer", "q"],
                               ["netqueue-producer", "-q", "--notify", "other", "x"], ["netqueue-producer", "--help"]):
            text = broker.run(program, *args, stdout=full).expect(1).one_line_error()
            check("stdout: No space left" in text, "%s %s: %s", program, args, text)
            check_equal("goes back" in text, (program, args) == ("netqueue-consumer", ["q"]), "what becomes of items: %s" % text)
        broker.await_stat("q", ready=1, leased=0, dones=0)
        text = broker.consume("--at-most-once", "q", stdout=full).expect(1).one_line_error()
        check("is lost" in text, "at most once: %s", text)
    check_equal(broker.stat("other").ready, 1, "what was put and could not be told")


@scenario
def mistyped_options(lab):
    """64 and one line that names the option"""
    for program, args in (("netqueue-broker", ["--lisen", "x"]), ("netqueue-producer", ["--thread", "q"]), ("netqueue-producer", []),
                          ("netqueue-consumer", ["--jason", "q"]), ("netqueue-consumer", []), ("netqueue", ["--nope", "list"]),
                          ("netqueue", ["stats"]), ("netqueue", []), ("netqueue-producer", ["q", "--rate", "fast"]),
                          ("netqueue-consumer", ["q", "--max-idle", "soon"]), ("netqueue", ["declare", "q", "--maxsize", "many"])):
        result = lab.run(program, *args)
        if args == ["--thread", "q"] and result.code != 64:
            continue  # an unambiguous abbreviation may be taken for the option
        result.expect(64, "%s %s" % (program, args))
        check(len(result.err.strip().splitlines()) <= 2 and result.err.strip(), "%s %s: stderr %r", program, args, result.err)
        for arg in [a for a in args if a.startswith("--")][:1]:
            check(arg.encode() in result.err, "%s %s: stderr does not name %s: %r", program, args, arg, result.err)


@scenario
def help_and_version(lab):
    """--help fits a screen and goes to stdout"""
    for program in ("netqueue-broker", "netqueue-producer", "netqueue-consumer", "netqueue"):
        result = lab.run(program, "--help").expect(0)
        check(5 <= len(result.lines) <= 60, "%s --help has %d lines", program, len(result.lines))
        check(max(map(len, result.lines)) <= 132, "%s --help has long lines", program)
        check(b"0." in lab.run(program, "--version").expect(0).out, "%s --version", program)


@scenario
def unreachable_broker(lab):
    """69 within --timeout, one line that names the endpoint"""
    for program, args in (("netqueue-producer", ["q", "x"]), ("netqueue-consumer", ["q"]), ("netqueue", ["list"]), ("netqueue", ["ping"])):
        result = lab.run(program, "-s", NOWHERE, "--timeout", "500ms", *args).expect(69)
        check(NOWHERE in result.one_line_error(), "%s does not name the endpoint: %r", program, result.err)
        check(0.3 < result.seconds < 10 * lab.slow, "%s took %.1f s", program, result.seconds)


@scenario
def server_flag_and_environment(lab):
    """-s beats NETQUEUE_SERVER; a second -s is an address of the same broker"""
    broker = lab.broker(memory=True)
    lab.run("netqueue-producer", "-s", broker.endpoint, "q", "a", env={"NETQUEUE_SERVER": NOWHERE}).expect(0)
    lab.run("netqueue-producer", "--timeout", "20s", "-s", NOWHERE, "-s", broker.endpoint, "q", "b").expect(0)
    lab.run("netqueue-producer", "--timeout", "300ms", "q", "c", env={"NETQUEUE_SERVER": NOWHERE}).expect(69)
    check_equal(broker.stat("q").ready, 2, "ready")
    for wrong in ("not an endpoint", "", " , "):  # nothing, as of a variable that is not set, must not be the default broker
        lab.run("netqueue", "-s", wrong, "list").expect(64).one_line_error()


@scenario
def broker_configuration(lab):
    """78 or 64 for what cannot be; a configuration file, flags win over it"""
    config = lab.write("broker.conf", b"body-limit = 2000\nmax-queues = 5\n")
    broker = lab.broker("--config", config, "--max-queues", "7", memory=True)
    client = broker.client()
    check_equal(client.hello_reply.limits.body_bytes, 2000, "body limit from the file")
    statuses = [Status(client.put("q%d" % number, "x").status) for number in range(8)]
    check_equal(statuses, [Status.OK] * 7 + [Status.LIMIT_REACHED], "as many queues as the flag says, not the file")
    lab.run("netqueue-broker", "--memory", "--config", lab.path("missing.conf")).expect(78).one_line_error()
    wrong = lab.write("wrong.conf", b"no-such-option = 1\n")
    check("no-such-option" in lab.run("netqueue-broker", "--memory", "--config", wrong).expect(78).one_line_error(), "names the option")
    unreadable = lab.run("netqueue-broker", "--memory", "--config", lab.write("unreadable.conf", b"listen tcp://127.0.0.1:1\n")).expect(78)
    check("(1)" in unreadable.one_line_error() and unreadable.out == b"", "one line, which says where: %r, %r", unreadable.err, unreadable.out)
    refused = lab.run("netqueue-broker", "--memory", "--listen", "tcp://0.0.0.0:*", timeout=10)
    check(refused.code in (64, 78), "listening beyond loopback without --insecure: exit code %d", refused.code)
    lab.run("netqueue-broker", "--memory", "--listen", "nonsense").expect(64)


@scenario
def busy_port(lab):
    """a port that is taken: one clear line, no crash, and who has it is found as before"""
    broker = lab.broker(memory=True)
    second = lab.run("netqueue-broker", "--memory", "--listen", broker.endpoint, "--endpoint-file", broker.endpoint_file, timeout=20)
    with open(broker.endpoint_file, encoding="ascii") as file:
        check_equal(file.read().split(), [broker.endpoint], "endpoint file")
    check(second.code not in (0, None) and second.code > 0, "exit code %s", second.code)
    check(b"5510" in second.err or broker.endpoint.encode() in second.err or b"in use" in second.err, "stderr %r", second.err)


@scenario
def default_data_directory(lab):
    """without --data or --memory: ./netqueue-data, and it says so"""
    endpoint_file = lab.path("e")
    broker = lab.spawn("netqueue-broker", "--listen", "tcp://127.0.0.1:*", "--endpoint-file", endpoint_file)
    until(lambda: os.path.exists(endpoint_file) and os.path.getsize(endpoint_file), 20 * lab.slow, "the endpoint file")
    check(os.path.isdir(lab.path("netqueue-data")), "no ./netqueue-data")
    check(b"netqueue-data" in broker.err + broker.out, "the log does not say where the data is")
    broker.signal(signal.SIGTERM)
    broker.wait(20).expect(0)


# ------------------------------------------------------------------------------------------------------- administration


@scenario
def declare_and_update(lab):
    """every queue option"""
    broker = lab.broker(memory=True)
    options = ["--maxsize", "10", "--max-bytes", "1M", "--lease", "30s", "--hold-max", "10m", "--max-deliveries", "3",
               "--dead-letter", "dead", "--ttl", "1h"]
    broker.admin("declare", "q", *options).expect(0)
    broker.admin("declare", "q", *options).expect(0)
    found = broker.stat("q").options
    check_equal((found.maxsize, found.max_bytes, found.lease_ms, found.hold_max_ms, found.max_deliveries, found.dead_letter, found.ttl_ms),
                (10, 2 ** 20, 30000, 600000, 3, b"dead", 3600000), "options")
    broker.admin("declare", "q", "--maxsize", "11").expect(1).one_line_error()
    broker.admin("update", "q", "--maxsize", "11").expect(0)
    check_equal((broker.stat("q").options.maxsize, broker.stat("q").options.ttl_ms), (11, 3600000), "updated")
    broker.admin("update", "none", "--maxsize", "1").expect(1).one_line_error()
    broker.admin("declare", "q", "--dead-letter", "q").expect(64)
    broker.admin("declare", "s", "--initial", "4").expect(0)
    check_equal(broker.stat("s").ready, 4, "initial")


@scenario
def no_such_queue(lab):
    """1 and one line that names the queue"""
    broker = lab.broker(memory=True)
    for command in ("stat", "purge", "delete", "peek", "join", "shutdown", "redrive"):
        text = broker.admin(command, "nowhere").expect(1, command).one_line_error()
        check("nowhere" in text, "%s does not name the queue: %r", command, text)


@scenario
def text_output(lab):
    """list and stat as text"""
    broker = lab.broker(memory=True)
    check_equal(broker.admin("list", "--format", "json").expect(0).json(), [], "list of nothing")
    broker.produce("some.queue", "x").expect(0)
    check(b"some.queue" in broker.admin("list").expect(0).out, "list")
    check(b"ready" in broker.admin("stat", "some.queue").expect(0).out, "stat")
    check_equal(broker.admin("ping", "-q").expect(0).err, b"", "ping -q")


@scenario
def peek_purge_redrive(lab):
    broker = lab.broker()
    client = broker.client()
    client.declare("q", dead_letter="d")
    client.put("q", "a", "b", "c")
    client.requeue(*client.get("q", 2)[1], dead=True)
    out = broker.admin("peek", "d").expect(0).out
    check(b"a" in out and b"b" in out, "peek: %r", out)
    check(b"2" in broker.admin("redrive", "d").expect(0).out, "redrive says how many")
    check_equal(broker.stat("q").ready, 3, "ready")
    broker.admin("purge", "q").expect(0)
    check_equal((broker.stat("q").ready, broker.stat("q").purged), (0, 3), "purged")


@scenario
def join_and_shutdown(lab):
    """join waits, --wait bounds it (75), shutdown --immediate drops"""
    broker = lab.broker(memory=True)
    broker.produce("q", "a", "b").expect(0)
    result = broker.admin("join", "q", "--wait", "300ms").expect(75)
    check(result.seconds < 10 * lab.slow, "took %.1f s", result.seconds)
    waiting = broker.spawn("netqueue", "join", "q")
    broker.await_stat("q", waiting_joins=1)
    broker.admin("shutdown", "q", "--immediate").expect(0)
    waiting.wait(20).expect(0)
    check_equal(broker.stat("q").state, 2, "state")
    broker.produce("q", "x").expect(1).one_line_error()
    broker.consume("q").expect(0)


if __name__ == "__main__":
    sys.exit(main())
