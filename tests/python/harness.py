"""Runs the unittest classes of one test program against a broker of its own, with the built library."""
import argparse
import faulthandler
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "python"), os.path.join(ROOT, "tests", "integration")]

from nqlab import Lab, until  # noqa: E402

SKIPPED = 77
HANGS_SECONDS = 220  # less than the TIMEOUT in CMakeLists.txt
build_dir = None
lab = None
broker = None


def wait_until(condition, what, timeout=80):
    return until(condition, timeout, what, 0.002)


def in_thread(function, *arguments):
    """Start it; returns a function that waits for it and gives its result, or raises what it raised."""
    outcome = []

    def run():
        try:
            outcome.append((True, function(*arguments)))
        except BaseException as error:  # told to who waits
            outcome.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result(timeout=80):
        thread.join(timeout)
        if not outcome:
            raise AssertionError("%r did not end within %s s" % (function, timeout))
        ok, value = outcome[0]
        if not ok:
            raise value
        return value

    result.running = lambda: not outcome
    return result


def run_python(*arguments, timeout=100, env=None, **more):
    """Another Python with the same package, library and broker: its subprocess.CompletedProcess. One that hangs says where, with its children."""
    environment = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "python"), PYTHONFAULTHANDLER="1", **(env or {}))
    process = subprocess.Popen([sys.executable, "-B", *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True, **more)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        out, err = process.communicate(timeout=20)
        raise AssertionError("%s did not end within %s s; stdout: %s\nstderr: %s" % (arguments, timeout, out[-1000:], err[-8000:])) from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def spawn_python(*arguments, env=None, stdin=subprocess.DEVNULL, **more):
    environment = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "python"), **(env or {}))
    return subprocess.Popen([sys.executable, "-B", *map(str, arguments)], env=environment, stdin=stdin, text=True, **more)


def run(module_name="__main__", prepare=None):
    """The main program of a test: --build-dir DIR [names of tests]."""
    global build_dir, lab, broker
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--only", action="append", help="only tests whose name contains this")
    parser.add_argument("-v", dest="verbosity", action="store_const", const=2, default=1)
    options = parser.parse_args()
    build_dir = os.path.abspath(options.build_dir)
    faulthandler.dump_traceback_later(HANGS_SECONDS, file=sys.stdout)  # before ctest ends it: what it hangs in can be read
    lab = Lab(build_dir)
    if lab.sanitizer or not os.path.exists(os.path.join(build_dir, "lib", "libnetqueue.so.0")):
        print("skipped: a library built with %s cannot be loaded into python" % (lab.sanitizer or "these options"))
        return SKIPPED
    broker = lab.broker(memory=True)
    os.environ["NETQUEUE_SERVER"] = broker.endpoint
    os.environ["NETQUEUE_LIBRARY"] = os.path.join(build_dir, "lib", "libnetqueue.so.0")
    try:
        if prepare is not None:
            prepare()
        loader = unittest.TestLoader()
        if options.only:
            loader.testNamePatterns = ["*%s*" % part for part in options.only]
        suite = loader.loadTestsFromModule(sys.modules[module_name])
        began = time.monotonic()
        result = unittest.TextTestRunner(verbosity=options.verbosity, stream=sys.stdout).run(suite)
        failed = len(result.failures) + len(result.errors)
        for why in sorted({"%s: %s" % (test.id().split(".")[-2], why) for test, why in result.skipped}):
            print("skipped: " + why)
        print("%.1f s; %d passed, %d failed" % (time.monotonic() - began, result.testsRun - failed - len(result.skipped), failed))
        sys.stdout.flush()
        return 1 if failed or not result.testsRun else 0
    finally:
        import netqueue
        netqueue.close()
        lab.close()
        lab.remove()
