"""python3 -m netqueue.worker [-s SERVER] [-j N] [--burst] NAME: work for the netqueue.Pool of that name, on any host.

The functions that are mapped must be importable here, under the same name.
"""
import argparse
import multiprocessing
import os
import sys

from ._errors import Error
from ._pool import work
from ._queue import Queue


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m netqueue.worker", description="Work for the netqueue.Pool of that name.")
    parser.add_argument("name")
    parser.add_argument("-s", "--server", help="where the broker is; else NETQUEUE_SERVER")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--burst", action="store_true", help="end when no task is left")
    options = parser.parse_args()
    sys.path.insert(0, os.getcwd())
    try:
        tasks = Queue(0, options.name, options.server)
    except (Error, ValueError) as error:
        print("netqueue.worker: %s" % error, file=sys.stderr)
        return 69
    others = [multiprocessing.Process(target=work, args=(tasks, None, options.burst)) for _ in range(options.jobs - 1)]
    for other in others:
        other.start()
    try:
        work(tasks, None, options.burst)
    except KeyboardInterrupt:
        pass
    for other in others:
        other.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
