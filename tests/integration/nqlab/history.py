"""Workers that keep a history of what they were promised, and the check that the promises were kept."""
import random
import threading
import time

from .client import Client, Status, items_of, token_statuses


class History:
    """What was answered: puts accepted, items delivered, items done."""

    def __init__(self):
        self.lock = threading.Lock()
        self.stop_putting, self.stop_getting = threading.Event(), threading.Event()
        self.accepted, self.done, self.delivered, self.wrong = set(), set(), {}, []
        self.epochs = {}  # body -> the broker's epoch of its latest delivery
        self.lost_leases = self.reconnects = 0

    def note_wrong(self, text):
        with self.lock:
            self.wrong.append(text)

    def note_delivery(self, item):
        body = item.body
        with self.lock:
            last_epoch = self.epochs.setdefault(body, item.epoch)
            self.epochs[body] = max(last_epoch, item.epoch)
            if body in self.delivered and not item.redelivered and item.epoch >= last_epoch:
                self.wrong.append("%r was delivered again without the flag" % body)
            if body in self.done:
                self.wrong.append("%r was delivered after its task_done had been answered" % body)
            self.delivered[body] = self.delivered.get(body, 0) + 1


class Worker(threading.Thread):
    def __init__(self, history, endpoint, queue, seed, patience=60):
        super().__init__(daemon=True)
        self.history, self.queue, self.patience = history, queue, patience
        self.random = random.Random(seed)
        self.client = Client(endpoint, timeout=patience, riding=True)

    def run(self):
        try:
            self.work()
        except BaseException as error:  # a worker that ends early must not go unnoticed
            self.history.note_wrong("%s: %r" % (type(self).__name__, error))
        finally:
            self.history.reconnects += self.client.reconnects
            self.client.drop()


class Putter(Worker):
    """Puts runs of numbered bodies; remembers those whose put was answered."""

    def work(self):
        number = 0
        while not self.history.stop_putting.is_set():
            bodies = [b"%s %d" % (self.name.encode(), number + i) for i in range(self.random.choice((1, 1, 5, 40)))]
            number += len(bodies)
            reply = self.client.ride(self.client.send_put(self.queue, *bodies), self.patience)
            if reply.status != Status.OK or reply.put.accepted != len(bodies):
                self.history.note_wrong("put of %d: %s, %d accepted" % (len(bodies), Status(reply.status).name, reply.put.accepted))
                return
            with self.history.lock:
                self.history.accepted.update(bodies)
            time.sleep(self.random.choice((0, 0, 0.002)))


class Getter(Worker):
    """Gets, remembers what came, finishes it, remembers what was answered."""

    def work(self):
        while not self.history.stop_getting.is_set():
            request = self.client.send("get", queue=self.queue, max_items=self.random.choice((1, 3, 20)), wait_ms=300)
            status, items = self._items(self.client.ride(request, self.patience))
            if status == Status.EMPTY:
                continue
            if status != Status.OK:
                self.history.note_wrong("get: %s" % status.name)
                return
            for item in items:
                self.history.note_delivery(item)
            self._finish(items)

    def _items(self, reply):
        return Status(reply.status), items_of(reply) if reply.status == Status.OK else []

    def _finish(self, items):
        request = self.client.token_request("task_done", items)
        self.client.send_frame([request])
        reply = self.client.ride(request.id, self.patience)
        self.client.held.pop(items[0].get_id, None)
        for item, status in zip(items, token_statuses(reply, len(items))):
            if status == Status.OK:
                with self.history.lock:
                    self.history.done.add(item.body)
            elif status == Status.LEASE_LOST:
                self.history.lost_leases += 1
            else:
                self.history.note_wrong("task_done of %r: %s" % (item.body, status.name))
