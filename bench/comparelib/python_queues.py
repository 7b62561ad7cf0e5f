"""Full cycles a second of Python's own queues, 100-byte items, one producer and one consumer.

    python_queues.py NAME SECONDS   prints JSON
"""
import json
import multiprocessing
import multiprocessing.managers
import queue
import sys
import threading
import time

BODY = b"x" * 100
BOUND = 1000


def produce(items, stop):
    while not stop.is_set():
        items.put(BODY)


def consume(items, stop, counted):
    while not stop.is_set():
        try:
            items.get(timeout=0.1)
        except queue.Empty:
            continue
        items.task_done()
        counted.value += 1


class Counter:
    value = 0


def in_threads():
    stop, counted, items = threading.Event(), Counter(), queue.Queue(BOUND)
    return items, stop, counted, threading.Thread


def in_processes():
    stop, counted, items = multiprocessing.Event(), multiprocessing.Value("q", 0, lock=False), multiprocessing.JoinableQueue(BOUND)
    return items, stop, counted, multiprocessing.Process


class Manager(multiprocessing.managers.BaseManager):
    pass


def serve_queue():
    return queue.Queue(BOUND)


def managed():
    """A queue.Queue in a process of its own, reached over TCP."""
    Manager.register("queue", serve_queue)
    manager = Manager(("127.0.0.1", 0), b"compare")
    manager.start()
    items, stop, counted, start = in_processes()
    items = manager.queue()
    items.manager = manager  # lives as long as the queue
    return items, stop, counted, start


QUEUES = {
    "queue.Queue, two threads": in_threads,
    "multiprocessing.JoinableQueue, two processes": in_processes,
    "multiprocessing manager's queue, TCP": managed,
}


def measure(name, seconds):
    items, stop, counted, worker = QUEUES[name]()
    workers = [worker(target=produce, args=(items, stop)), worker(target=consume, args=(items, stop, counted))]
    for one in workers:
        one.daemon = True
        one.start()
    time.sleep(0.3)
    before, began = counted.value, time.monotonic()
    time.sleep(seconds)
    done, took = counted.value - before, time.monotonic() - began
    stop.set()
    return {"seconds": took, "items": done, "items_per_s": done / took}


def main():
    multiprocessing.set_start_method("fork")
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]))), flush=True)
    for child in multiprocessing.active_children():
        child.terminate()


if __name__ == "__main__":
    main()
