"""A place to run the real programs in: one temporary directory, every process known by its pid and gone at the end."""
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ports import quiet_port

from .client import Client, Status

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
SANITIZER_REPORTS = (b"ERROR: AddressSanitizer", b"ERROR: LeakSanitizer", b"runtime error:", b"WARNING: ThreadSanitizer")


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def until(condition, timeout, what, pause=0.01):
    """Wait until condition() is true (its value is returned); fail with `what` when `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError("not within %.1f s: %s" % (timeout, text))
        time.sleep(pause)


class Result:
    """How a program ended."""

    def __init__(self, args, code, out, err, seconds):
        self.args, self.code, self.out, self.err, self.seconds = args, code, out, err, seconds

    @property
    def lines(self):
        return self.out.split(b"\n")[:-1] if self.out.endswith(b"\n") else self.out.split(b"\n")

    def json(self):
        return json.loads(self.out)

    def expect(self, code, what=""):
        if self.code != code:
            raise AssertionError("%s%s: exit code %s, expected %s\n  stdout: %r\n  stderr: %s" % (
                what and what + ": ", " ".join(map(str, self.args)), self.code, code, self.out[:400], self.err[-1500:].decode("utf-8", "replace")))
        return self

    def one_line_error(self):
        """A failure is told in one clear line on stderr, nothing on stdout."""
        text = self.err.decode("utf-8", "replace").strip()
        if not text or "\n" in text:
            raise AssertionError("%s: expected one line on stderr, got %r" % (" ".join(map(str, self.args)), text))
        return text


class Program:
    """A running program with its output going to files."""

    def __init__(self, lab, args, env=None, stdin=None, stdout=None, cwd=None):
        self.lab, self.args = lab, args
        self.tag = "%s-%d" % (os.path.basename(str(args[0])), lab.next_number())
        self.out_path = os.path.join(lab.dir, self.tag + ".out")
        self.err_path = os.path.join(lab.dir, self.tag + ".err")
        self.started = time.monotonic()
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                args, stdin=stdin if stdin is not None else subprocess.DEVNULL, stdout=stdout if stdout is not None else out, stderr=err,
                env=lab.environment(env), cwd=cwd or lab.dir, preexec_fn=_die_with_parent)
        lab.programs.append(self)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def wait(self, timeout=60):
        try:
            code = self.process.wait(timeout * self.lab.slow)
        except subprocess.TimeoutExpired:
            raise AssertionError("%s did not end within %.0f s; stderr: %s" % (
                " ".join(map(str, self.args)), timeout * self.lab.slow, self.where())) from None
        return Result(self.args, code, self.out, self.err, time.monotonic() - self.started)

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def where(self):
        """What it has said, and in which system call each of its threads is."""
        lines = ["%s (pid %d)" % (" ".join(map(str, self.args)), self.pid)] + self.err[-1000:].decode("utf-8", "replace").splitlines()
        threads = "/proc/%d/task" % self.pid
        for thread in os.listdir(threads) if self.running() else ():
            facts = []
            for fact in ("comm", "wchan", "syscall"):
                try:
                    with open(os.path.join(threads, thread, fact), encoding="ascii", errors="replace") as file:
                        facts.append("%s %s" % (fact, file.read().strip()))
                except OSError:  # it has ended, or we may not look
                    pass
            lines.append("  thread %s: %s" % (thread, ", ".join(facts)))
        if self.running() and shutil.which("gdb"):
            lines += subprocess.run(["gdb", "-p", str(self.pid), "-batch", "-ex", "thread apply all bt"], stdin=subprocess.DEVNULL, timeout=30,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode("utf-8", "replace").splitlines()
        return "\n".join(lines)

    @property
    def out(self):
        with open(self.out_path, "rb") as file:
            return file.read()

    @property
    def err(self):
        with open(self.err_path, "rb") as file:
            return file.read()


class Broker:
    """One broker with its data directory; it keeps its port over restarts."""

    def __init__(self, lab, flags, memory, prefix=()):
        self.lab, self.flags, self.memory, self.prefix = lab, [str(flag) for flag in flags], memory, list(prefix)
        self.number = lab.next_number()
        self.data = os.path.join(lab.dir, "data-%d" % self.number)
        self.endpoint_file = os.path.join(lab.dir, "endpoint-%d" % self.number)
        self.endpoint = None
        self.program = None
        self.starts = 0
        self.start_env = None  # for each start that names no other
        self.log_paths = []

    def command(self, *flags):
        where = ["--memory"] if self.memory else ["--data", self.data]
        listen = self.endpoint or ("tcp://127.0.0.1:*" if self.memory else "tcp://127.0.0.1:%d" % quiet_port())
        return self.prefix + [self.lab.bin("netqueue-broker"), "--listen", listen, "--endpoint-file", self.endpoint_file] + where + self.flags + list(flags)

    def try_start(self, *flags, env=None, timeout=20):
        """Start and wait until it serves or has ended. True: it serves."""
        if os.path.exists(self.endpoint_file):
            os.unlink(self.endpoint_file)
        self.program = Program(self.lab, self.command(*flags), env=env or self.start_env)
        self.log_paths += [self.program.out_path, self.program.err_path]
        self.starts += 1
        until(lambda: self._served() or not self.program.running(), timeout * self.lab.slow, lambda: "broker serves; its log:\n" + self.log_tail())
        return self._served()

    def start(self, *flags, timeout=20):
        """Start and wait until it serves. Returns how long that took, in seconds."""
        before = time.monotonic()
        self.try_start(*flags, timeout=timeout)
        if not self._served() and self.starts <= 3 and b"in use" in self.program.err:
            return self.start(*flags, timeout=timeout)  # somebody was quicker
        if not self._served():
            raise AssertionError("the broker ended at its start (%s):\n%s" % (self.program.process.returncode, self.log_tail()))
        with open(self.endpoint_file, encoding="ascii") as file:
            self.endpoint = file.read().split()[0]
        took = time.monotonic() - before
        return took

    def _served(self):
        return os.path.exists(self.endpoint_file) and os.path.getsize(self.endpoint_file) > 0

    @property
    def pid(self):
        return self.program.pid

    def running(self):
        return self.program is not None and self.program.running()

    def stop(self, timeout=30, code=0):
        """SIGTERM; the exit code must be `code`."""
        self.program.signal(signal.SIGTERM)
        return self.program.wait(timeout).expect(code, "broker after SIGTERM")

    def kill(self):
        self.program.kill()

    def restart(self, *flags, **more):
        self.stop()
        return self.start(*flags, **more)

    def status_value(self, name):
        """A line of /proc/PID/status, in bytes for sizes."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    parts = line.split()
                    return int(parts[1]) * (1024 if parts[-1] == "kB" else 1)
        raise AssertionError("no %s in /proc/PID/status" % name)

    def log_tail(self, lines=40):
        text = []
        for path in self.log_paths[-4:]:
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read().splitlines()[-lines:]
        return "\n".join(text[-lines:])

    # -- the programs against this broker

    def run(self, program, *args, **more):
        return self.lab.run(program, *args, server=self.endpoint, **more)

    def spawn(self, program, *args, **more):
        return self.lab.spawn(program, *args, server=self.endpoint, **more)

    def produce(self, *args, **more):
        return self.run("netqueue-producer", *args, **more)

    def consume(self, *args, **more):
        return self.run("netqueue-consumer", *args, **more)

    def admin(self, *args, **more):
        return self.run("netqueue", *args, **more)

    def client(self, **more):
        client = Client(self.endpoint, timeout=20 * self.lab.slow, **more)
        self.lab.clients.append(client)
        return client

    # -- questions, asked with a client of their own

    def stat(self, queue):
        """QueueStats, or None when there is no such queue."""
        client = Client(self.endpoint, timeout=20 * self.lab.slow)
        try:
            reply = client.call("stat", queue=queue)
            return reply.stat if reply.status == Status.OK else None
        finally:
            client.goodbye()

    def await_stat(self, queue, timeout=20, **values):
        """Wait until the queue's numbers are these; `name=callable` asks for more than equality."""
        last = [None]

        def holds():
            last[0] = self.stat(queue)
            if last[0] is None:
                return None
            for name, value in values.items():
                now = getattr(last[0], name)
                if not (value(now) if callable(value) else now == value):
                    return None
            return last[0]

        return until(holds, timeout * self.lab.slow, lambda: "%s %s; last: %s" % (queue, values, str(last[0]).replace("\n", ", ")), 0.02)


class Lab:
    def __init__(self, build_dir, long=False, seed=0):
        self.build_dir = os.path.abspath(build_dir)
        self.long = long
        self.seed = seed
        self.random = random.Random(seed)
        self.dir = tempfile.mkdtemp(prefix="nq-lab-")
        self.programs, self.clients, self.brokers, self.notes = [], [], [], []
        self._number = 0
        self.sanitizer = self._sanitizer()
        self.pace = {"": 1, "address": 4, "thread": 8}.get(self.sanitizer, 4)  # how much slower than a release build
        machine = int(os.environ.get("NQ_LAB_PACE", "1"))  # and this machine than others: tests/vm/run says so
        self.pace *= machine
        self.slow = 4 * self.pace  # for limits: the machine may be busy, and waiting longer costs nothing when all is well
        self.look_pause = 0.1 * machine  # between looks that are a program each, which takes from what it looks at

    def _sanitizer(self):
        try:
            with open(os.path.join(self.build_dir, "CMakeCache.txt"), encoding="utf-8") as file:
                for line in file:
                    if line.startswith("NQ_SANITIZER:"):
                        return line.strip().split("=", 1)[1]
        except OSError:
            pass
        return ""

    def next_number(self):
        self._number += 1
        return self._number

    def note(self, text):
        """A line for the report."""
        self.notes.append(text)

    def bin(self, name):
        path = os.path.join(self.build_dir, "bin", name)
        if not os.access(path, os.X_OK):
            raise AssertionError("no program %s" % path)
        return path

    def environment(self, more=None):
        env = {name: value for name, value in os.environ.items() if not name.startswith("NETQUEUE_")}
        env.update(LC_ALL="C.UTF-8", ASAN_OPTIONS="detect_leaks=1:exitcode=99", UBSAN_OPTIONS="print_stacktrace=1:exitcode=99")
        env.update(more or {})
        return env

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def broker(self, *flags, memory=False, start=True, prefix=()):
        broker = Broker(self, flags, memory, prefix)
        self.brokers.append(broker)
        if start:
            broker.start()
        return broker

    def spawn(self, program, *args, server=None, env=None, **more):
        env = dict(env or {})
        if server:
            env.setdefault("NETQUEUE_SERVER", server)
        return Program(self, [self.bin(program)] + [arg if isinstance(arg, bytes) else str(arg) for arg in args], env=env, **more)

    def run(self, program, *args, input=None, timeout=60, **more):
        if input is not None:
            with open(self.write("stdin-%d" % self.next_number(), input), "rb") as stdin:
                started = self.spawn(program, *args, stdin=stdin, **more)
        else:
            started = self.spawn(program, *args, **more)
        try:
            return started.wait(timeout)
        finally:
            started.kill()

    def close(self):
        """End everything; returns complaints: sanitizer reports in any program's output."""
        for client in self.clients:
            client.drop()
        for program in reversed(self.programs):
            if program.running():
                program.signal(signal.SIGCONT)
                program.signal(signal.SIGTERM if self.sanitizer else signal.SIGKILL)
        for program in self.programs:
            try:
                program.process.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()
        found = []
        for program in self.programs:
            err = program.err
            if any(report in err for report in SANITIZER_REPORTS):
                found.append("sanitizer report of %s:\n%s" % (program.tag, err[:6000].decode("utf-8", "replace")))
        return found

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def log(text):
    print(text)
    sys.stdout.flush()
