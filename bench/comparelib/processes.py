"""Programs that were started here, by pid, gone at the end; and what /proc tells about them."""
import ctypes
import os
import signal
import socket
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Something could not be measured; the text says why, in one line."""


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A running program in a process group of its own, its output in a file."""

    def __init__(self, args, log, env=None, cwd=None):
        self.args, self.log = [str(a) for a in args], log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                                            start_new_session=True, preexec_fn=_die_with_parent)

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def ended(self):
        return self.process.poll() is not None

    def wait_until(self, ready, timeout, what):
        deadline = time.monotonic() + timeout
        while not ready():
            if self.ended() or time.monotonic() > deadline:
                self.stop()
                raise Failed("%s did not start: %s" % (what, self.last_line()))
            time.sleep(0.02)

    def stop(self, timeout=20):
        """End it and what it has started. A paused program is resumed first."""
        self.signal(signal.SIGCONT)
        if not self.ended():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.signal(signal.SIGKILL)
        self.process.wait()

    def last_line(self):
        with open(self.log, errors="replace") as file:
            lines = [line.strip() for line in file.read()[-4000:].split("\n") if line.strip()]
        return lines[-1] if lines else "it said nothing"


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _proc_fields(pid, name):
    fields = {}
    with open("/proc/%d/%s" % (pid, name)) as file:
        for line in file:
            key, _, value = line.partition(":")
            fields[key] = value.split()
    return fields


def anonymous_bytes(pid):
    """The program's own memory: resident, less mappings of files (RssAnon)."""
    return int(_proc_fields(pid, "status")["RssAnon"][0]) * 1024


def written_bytes(pid):
    """What the program has caused to be written to the disk so far."""
    return int(_proc_fields(pid, "io")["write_bytes"][0])


def cpu_seconds(pid):
    """Of the threads that are there now, to the nanosecond: the clock ticks of /proc/PID/stat are too coarse for an idle program."""
    total_ns = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, thread)) as file:
            total_ns += int(file.read().split()[0])
    return total_ns / 1e9
