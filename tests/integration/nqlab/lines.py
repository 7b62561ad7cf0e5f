"""netqueue-producer and netqueue-consumer under faults: rounds of numbered lines, and who has printed what."""
import os
import signal
import threading

from .lab import until
from .runner import check


class Lines:
    """Producers in rounds, one after the other, and some consumers; each may be killed or stopped, and is replaced."""

    def __init__(self, lab, broker, queue, rate, round_lines, consumers=2):
        self.lab, self.broker, self.queue, self.rate, self.round_lines = lab, broker, queue, rate, round_lines
        self.lock = threading.Lock()
        self.printed = {}    # round -> bytearray: was this line printed?
        self.accepted = []   # rounds whose producer ended with 0 and that are not all printed yet
        self.whole = set()   # rounds that are
        self.rounds = self.again = self.unknown = 0
        self.wrong = []
        self.producer, self.input = None, None
        self.consumers, self.readers = [], []
        for _ in range(consumers):
            self.add_consumer()
        self.next_round()

    def next_round(self):
        number, self.rounds = self.rounds, self.rounds + 1
        with self.lock:
            self.printed[number] = bytearray(self.round_lines)
        self.input = self.lab.write("lines-%s-%d" % (self.queue, self.broker.number), b"".join(b"%d %d\n" % (number, i) for i in range(self.round_lines)))
        with open(self.input, "rb") as file:
            self.producer = self.broker.spawn("netqueue-producer", self.queue, "--rate", self.rate, stdin=file)

    def turn(self):
        """A producer that has ended well has had its whole round accepted."""
        if self.producer.running():
            return
        self.producer.wait(1).expect(0)
        with self.lock:
            self.accepted.append(self.rounds - 1)
            for number in [n for n in self.accepted if all(self.printed[n])]:
                self.accepted.remove(number)
                self.whole.add(number)
                del self.printed[number]
        check(not self.wrong, "%s", self.wrong[:5])
        self.next_round()

    def kill_producer(self):
        """What became of its round's lines is not known; they may come."""
        self.turn()
        self.producer.kill()
        if self.producer.process.returncode == -signal.SIGKILL:
            self.unknown += 1
            self.next_round()

    def add_consumer(self):
        reading, writing = os.pipe()
        with open(writing, "wb") as out:
            self.consumers.append(self.broker.spawn("netqueue-consumer", self.queue, stdout=out))
        reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self.readers.append(reader)
        reader.start()

    def kill_consumer(self):
        victim = self.consumers.pop(self.lab.random.randrange(len(self.consumers)))
        victim.kill()
        self.add_consumer()

    def _read(self, reading):
        with open(reading, "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # it was killed in the middle; the line is not done
                number, index = map(int, line.split())
                with self.lock:
                    round_ = self.printed.get(number)
                    if round_ is not None and index < len(round_):
                        self.again += round_[index]
                        round_[index] = 1
                    elif number in self.whole:
                        self.again += 1
                    else:
                        self.wrong.append("%r was never put" % line)

    def settle(self):
        """The last round ends, the queue is drained, the consumers end; every line of an accepted round was printed."""
        while self.producer.running():
            self.producer.wait(60 + self.round_lines // self.rate)
        self.producer.wait(1).expect(0)
        self.accepted.append(self.rounds - 1)
        self.broker.await_stat(self.queue, 90, unfinished=0)
        for consumer in self.consumers:
            check(consumer.running(), "a consumer ended with %s: %s", consumer.process.returncode, consumer.err[-500:])
            consumer.signal(signal.SIGTERM)
            consumer.wait(30)
        until(lambda: not any(reader.is_alive() for reader in self.readers), 120, "all output is read")
        check(not self.wrong, "%s", self.wrong[:5])
        for number in self.accepted:
            missing = self.printed[number].count(0)
            check(missing == 0, "%d of %d lines of round %d are lost, the first %d", missing, self.round_lines, number, self.printed[number].find(0))
