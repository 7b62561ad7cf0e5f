"""What the listings share: each runs all its roles here, or, with roles as arguments, only those, so that the others can run on another host.

    python3 07_queue.py                       # everything, as threads or processes of this program
    python3 07_queue.py producer              # here
    python3 07_queue.py consumer consumer     # there
"""
import logging
import multiprocessing
import sys
import threading

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(threadName)s %(levelname)s %(message)s")


def run(kind, *roles):
    """Start each role as a threading.Thread or a multiprocessing.Process, and wait for all."""
    asked = sys.argv[1:]
    by_name = {role.__name__: role for role in roles}
    unknown = [name for name in asked if name not in by_name]
    if unknown:
        sys.exit("no role %s here: %s" % (", ".join(unknown), ", ".join(by_name)))
    started = [kind(target=role) for role in ([by_name[name] for name in asked] or roles)]
    for one in started:
        one.start()
    for one in started:
        one.join()


def say(line):
    """print, with the line and its end in one piece: those of several threads do not mix."""
    sys.stdout.write(line + "\n")


def my_name():
    """Of this process, or of this thread if there are several."""
    thread = threading.current_thread()
    return thread.name if thread is not threading.main_thread() else multiprocessing.current_process().name
