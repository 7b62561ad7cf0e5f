"""netqueue-consumer as a program: printing, running commands, ending, and what happens to an item when anything goes wrong."""
import json
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from nqlab import check, check_equal, given_time, main, scenario, until
from nqlab.lab import Program


def filled(lab, count=10, *flags, memory=True):
    broker = lab.broker(*flags, memory=memory)
    client = broker.client()
    for start in range(0, count, 5000):
        check_equal(client.put("q", *range(start, min(count, start + 5000))).status, 0, "put")
    client.goodbye()
    return broker


@scenario
def prints_bodies(lab):
    """lines; -0; --json; -n"""
    broker = filled(lab, 12)
    check_equal(broker.consume("q", "-n", "3").expect(0).out, b"0\n1\n2\n", "-n 3")
    check_equal(broker.consume("q", "-n", "2", "-0").expect(0).out, b"3\x004\x00", "-0")
    objects = [json.loads(line) for line in broker.consume("q", "-n", "2", "--json").expect(0).lines]
    check(all(o.get("queue") == "q" and "seq" in o for o in objects), "--json: %r", objects)
    check_equal([o["seq"] for o in objects], [6, 7], "seqs")
    check_equal(broker.consume("q", "--exit-when-empty").expect(0).out, b"7\n8\n9\n10\n11\n", "the rest")
    stat = broker.stat("q")
    check_equal((stat.unfinished, stat.dones, stat.redelivered), (0, 12, 0), "stat")


@scenario
def n_takes_no_more(lab):
    """-n leaves the rest untouched: nothing more is got"""
    broker = filled(lab, 5000, memory=False)
    for number in range(3):
        check_equal(broker.consume("q", "-n", "1").expect(0).out, b"%d\n" % number, "-n 1")
    broker.consume("q", "-n", "1000").expect(0)  # enough for more and more to be fetched ahead
    broker.await_stat("q", ready=3997, leased=0, failed=0, requeued=0, gets=1003)


@scenario
def ends(lab):
    """--exit-when-empty waits for delayed items; --max-idle; SHUT_DOWN is 0"""
    broker = lab.broker(memory=True)
    client = broker.client()
    client.put("q", "late", delay_ms=700)
    check_equal(broker.consume("q", "--exit-when-empty").expect(0).out, b"late\n", "a delayed item")
    result = broker.consume("q", "--max-idle", "500ms").expect(0)
    check(0.4 < result.seconds < 5 * lab.slow, "--max-idle 500ms took %.1f s", result.seconds)
    consumer = broker.spawn("netqueue-consumer", "q")
    broker.await_stat("q", waiting_gets=1)
    client.call("shutdown", queue="q")
    consumer.wait(20).expect(0)


@scenario
def idle_since_the_last_item(lab):
    """--max-idle counts from the last item, also when all were got ahead and nobody read them for longer than that"""
    broker = lab.broker(memory=True)
    check_equal(broker.client().put("q", *["x" * 100] * 3000).status, 0, "put")
    end, pipe = os.pipe()
    consumer = broker.spawn("netqueue-consumer", "q", "--prefetch", "5000", "--max-idle", "400ms", stdout=pipe)
    os.close(pipe)
    broker.await_stat("q", ready=0)
    time.sleep(0.5)
    before = time.monotonic()  # the pipe is full, and the last item is not in it
    with open(end, "rb") as file:
        check_equal(len(file.read().splitlines()), 3000, "lines")
    consumer.wait(30).expect(0)
    took = time.monotonic() - before
    check(took >= 0.4, "took %.2f s", took)


@scenario
def several_queues(lab):
    broker = lab.broker(memory=True)
    client = broker.client()
    client.put("a", "1"), client.put("b", "2"), client.put("c", "3")
    check_equal(sorted(broker.consume("a", "b", "c", "--exit-when-empty").expect(0).lines), [b"1", b"2", b"3"], "lines")


@scenario
def peek_takes_nothing(lab):
    broker = filled(lab, 3)
    check_equal(broker.consume("q", "--peek", "-n", "2").expect(0).out, b"0\n1\n", "--peek -n 2")
    check_equal(broker.stat("q").ready, 3, "ready")


@scenario
def at_most_once(lab):
    broker = filled(lab, 3)
    check_equal(broker.consume("q", "--at-most-once", "-n", "2").expect(0).out, b"0\n1\n", "output")
    check_equal((broker.stat("q").unfinished, broker.stat("q").dones), (1, 2), "stat")


@scenario
def at_most_once_ends(lab):
    """SIGTERM: what has left the broker by then is printed, or its command run: nobody else will get it"""
    broker = filled(lab, 50000)
    for rest in ((), ("-j", "8", "--", "echo", "x")):
        before, printed = broker.stat("q").dones, 0
        for _ in range(4):
            consumer = broker.spawn("netqueue-consumer", "q", "other", "--at-most-once", "--grace", "60s", *rest)
            until(lambda: consumer.out, 20 * lab.slow, "the first item")
            consumer.signal(signal.SIGTERM)
            printed += len(consumer.wait(60).expect(0).lines)
        check_equal(broker.stat("q").dones - before, printed, "done with %s" % (rest[:1] or "no command"))


@scenario
def items_of_two_queues_at_once(lab):
    """-n 1 of two queues, and one frame brings an item of each: what is too much goes back, unless it is done already"""
    client = lab.broker(memory=True).client()
    pipe = lab.path("pipe")
    os.mkfifo(pipe)
    kinds = (((), 1), (("-j", "4", "--", "cat", pipe), 1), (("--at-most-once",), 2), (("--at-most-once", "--", "echo", "x"), 2))
    for number, (flags, printed) in enumerate(kinds):
        queues = ["%s%d" % (name, number) for name in "ab"]

        def sum_of(name):
            return sum(getattr(client.stat(queue), name) for queue in queues)

        for queue in queues:
            client.declare(queue)
        consumer = lab.spawn("netqueue-consumer", *queues, "-n", "1", *flags, server=client.endpoint)
        until(lambda: sum_of("waiting_gets") == 2, 20 * lab.slow, "it waits for both")
        client.send_frame([client.make_put(queue, ["item"]) for queue in queues])
        until(lambda: sum_of("ready") == 2 - printed, 20 * lab.slow, "what is too much is back, while the command runs")
        if pipe in flags:
            with open(pipe, "w", encoding="ascii") as file:
                file.write("x\n")
        check_equal(len(consumer.wait(60).expect(0).lines), printed, "printed with %s" % (flags,))
        check_equal(sum_of("dones"), printed, "done with %s" % (flags,))


@scenario
def command_exit_codes(lab):
    """0 done, 75 requeued uncounted, 100 dead letter, else a failure"""
    broker = lab.broker()
    client = broker.client()
    client.declare("q", max_deliveries=2, dead_letter="dead")
    client.put("q", "0")
    broker.consume("q", "-n", "1", "--", "true").expect(0)
    check_equal(client.stat("q").dones, 1, "dones after exit 0")
    client.put("q", "75")
    broker.consume("q", "-n", "1", "--requeue-delay", "100ms", "--", "sh", "-c", "exit 75")
    broker.await_stat("q", ready=1, failed=0)
    broker.consume("q", "-n", "1", "--", "true").expect(0)
    client.put("q", "100")
    broker.consume("q", "-n", "1", "--", "sh", "-c", "exit 100").expect(1)
    dead = client.get_one("dead")
    check_equal((dead.body, client.stat("q").unfinished), (b"100", 0), "after exit 100")
    client.task_done(dead)
    client.put("q", "bad")
    broker.consume("q", "-n", "2", "--max-idle", "20s", "--", "false").expect(1)
    broker.await_stat("q", unfinished=0, dead_lettered=2)
    check_equal(client.get_one("dead").failures, 0, "failures of the dead letter itself")


@scenario
def inherited_signals(lab):
    """started with the signals of children ignored, a command that fails has failed; with SIGTERM held back, it ends all the same"""
    broker = filled(lab, 1)

    def start(ways, *args):
        with open(lab.path("ways.py"), "w", encoding="ascii") as file:
            file.write("import os, signal, sys\n%s\nos.execv(sys.argv[1], sys.argv[1:])\n" % ways)
        return lab.spawn(sys.executable, lab.path("ways.py"), lab.bin("netqueue-consumer"), *args, server=broker.endpoint)

    start("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "q", "-n", "1", "--", "false").wait(60).expect(1)
    broker.await_stat("q", failed=1, dones=0)
    consumer = start("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])", "other")
    broker.await_stat("other", waiting_gets=1)
    consumer.signal(signal.SIGTERM)
    consumer.wait(60).expect(0)


@scenario
def requeue_delay(lab):
    """an item put back with 75 comes again after --requeue-delay"""
    broker = lab.broker(memory=True)
    broker.client().put("q", "again")
    marks = lab.path("marks")
    script = 'echo x >> "%s"; [ $(wc -l < "%s") -ge 3 ] || exit 75' % (marks, marks)
    result = broker.consume("q", "--exit-when-empty", "--requeue-delay", "200ms", "--", "sh", "-c", script).expect(0)
    with open(marks, "rb") as file:
        check_equal(len(file.readlines()), 3, "runs")
    check(result.seconds > 0.35, "took only %.2f s", result.seconds)
    check_equal(broker.stat("q").dones, 1, "dones")


@scenario
def environment(lab):
    """NETQUEUE_ITEM_* tells the command about its item"""
    broker = lab.broker(memory=True)
    broker.produce("q", "body", "-H", "colour=blue").expect(0)
    out = broker.consume("q", "-n", "1", "--", "sh", "-c", "cat >/dev/null; env | grep ^NETQUEUE_ITEM_ | sort").expect(0).out.decode()
    found = dict(line.split("=", 1) for line in out.splitlines())
    lab.note(", ".join("%s=%s" % pair for pair in sorted(found.items())))
    check_equal((found.get("NETQUEUE_ITEM_QUEUE"), found.get("NETQUEUE_ITEM_SEQ")), ("q", "1"), "queue and seq")
    check(any("blue" in value for value in found.values()), "no header in %s", found)


@scenario
def parallel_commands(lab):
    """-j 4 runs four at once"""
    broker = filled(lab, 4)
    script = ('mkdir -p run; : > run/$NETQUEUE_ITEM_SEQ; n=0; '
              'while [ $(ls run | wc -l) -lt 4 ]; do sleep 0.05; n=$((n+1)); [ $n -lt 200 ] || exit 9; done; echo "$(cat)"')
    result = broker.consume("q", "-j", "4", "-n", "4", "--", "sh", "-c", script).expect(0)
    check_equal(sorted(result.out.split()), [b"0", b"1", b"2", b"3"], "output")


@scenario
def threads(lab):
    """--threads 4: each item once"""
    broker = filled(lab, 5000)
    lines = broker.consume("q", "--threads", "4", "--exit-when-empty").expect(0).lines
    check_equal(sorted(map(int, lines)), list(range(5000)), "lines")
    check_equal(broker.stat("q").dones, 5000, "dones")


@scenario
def threads_that_cannot_be(lab):
    """no descriptors for so many: it says so and ends, instead of working on with some of them"""
    broker = filled(lab, 3)
    command = ["sh", "-c", 'ulimit -n 60 && exec "$@"', "sh", lab.bin("netqueue-consumer"), "-s", broker.endpoint, "--threads", "60", "q"]
    text = Program(lab, command).wait().expect(69).one_line_error()
    check("out of" in text, "it says why: %s", text)
    broker.await_stat("q", ready=3, leased=0)


@scenario
def big_bodies(lab):
    """a body bigger than a pipe, read and not read by the command"""
    broker = lab.broker(memory=True)
    broker.produce("q", "--whole", input=b"z" * 900000).expect(0)
    out = broker.consume("q", "-n", "1", "--", "sh", "-c", "wc -c").expect(0).out
    check_equal(int(out), 900000, "bytes")
    broker.produce("q", "--whole", input=b"z" * 900000).expect(0)
    broker.consume("q", "-n", "1", "--", "true").expect(0)
    check_equal(broker.stat("q").unfinished, 0, "unfinished")


@scenario
def command_not_found(lab):
    """an item is not lost, and the line is clear"""
    broker = filled(lab, 1)
    result = broker.consume("q", "-n", "1", "--", "/no/such/command", timeout=30)
    check(result.code in (1, 64), "exit code %d", result.code)
    check(b"/no/such/command" in result.err, "stderr %r", result.err)
    broker.await_stat("q", unfinished=1, leased=0)


def has_pending(program, number):
    """A signal that the program has not taken yet."""
    with open("/proc/%d/status" % program.pid, encoding="ascii") as file:
        pending = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask & 1 << (number - 1) for mask in pending)


@scenario
def sigterm_finishes_what_runs(lab):
    """SIGTERM: the running command ends, the item is done, nothing new is taken, exit 0"""
    broker = filled(lab, 5)
    started = lab.path("started")
    consumer = broker.spawn("netqueue-consumer", "q", "--grace", "20s", "--", "sh", "-c", 'echo x >> "%s"; while ! [ -e go ]; do sleep 0.05; done; cat; echo' % started)
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    consumer.signal(signal.SIGTERM)
    until(lambda: not has_pending(consumer, signal.SIGTERM), 20 * lab.slow, "the signal is taken")
    lab.write("go", b"")
    check_equal(consumer.wait(30).expect(0).out, b"0\n", "output")
    broker.await_stat("q", dones=1, ready=4, leased=0, failed=0)


@scenario
def grace_is_over(lab):
    """what does not end within --grace goes back"""
    broker = filled(lab, 1)
    started = lab.path("started")
    consumer = broker.spawn("netqueue-consumer", "q", "--grace", "300ms", "--", "sh", "-c", 'echo x > "%s"; exec sleep 60' % started)
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    consumer.signal(signal.SIGTERM)
    result = consumer.wait(20)
    check(result.code in (0, 1), "exit code %d", result.code)
    broker.await_stat("q", ready=1, leased=0, dones=0)


@scenario
def second_signal(lab):
    """a second signal puts back at once"""
    broker = filled(lab, 1)
    started = lab.path("started")
    consumer = broker.spawn("netqueue-consumer", "q", "--grace", "60s", "--", "sh", "-c", 'echo x > "%s"; exec sleep 60' % started)
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    consumer.signal(signal.SIGTERM)
    time.sleep(0.2)
    check(consumer.running(), "the first signal ended it")
    consumer.signal(signal.SIGINT)  # another one of the first would be the same one where that has not been taken yet
    consumer.wait(10)
    broker.await_stat("q", ready=1, leased=0, dones=0)


@scenario
def stopped_while_the_broker_says_nothing(lab):
    """ended before the broker has said that the last item is done: 69, as nobody knows"""
    for queues in (("q",), ("q", "other")) if lab.long else (("q",),):
        broker = lab.broker(memory=True)
        check_equal(broker.client().put("q", "x" * 200000).status, 0, "put")
        end, pipe = os.pipe()
        consumer = broker.spawn("netqueue-consumer", *queues, "--grace", "100ms", stdout=pipe)
        os.close(pipe)
        broker.await_stat("q", leased=1)  # and the pipe is too small for it
        os.kill(broker.pid, signal.SIGSTOP)
        with open(end, "rb") as file:
            check_equal(len(file.read(200001)), 200001, "printed")
            consumer.signal(signal.SIGTERM)
            result = consumer.wait(60).expect(69)
        check_equal(len(result.err.splitlines()), 1, "lines")
        os.kill(broker.pid, signal.SIGCONT)


@scenario
def sigint_while_waiting(lab):
    """an idle consumer ends at once, 0"""
    broker = lab.broker(memory=True)
    consumer = broker.spawn("netqueue-consumer", "q")
    broker.await_stat("q", waiting_gets=1)
    consumer.signal(signal.SIGINT)
    result = consumer.wait(10).expect(0)
    broker.await_stat("q", waiting_gets=0)
    check(result.seconds < 10 * lab.slow, "took %.1f s", result.seconds)


@scenario
def closed_pipe(lab):
    """| head -1: what head did not get is not finished; nothing is when nobody reads"""
    broker = filled(lab, 20000)
    end, pipe = os.pipe()
    os.close(end)
    unread = broker.spawn("netqueue-consumer", "q", stdout=pipe)
    os.close(pipe)
    unread.wait(30).expect(1)
    broker.await_stat("q", ready=20000, leased=0, dones=0)
    head = subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    consumer = broker.spawn("netqueue-consumer", "q", stdout=head.stdin)
    head.stdin.close()
    check_equal(head.stdout.read(), b"0\n", "head")
    head.wait(20)
    head.stdout.close()
    result = consumer.wait(30)
    check(result.code >= 0, "ended by signal %d", -result.code)
    stat = broker.await_stat("q", leased=0)
    lab.note("%d of 20000 were finished, exit code %d" % (stat.dones, result.code))
    check(1 <= stat.dones < 20000, "dones %d", stat.dones)
    check_equal(stat.ready, 20000 - stat.dones, "ready")
    client = broker.client()
    check_equal(client.get_one("q").body, b"%d" % stat.dones, "the first that is left")


@scenario
def lease_flags(lab):
    """--lease and --hold-max reach the broker: the item of a consumer that was stopped, and that of a stuck command, go back"""
    broker = filled(lab, 1, "--session-timeout", "1h")  # the end of a session would bring them back, too
    started = lab.path("started")
    script = 'echo x >> "%s"; exec sleep 600' % started
    stopped = broker.spawn("netqueue-consumer", "q", "--lease", "1s", "--", "sh", "-c", script)
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    stopped.signal(signal.SIGSTOP)
    broker.await_stat("q", ready=1, leased=0, failed=1)
    stopped.kill()
    broker.spawn("netqueue-consumer", "q", "--hold-max", "2s", "--", "sh", "-c", script)
    broker.await_stat("q", failed=2)


@scenario
@given_time
def slow_command_keeps_its_lease(lab, scale):
    """the keeper renews a short lease"""
    broker = filled(lab, 1)
    broker.consume("q", "-n", "1", "--lease", "%dms" % (1500 * scale), "--", "sleep", str(4 * scale)).expect(0)
    stat = broker.stat("q")
    check_equal((stat.dones, stat.redelivered, stat.failed), (1, 0, 0), "stat")


@scenario
def prefetch(lab):
    """--prefetch N takes up to N ahead; what was not worked on goes back uncounted"""
    broker = filled(lab, 50)
    started = lab.path("started")
    consumer = broker.spawn("netqueue-consumer", "q", "--prefetch", "20", "--grace", "100ms", "--", "sh", "-c", 'echo x > "%s"; exec sleep 60' % started)
    until(lambda: os.path.exists(started), 20 * lab.slow, "the command runs")
    stat = broker.await_stat("q", leased=lambda n: 2 <= n <= 21)
    lab.note("leased with --prefetch 20: %d" % stat.leased)
    consumer.signal(signal.SIGTERM)
    consumer.wait(20)
    broker.await_stat("q", leased=0, ready=50)
    check(broker.stat("q").failed <= 1, "failed %d", broker.stat("q").failed)


@scenario
def closed_standard_streams(lab):
    """what is not open is not written to: nothing is done that was not printed, and a producer without input says so"""
    broker = lab.broker(memory=True)
    broker.produce("q", "1234567", "abcdefg").expect(0)

    def run(program, closed, *args):
        command = ["sh", "-c", 'exec "$@" %s&-' % closed, "sh", lab.bin(program), "-s", broker.endpoint, *args]
        return subprocess.run(command, env=lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * lab.slow, check=False)

    consumer = run("netqueue-consumer", ">", "--exit-when-empty", "q")
    check(consumer.returncode == 1 and b"stdout: " in consumer.stderr, "consumer: %r", consumer)
    broker.await_stat("q", ready=2, leased=0, dones=0)
    producer = run("netqueue-producer", "<", "q")
    check(producer.returncode == 64 and b"reading: " in producer.stderr, "producer: %r", producer)
    check_equal(run("netqueue-producer", "2>", "q", "x").returncode, 0, "a producer without stderr")
    check_equal(run("netqueue", ">", "list").returncode, 1, "a list without stdout")


if __name__ == "__main__":
    sys.exit(main())
