"""Workers that keep a history of what they were promised, and the check that the promises were kept.

The workers are threads of the test, or, for tests that kill and stop them, processes of their own (crew.py): then what they note
arrives here as lines. So an answer is judged by the times at which it was asked for and had come, not by the order in which it is noted.
"""
import random
import threading
import time

from .client import Client, NoAnswer, Status, items_of, token_statuses
from .lab import until
from .runner import check, check_equal


def body_of(name, number, filler):
    """b"NAME NUMBER", and with a filler bytes that follow from the number: up to so many."""
    body = b"%s %d" % (name, number)
    return body + b" " + b"." * (number * 2654435761 % 2 ** 32 % filler) if filler else body


def key_of(body):
    return body.split(b" ", 2)[0] + b" " + body.split(b" ", 2)[1]


class History:
    """What was answered: puts accepted, items delivered, items done. An item is known by its body without the filler."""

    def __init__(self, filler=0):
        self.lock = threading.Lock()
        self.filler = filler
        self.stop_putting, self.stop_getting = threading.Event(), threading.Event()
        self.accepted, self.delivered, self.wrong = set(), {}, []
        self.done = {}      # -> when the answer had come
        self.finishing = set()  # task_done was sent; whether it was answered is known of those in `done`
        self.seqs = {}      # -> the item's seq
        self.epochs = {}    # -> the broker's epoch of its earliest delivery
        self.fresh = {}     # -> the epoch of its delivery without the flag "redelivered"
        self.last_seqs = {}  # getter -> the highest seq that came to it for the first time
        self.lost_leases = self.reconnects = 0

    def note_wrong(self, text):
        with self.lock:
            self.wrong.append(text)

    def note_accepted(self, keys):
        with self.lock:
            self.accepted.update(keys)

    def note_finishing(self, keys):
        with self.lock:
            self.finishing.update(keys)

    def note_done(self, keys, when):
        with self.lock:
            for key in keys:
                self.done.setdefault(key, when)

    def note_lost_leases(self, count):
        with self.lock:
            self.lost_leases += count

    def note_reconnects(self, count):
        with self.lock:
            self.reconnects += count

    def note_deliveries(self, getter, asked, deliveries):
        """What one get brought: [(body, seq, epoch, redelivered)]; `asked` is when it was sent."""
        with self.lock:
            for body, seq, epoch, redelivered in deliveries:
                key = key_of(body)
                self._check_again(key, asked, epoch, redelivered)
                self._check_order(getter, key, seq, redelivered)
                name, number = key.split(b" ")
                if body != body_of(name, int(number), self.filler):
                    self.wrong.append("%r came with another body: %r" % (key, body[:100]))
                self.delivered[key] = self.delivered.get(key, 0) + 1

    def _check_again(self, key, asked, epoch, redelivered):
        """Only the first delivery is without the flag (it may be noted late), and none is asked for after the item is done."""
        first, fresh = self.epochs.get(key, epoch), self.fresh.get(key)
        self.epochs[key] = min(first, epoch)
        if not redelivered:
            self.fresh[key] = epoch
        if (not redelivered and (fresh is not None or epoch > first)) or (fresh is not None and epoch < fresh):
            self.wrong.append("%r was delivered again without the flag" % key)
        if self.done.get(key, asked) < asked:
            self.wrong.append("%r was delivered after its task_done had been answered" % key)

    def _check_order(self, getter, key, seq, redelivered):
        """A producer's items stand in its order, and a getter gets what nobody had before in the queue's."""
        if self.seqs.setdefault(key, seq) != seq:
            self.wrong.append("%r has seq %d and had %d" % (key, seq, self.seqs[key]))
        name, number = key.split(b" ")
        before, after = (self.seqs.get(b"%s %d" % (name, int(number) + step)) for step in (-1, 1))
        if not (before or 0) < seq < (after or seq + 1):
            self.wrong.append("%r has seq %d between %s and %s" % (key, seq, before, after))
        if not redelivered:
            if seq <= self.last_seqs.get(getter, 0):
                self.wrong.append("%r with seq %d came to %s after %d" % (key, seq, getter, self.last_seqs[getter]))
            self.last_seqs[getter] = max(seq, self.last_seqs.get(getter, 0))

    def again(self):
        """How many were delivered more than once."""
        return sum(1 for count in self.delivered.values() if count > 1)

    def check_promises(self):
        check_equal(self.wrong[:20], [], "broken promises")

    def check_nothing_lost(self):
        """When the queue is drained: all that was accepted was done, or was about to be by somebody who was killed over it."""
        self.check_promises()
        lost = self.accepted - self.done.keys() - self.finishing
        check(not lost, "%d accepted items were never done, such as %s", len(lost), sorted(lost)[:5])


def settle(history, broker, workers, lab, queue="q"):
    """The faults are over: puts go on, the queue is drained, the workers end, and all that was promised is kept."""
    accepted = len(history.accepted)
    until(lambda: len(history.accepted) > accepted or history.wrong, 30 * lab.slow, "puts go on after the faults")
    history.check_promises()
    history.stop_putting.set()
    for worker in workers:
        if worker.puts:
            worker.join(90 * lab.pace)
    broker.await_stat(queue, 90, unfinished=0)
    history.stop_getting.set()
    for worker in workers:
        worker.join(90 * lab.pace)
    check(not any(worker.is_alive() for worker in workers), "a worker hangs")
    history.check_nothing_lost()


class Worker(threading.Thread):
    puts = False

    def __init__(self, history, endpoint, queue, seed, patience=60, rate=0, hold=0, curve=None):
        """`rate`: requests a second at most; 0: as many as go. `hold`: for so long a getter holds each fourth of its answers."""
        super().__init__(daemon=True)
        self.history, self.queue, self.patience = history, queue, patience
        self.random = random.Random(seed)
        self.pause, self.hold = 1 / rate if rate else 0, hold
        self.client = Client(endpoint, timeout=patience, riding=True, hello=False, curve=curve)
        self._say_hello(time.monotonic() + patience)

    def _say_hello(self, deadline):
        """Also when that is just the moment of a fault."""
        while True:
            try:
                self.client.greet()
                return
            except NoAnswer:
                if time.monotonic() > deadline:
                    raise
                self.client.pending.clear()
                self.client.connect()

    def run(self):
        try:
            self.work()
        except BaseException as error:  # a worker that ends early must not go unnoticed
            self.history.note_wrong("%s: %r" % (type(self).__name__, error))
        finally:
            self.history.note_reconnects(self.client.reconnects)
            self.client.drop()

    def pace(self, began):
        """Until the time of a request at this rate is over."""
        left = began + self.pause - time.monotonic()
        if left > 0:
            time.sleep(left)


class Putter(Worker):
    """Puts runs of numbered bodies; remembers those whose put was answered."""
    puts = True

    def work(self):
        number, name = 0, self.name.encode()
        while not self.history.stop_putting.is_set():
            began = time.monotonic()
            numbers = range(number, number + self.random.choice((1, 1, 5, 40)))
            number = numbers.stop
            reply = self.client.ride(self.client.send_put(self.queue, *[body_of(name, n, self.history.filler) for n in numbers]), self.patience)
            if reply.status != Status.OK or reply.put.accepted != len(numbers):
                self.history.note_wrong("put of %d: %s, %d accepted" % (len(numbers), Status(reply.status).name, reply.put.accepted))
                return
            self.history.note_accepted([b"%s %d" % (name, n) for n in numbers])
            if not self.pause:
                time.sleep(self.random.choice((0, 0, 0.002)))
            self.pace(began)


class Getter(Worker):
    """Gets, remembers what came, finishes it, remembers what was answered."""

    def work(self):
        while not self.history.stop_getting.is_set():
            asked = time.monotonic()
            request = self.client.send("get", queue=self.queue, max_items=self.random.choice((1, 3, 20)), wait_ms=300)
            reply = self.client.ride(request, self.patience)
            if reply.status == Status.EMPTY:
                continue
            if reply.status != Status.OK:
                self.history.note_wrong("get: %s" % Status(reply.status).name)
                return
            items = items_of(reply)
            self.history.note_deliveries(self.name, asked, [(i.body, i.seq, i.epoch, i.redelivered) for i in items])
            self._finish(items)

    def _finish(self, items):
        if self.hold and self.random.random() < 0.25:
            time.sleep(self.hold)
        self.history.note_finishing([key_of(item.body) for item in items])
        request = self.client.token_request("task_done", items)
        self.client.send_frame([request])
        reply = self.client.ride(request.id, self.patience)
        now = time.monotonic()
        self.client.held.pop(items[0].get_id, None)
        statuses = token_statuses(reply, len(items))
        self.history.note_done([key_of(i.body) for i, status in zip(items, statuses) if status == Status.OK], now)
        self.history.note_lost_leases(statuses.count(Status.LEASE_LOST))
        for item, status in zip(items, statuses):
            if status not in (Status.OK, Status.LEASE_LOST):
                self.history.note_wrong("task_done of %r: %s" % (item.body[:100], status.name))
