#!/usr/bin/env python3
"""python_queue.py [--build-dir DIR] [--scale X]: netqueue.Queue beside Python's own queues, full cycles of 100-byte items.

A cycle is put, get and (where there is one) task_done; one producer and one consumer at a time. Threads of one process: queue.Queue and netqueue.Queue.
Two processes: multiprocessing.Queue beside netqueue's confirm="flush"; a queue.Queue behind multiprocessing.managers over TCP beside netqueue's confirmed
form. The broker runs twice: in memory, and with its store on disk, flushed before each answer. Prints one line each: cycles a second, median of three.
"""
import argparse
import multiprocessing
import multiprocessing.managers
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BODY = b"x" * 100
TURNS = 3


class Broker:
    def __init__(self, build_dir, memory):
        self.directory = tempfile.TemporaryDirectory(prefix="nq-bench-")
        endpoint_file = os.path.join(self.directory.name, "endpoint")
        store = ["--memory"] if memory else ["--data", os.path.join(self.directory.name, "data")]
        self.process = subprocess.Popen([os.path.join(build_dir, "bin", "netqueue-broker"), "--listen", "tcp://127.0.0.1:*", "--endpoint-file", endpoint_file,
                                         *store], stderr=subprocess.DEVNULL)
        while not (os.path.exists(endpoint_file) and os.path.getsize(endpoint_file)):
            if self.process.poll() is not None:
                sys.exit("the broker ended at its start")
            time.sleep(0.02)
        with open(endpoint_file, encoding="ascii") as file:
            self.endpoint = file.read().split()[0]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


def put_all(q, count, flush):
    for _ in range(count):
        q.put(BODY)
    if flush:
        q.flush()


def get_all(q, count, done):
    for _ in range(count):
        q.get()
        if done:
            q.task_done()


def cycles(q, count, processes, done, flush=False):
    """Cycles a second: a consumer here, a producer in another thread or process, started together."""
    if processes:
        context = multiprocessing.get_context("fork")
        start = context.Event()
        worker = context.Process(target=lambda: (start.wait(), put_all(q, count, flush)))
    else:
        start = threading.Event()
        worker = threading.Thread(target=lambda: (start.wait(), put_all(q, count, flush)))
    worker.start()
    start.set()
    began = time.perf_counter()
    get_all(q, count, done)
    if done:
        q.join()
    took = time.perf_counter() - began
    worker.join()
    return count / took


class Manager(multiprocessing.managers.BaseManager):
    pass


_served = queue.Queue()
Manager.register("get_queue", callable=lambda: _served)


def manager_queue():
    manager = Manager(("127.0.0.1", 0), authkey=b"bench")
    manager.start()
    return manager


def of_python(report):
    report("queue.Queue, threads", lambda n: cycles(queue.Queue(), n, False, True), 50000)
    report("multiprocessing.Queue, processes", lambda n: cycles(multiprocessing.Queue(), n, True, False), 50000)
    manager = manager_queue()
    report("multiprocessing.managers over TCP, processes", lambda n: cycles(manager.get_queue(), n, True, True), 3000)
    manager.shutdown()


FORMS = (  # what, options, another process, task_done, items
    ("confirmed, threads", {}, False, True, 5000),
    ("confirmed, processes", {}, True, True, 5000),
    ("confirmed, prefetch=100, processes", {"prefetch": 100}, True, True, 5000),
    ("flush, threads", {"confirm": "flush"}, False, True, 50000),
    ("flush, processes", {"confirm": "flush"}, True, True, 50000),
    ("flush, done at get, processes", {"confirm": "flush", "done": "get"}, True, False, 50000),
)


def of_netqueue(netqueue, report, where):
    for what, options, processes, done, count in FORMS:
        def run(n, options=options, processes=processes, done=done):
            return cycles(netqueue.Queue(**options), n, processes, done, "confirm" in options)
        report("netqueue %s, %s" % (where, what), run, count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build-dir", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of items")
    options = parser.parse_args()
    os.environ.setdefault("NETQUEUE_LIBRARY", os.path.join(options.build_dir, "lib", "libnetqueue.so.0"))
    sys.path.insert(0, os.path.join(ROOT, "python"))
    import netqueue

    def report(what, run, count):
        rates = [run(max(100, int(count * options.scale))) for _ in range(TURNS)]
        print("%-60s %9.0f cycles/s   (%.0f to %.0f)" % (what, statistics.median(rates), min(rates), max(rates)), flush=True)

    of_python(report)
    for memory in (True, False):
        broker = Broker(os.path.abspath(options.build_dir), memory)
        os.environ["NETQUEUE_SERVER"] = broker.endpoint
        try:
            of_netqueue(netqueue, report, "in memory" if memory else "on disk")
        finally:
            netqueue.close()
            broker.stop()


if __name__ == "__main__":
    main()
