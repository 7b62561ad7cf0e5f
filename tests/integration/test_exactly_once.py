"""Every line arrives exactly once, in order, byte for byte: processes and threads, bounded queues, gathering, blocking."""
import collections
import random
import sys

sys.dont_write_bytecode = True
from nqlab import Status, WAIT_FOREVER, check, check_equal, main, scenario


def random_lines(lab, count):
    """Lines of all lengths and bytes but the newline."""
    chooser = random.Random(lab.seed)
    alphabet = bytes(b for b in range(256) if b != 10)
    noise = bytes(chooser.choices(alphabet, k=65536))
    lines = []
    for number in range(count):
        at, length = chooser.randrange(60000), chooser.choice((0, 1, 7, 40, 100, 300))
        lines.append(b"%d " % number + noise[at:at + length] if length else b"")
    return lines


def drained(broker, queue, consumers, timeout=120):
    """All finished, then the queue is shut down: the consumers end with 0. Their output lines."""
    broker.admin("join", queue, timeout=timeout).expect(0)
    broker.admin("shutdown", queue).expect(0)
    return [c.wait(30).expect(0).lines if c.out_path else [] for c in consumers]


@scenario(timeout=240, long_timeout=600)
def in_order_byte_for_byte(lab):
    """one producer, one consumer at the same time (20,000 lines; 1,000,000 with --long)"""
    broker = lab.broker()
    count = 1000000 if lab.long else 20000
    text = b"\n".join(random_lines(lab, count)) + b"\n"
    consumer = broker.spawn("netqueue-consumer", "lines")
    produced = broker.produce("lines", input=text, timeout=400).expect(0)
    drained(broker, "lines", [consumer], 400)
    check(consumer.out == text, "the output differs from the input")
    stat = broker.stat("lines")
    check_equal((stat.puts, stat.dones, stat.redelivered, stat.unfinished), (count, count, 0, 0), "stat")
    lab.note("%d lines, %.0f a second at the producer" % (count, count / produced.seconds))


@scenario(timeout=240, long_timeout=600)
def four_producers_eight_consumers(lab):
    """as processes: the multisets are equal, each producer's lines in order at each consumer"""
    broker = lab.broker()
    count = 250000 if lab.long else 5000
    consumers = [broker.spawn("netqueue-consumer", "q") for _ in range(8)]
    producers = []
    for number in range(4):
        path = lab.write("in-%d" % number, b"".join(b"%d %d\n" % (number, i) for i in range(count)))
        with open(path, "rb") as file:
            producers.append(broker.spawn("netqueue-producer", "q", stdin=file))
    for producer in producers:
        producer.wait(400).expect(0)
    outputs = drained(broker, "q", consumers, 400)
    found = collections.Counter()
    for lines in outputs:
        last = [-1] * 4
        for line in lines:
            producer, number = map(int, line.split())
            check(number > last[producer], "line %d of producer %d came after %d", number, producer, last[producer])
            last[producer] = number
            found[line] += 1
    check_equal(len(found), 4 * count, "different lines")
    check_equal(max(found.values()), 1, "times the most frequent line came")
    lab.note("shares of the consumers: %s" % " ".join(str(len(lines)) for lines in outputs))


@scenario(timeout=240, long_timeout=600)
def threads_of_one_process(lab):
    """--threads 4 and --threads 8"""
    broker = lab.broker()
    count = 1000000 if lab.long else 20000
    consumer = broker.spawn("netqueue-consumer", "q", "--threads", "8")
    broker.produce("q", "--threads", "4", input=b"".join(b"%d\n" % i for i in range(count)), timeout=400).expect(0)
    lines = drained(broker, "q", [consumer], 400)[0]
    check_equal(len(lines), count, "lines")
    check_equal(len(set(lines)), count, "different lines")


@scenario
def bounded_queue(lab):
    """maxsize 10, gathering bigger than the queue: nothing lost, never more than 10 ready"""
    broker = lab.broker()
    broker.admin("declare", "q", "--maxsize", "10").expect(0)
    text = b"".join(b"%d\n" % i for i in range(5000))
    path = lab.write("in", text)
    with open(path, "rb") as file:
        producer = broker.spawn("netqueue-producer", "q", "--window", "1000", stdin=file)
    broker.await_stat("q", ready=10, waiting_puts=lambda n: n >= 1)
    consumer = broker.spawn("netqueue-consumer", "q")
    highest = 0
    while producer.running():
        highest = max(highest, broker.stat("q").ready)
    producer.wait(60).expect(0)
    drained(broker, "q", [consumer])
    check(consumer.out == text, "the output differs from the input")
    check(highest <= 10, "%d ready on a queue with maxsize 10", highest)


@scenario
def bounded_by_four_and_eight(lab):
    """four producers wait for room in turn, eight consumers make it"""
    broker = lab.broker()
    broker.admin("declare", "q", "--maxsize", "7").expect(0)
    producers = []
    for number in range(4):
        with open(lab.write("in-%d" % number, b"".join(b"%d %d\n" % (number, i) for i in range(1000))), "rb") as file:
            producers.append(broker.spawn("netqueue-producer", "q", stdin=file))
    consumers = [broker.spawn("netqueue-consumer", "q") for _ in range(8)]
    for producer in producers:
        producer.wait(100).expect(0)
    found = collections.Counter(line for lines in drained(broker, "q", consumers) for line in lines)
    check_equal((len(found), sum(found.values())), (4000, 4000), "lines")


@scenario
def one_big_run_into_a_small_queue(lab):
    """one put of 100 items waits while gets make room"""
    broker = lab.broker()
    client, reader = broker.client(), broker.client()
    client.declare("q", maxsize=10)
    put = client.send_put("q", *range(100), wait_ms=WAIT_FOREVER)
    got = []
    while len(got) < 100:
        status, items = reader.get("q", 7, wait_ms=10000)
        check_equal(status, Status.OK, "get after %d" % len(got))
        got += [int(i.body) for i in items]
        reader.task_done(*items)
    check_equal(got, list(range(100)), "order")
    reply = client.wait(put)
    check_equal((reply.status, reply.put.accepted), (Status.OK, 100), "put")


@scenario
def blocking_put_times_out_in_the_middle(lab):
    """a waiting run that ends FULL tells how many went in; the rest is put later without a gap or a second item"""
    broker = lab.broker()
    client = broker.client()
    client.declare("q", maxsize=4)
    reply = client.put("q", *range(10), wait_ms=300)
    check_equal((reply.status, reply.put.accepted), (Status.FULL, 4), "put")
    items = client.get("q", 4)[1]
    reply = client.put("q", *range(4, 10), wait_ms=300)
    check_equal((reply.status, reply.put.accepted), (Status.FULL, 4), "put of the rest")
    items += client.get("q", 4)[1]
    client.put("q", 8, 9)
    items += client.get("q", 4)[1]
    check_equal([int(i.body) for i in items], list(range(10)), "items")


@scenario(long_only=True, long_timeout=600)
def hundred_queues(lab):
    """a hundred queues at once through one broker"""
    broker = lab.broker()
    client = broker.client()
    for number in range(100):
        client.put("q%d" % number, *range(1000))
    for number in range(100):
        check_equal([int(i.body) for i in client.get("q%d" % number, 1000)[1]], list(range(1000)), "queue %d" % number)


if __name__ == "__main__":
    sys.exit(main())
