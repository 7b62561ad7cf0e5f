"""Runs the scenarios of one test program: one report line each, the broker's log when one fails, a summary as the last line."""
import argparse
import faulthandler
import functools
import random
import signal
import sys
import time
import traceback

from .lab import Lab, log

_scenarios = []


class Skip(Exception):
    """Raised by a scenario that cannot run here; the text says why."""


class TimedOut(Exception):
    pass


def scenario(function=None, *, timeout=240, long_timeout=None, long_only=False):
    """Mark a function of one Lab as a scenario; timeouts are in seconds."""
    def mark(it):
        _scenarios.append((it, timeout, long_timeout or timeout, long_only))
        return it
    return mark(function) if function else mark


def given_time(attempt):
    """Of attempt(lab, scale) makes a scenario for times that a machine can stand still for: when it fails, it is made again with times of twice
    the length, and again. What is broken fails each time; not for what is left to chance."""
    @functools.wraps(attempt)
    def scaled(lab):
        for scale in (1, 2):
            try:
                return attempt(lab, scale)
            except (AssertionError, IndexError, ValueError) as why:  # the latter of answers without the items that were expected
                lab.note("made again with more time: %s" % str(why).split("\n", 1)[0])
        return attempt(lab, 4)
    return scaled


def check(condition, text, *values):
    if not condition:
        raise AssertionError(text % values if values else text)


def check_equal(got, expected, what):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, _short(got), _short(expected)))


def _short(value):
    text = repr(value)
    return value if len(text) < 2000 else text[:2000] + "..."


def _title(function):
    return function.__name__ + (": " + function.__doc__.strip().split("\n")[0] if function.__doc__ else "")


def _run(function, lab, seconds):
    def alarm(_number, _frame):
        running = [program.where() for program in lab.programs if program.running()]
        raise TimedOut("\n".join(["the scenario took too long; what runs still:"] + running[-5:]))

    signal.signal(signal.SIGALRM, alarm)
    limit = int(seconds * lab.pace)
    signal.alarm(limit)
    faulthandler.dump_traceback_later(limit + 20)  # of all threads, should the alarm not get through
    try:
        function(lab)
        return "ok", None
    except Skip as why:
        return "skip", str(why)
    except Exception:  # a scenario may fail in any way
        return "FAIL", traceback.format_exc()
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()


def _brief(trouble):
    """Of a traceback, the line that says what it was: the first behind the places in the code."""
    behind = trouble[trouble.rfind('\n  File "') + 1:].splitlines()
    return next((line for line in behind if not line.startswith(" ")), behind[0])


def _report_failure(lab, trouble):
    for line in trouble.rstrip().splitlines():
        log("       | " + line)
    for broker in lab.brokers:
        log("       broker %d (%s), end of its log:" % (broker.number, broker.endpoint))
        for line in broker.log_tail().splitlines():
            log("       > " + line)


def _end(number, _frame):
    """As Ctrl-C does, so that a scenario leaves nothing behind."""
    sys.exit(128 + number)


def main(argv=None):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--build-dir", required=True, help="where bin/netqueue-broker and the others are")
    parser.add_argument("--long", action="store_true", help="the long form")
    parser.add_argument("--all", action="store_true", help="also the scenarios that only the long form has, with the amounts of the quick one")
    parser.add_argument("--seed", type=int, default=None, help="for what is random; printed")
    parser.add_argument("--only", action="append", help="only scenarios whose name contains this")
    parser.add_argument("--minutes", type=float, help="how long a soak takes")
    parser.add_argument("--rate", type=int, help="how many items a second a soak puts into the broker that lives; without it half of the most")
    parser.add_argument("--keep", action="store_true", help="keep the directories of failed scenarios")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2 ** 31)
    log("%s --build-dir %s --seed %d%s" % (sys.argv[0], options.build_dir, seed, " --long" if options.long else ""))
    passed = 0
    failed, skipped = [], []
    for function, seconds, long_seconds, long_only in _scenarios:
        if options.only and not any(part in function.__name__ for part in options.only):
            continue
        if long_only and not (options.long or options.all):
            continue
        lab = Lab(options.build_dir, options.long, seed)
        lab.minutes, lab.rate = options.minutes, options.rate
        before = time.monotonic()
        try:
            outcome, trouble = _run(function, lab, long_seconds if options.long else seconds)
        except (KeyboardInterrupt, SystemExit):  # ended from outside: what runs, and what was written, goes
            lab.close()
            lab.remove()
            raise
        took = time.monotonic() - before
        reports = lab.close()
        if reports and outcome != "FAIL":
            outcome, trouble = "FAIL", "\n".join(reports)
        elif reports:
            trouble += "\n".join(reports)
        log("%-4s %s (%.1f s)" % (outcome, _title(function), took))
        for note in lab.notes:
            log("       - " + note)
        if outcome == "FAIL":
            _report_failure(lab, trouble)
            failed.append("%s: %s" % (function.__name__, _brief(trouble)))
        elif outcome == "skip":
            log("       skipped: " + trouble)
            skipped.append(function.__name__)
        else:
            passed += 1
        if options.keep and outcome == "FAIL":
            log("       kept: " + lab.dir)
        else:
            lab.remove()
    if skipped:
        log("skipped: " + ", ".join(skipped))
    for line in failed:
        log("failed: " + line)
    log("%d passed, %d failed" % (passed, len(failed)))
    return 1 if failed or not passed + len(skipped) else 0
