"""A control group of our own with a limit of memory, of version 1 or 2, for programs to be started in."""
import os
import tempfile

from .lab import until
from .runner import Skip

# Of each version: where groups are made, the limit, its twin for swap, how often the kernel killed, the most that was charged.
_VERSIONS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes"),
             ("/sys/fs/cgroup", "memory.max", "memory.swap.max", "memory.events", "memory.peak"))


class ControlGroup:
    """with ControlGroup(lab, bytes) as group: group.broker(...) runs in it. Raises Skip where none can be made."""

    def __init__(self, lab, limit):
        self.lab, self.limit, self.brokers = lab, limit, []

    def __enter__(self):
        problems = []
        for root, limit, swap, kills, peak in _VERSIONS:
            try:
                self.dir = tempfile.mkdtemp(prefix="netqueue-test-", dir=root)
            except OSError as error:
                problems.append(str(error))
                continue
            self.kills_file, self.peak_file = kills, peak
            try:
                self._write(limit, self.limit)
                self._forbid_swap(swap)
                return self
            except OSError as error:
                problems.append(str(error))
                os.rmdir(self.dir)
        raise Skip("no control group with a limit of memory can be made here: " + "; ".join(problems))

    def __exit__(self, *_):
        for broker in self.brokers:
            broker.kill()
        until(self._remove, 20 * self.lab.slow, "the control group is empty")

    def _write(self, name, value):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def _forbid_swap(self, name):
        if os.path.exists(os.path.join(self.dir, name)):  # without it no swap is counted
            self._write(name, 0 if name.endswith(".max") else self.limit)

    def _remove(self):
        try:
            os.rmdir(self.dir)
            return True
        except OSError:
            return False

    def broker(self, *flags, **more):
        """A broker that takes its memory, its sockets' and its files' from this group."""
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.dir]
        broker = self.lab.broker(*flags, prefix=enter, **more)
        self.brokers.append(broker)
        return broker

    def _number(self, file, name=""):
        with open(os.path.join(self.dir, file), encoding="ascii") as lines:
            return next(int(line.split()[-1]) for line in lines if line.startswith(name))

    def kills(self):
        """How often the kernel has killed something in it because memory was out."""
        return self._number(self.kills_file, "oom_kill ")

    def peak(self):
        """The most bytes that were charged to it, those of files it has read and written included; None: this kernel does not say."""
        return self._number(self.peak_file) if os.path.exists(os.path.join(self.dir, self.peak_file)) else None

    def stat(self, name):
        """A line of memory.stat; 0 where there is none."""
        try:
            return self._number("memory.stat", name + " ")
        except StopIteration:
            return 0
