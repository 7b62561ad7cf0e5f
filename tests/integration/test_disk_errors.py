"""A disk that fails under the real broker: EIO and ENOSPC at the n-th write or sync, and a file system that is gone from one moment to the next.

The broker either goes on, or says why and ends with 73; after a start on a good disk nothing that was answered is lost.
"""
import fcntl
import os
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Skip, check, check_equal, main, scenario, until
from nqlab.history import Getter, History, Putter, settle

STORAGE = 73


def workers_of(history, broker, lab, putters=2, getters=2):
    workers = [Putter(history, broker.endpoint, "q", lab.seed + n) for n in range(putters)]
    workers += [Getter(history, broker.endpoint, "q", lab.seed + 10 + n) for n in range(getters)]
    for worker in workers:
        worker.start()
    return workers


def faults(lab, broker, kind, at, error, sticky=False):
    """The environment in which the broker's disk fails."""
    library = os.path.join(lab.build_dir, "lib", "libnq_faulty_io.so")
    check(os.path.exists(library), "no %s", library)
    env = {"LD_PRELOAD": library, "NQ_FAULT_FOLDER": broker.data, "NQ_FAULT_KIND": kind, "NQ_FAULT_AT": str(at), "NQ_FAULT_ERROR": error,
           "NQ_FAULT_FILE": lab.path("fault-%d" % lab.next_number())}
    if sticky:
        env["NQ_FAULT_STICKY"] = "1"
    return env


def told(env):
    """What failed, as the preloaded library has written it down."""
    try:
        with open(env["NQ_FAULT_FILE"], encoding="utf-8") as file:
            return file.read().split("\n")[:-1]
    except FileNotFoundError:
        return []


def expect_storage_failure(broker, what):
    """It ended by itself with 73 and one error line that names the disk's answer."""
    result = broker.program.wait(20).expect(STORAGE, what)
    errors = [line for line in result.err.decode("utf-8", "replace").split("\n") if "error" in line.lower()]
    check(errors, "%s: it does not say why: %s", what, result.err[-500:])
    return errors[-1]


def tolerated(fault):
    """A failure that the broker can do without."""
    call, path = fault.split(" ")[0], fault.split(" ")[-1]
    return call in ("resize", "create") or path.endswith("reserve")


def one_fault(lab, kind, at, error, sticky=False):
    """True: the fault came. The first ones do; those behind them may take more checkpoints than there is time for."""
    patience = 20 if at < 16 else 1.5
    broker = lab.broker("--disk-reserve", "4M", "--session-grace", "500ms")
    history = History()
    workers = workers_of(history, broker, lab, 1, 1)
    until(lambda: len(history.done) > 20, 20 * lab.slow, "load")
    broker.kill()  # so that a recovery is among what fails
    env = faults(lab, broker, kind, at, error, sticky)
    what = "%s number %d with %s" % (kind, at, error)
    served = broker.try_start(env=env)
    deadline = time.monotonic() + patience * lab.slow
    while served and broker.running() and time.monotonic() < deadline and not told(env):
        time.sleep(0.01)
    came = told(env)
    if came and error == "EIO" and not tolerated(came[0]):
        until(lambda: not broker.running(), 20 * lab.slow, "the broker ends; %s failed, %s" % (came[0], what))
    if not broker.running():
        text = expect_storage_failure(broker, what)
        check(came, "%s: it ended, but nothing had failed: %s", what, text)
    broker.kill()
    broker.start()
    settle(history, broker, workers, lab)
    broker.stop()
    return bool(came)


def all_faults(lab, kind, error, sticky=False):
    numbers = range(1, 200) if lab.long else sorted(lab.random.sample(range(1, 16), 4)) + [20, 40]
    came = sum(1 for at in numbers if one_fault(lab, kind, at, error, sticky))
    check(came >= min(4, len(numbers)), "only %d of %d faults came", came, len(numbers))
    lab.note("%d of %d faults came" % (came, len(numbers)))


def needs_preloading(lab):
    if lab.sanitizer:
        raise Skip("a sanitizer wants to be loaded first")


@scenario(timeout=240, long_timeout=1800)
def eio_at_a_write(lab):
    """the n-th write fails: 73, said; nothing answered is lost"""
    needs_preloading(lab)
    all_faults(lab, "write", "EIO")


@scenario(timeout=240, long_timeout=1800)
def eio_at_a_sync(lab):
    """the n-th sync fails: 73, said, never tried again; nothing answered is lost"""
    needs_preloading(lab)
    all_faults(lab, "sync", "EIO")


@scenario(timeout=240, long_timeout=1800)
def enospc_at_a_write(lab):
    """no write from the n-th on finds room: goes on or ends with 73; nothing answered is lost"""
    needs_preloading(lab)
    all_faults(lab, "write", "ENOSPC", sticky=True)


# ------------------------------------------------------------------------------------------------- a real file system, cut off

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


class Ext4:
    """A file system of its own in a file, in a mount namespace that only it and its broker see."""

    def __init__(self, lab):
        if os.geteuid() != 0:
            raise Skip("not root: no file system of its own")
        self.image, self.folder = lab.path("ext4.img"), lab.path("ext4")
        os.mkdir(self.folder)
        with open(self.image, "wb") as file:
            file.truncate(256 << 20)
        if subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=False).returncode != 0:
            raise Skip("no mkfs.ext4")
        self.lab = lab
        # Holds the namespace while there is no broker in it.
        self.keeper = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; read line"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.keeper.stdout.readline() != b"ready\n" or not self.run("mount", "-o", "loop", self.image, self.folder):
            self.end()
            raise Skip("no loop mount in a private namespace here")
        self.prefix = ["nsenter", "-m", "-t", str(self.keeper.pid), "--"]

    def run(self, *command):
        return subprocess.run(["nsenter", "-m", "-t", str(self.keeper.pid), "--", *command], check=False, stderr=subprocess.DEVNULL).returncode == 0

    def cut(self):
        """The power is gone: what is not on disk now never will be."""
        fd = os.open("/proc/%d/root%s" % (self.keeper.pid, self.folder), os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def remount(self):
        until(lambda: self.run("umount", self.folder), 20 * self.lab.slow, "umount")
        check(self.run("mount", "-o", "loop", self.image, self.folder), "mount")

    def end(self):
        self.run("umount", "-l", self.folder)
        self.keeper.kill()
        self.keeper.wait()


@scenario(timeout=240, long_timeout=1800)
def power_cut(lab):
    """ext4 shut down under load without flushing anything: the broker ends with 73, and after a mount all that was answered is there"""
    disk = Ext4(lab)
    try:
        broker = lab.broker("--disk-reserve", "4M", "--session-grace", "1s", start=False, prefix=disk.prefix)
        broker.data = os.path.join(disk.folder, "data")
        broker.start()
        history = History()
        workers = workers_of(history, broker, lab, 3, 2)
        cuts = 100 if lab.long else 4
        for number in range(cuts):
            accepted = len(history.accepted)
            until(lambda: len(history.accepted) > accepted + 20, 30 * lab.slow, "load")
            time.sleep(lab.random.uniform(0, 1.2))  # a checkpoint is begun each second
            disk.cut()
            text = expect_storage_failure(broker, "after the cut")
            disk.remount()
            broker.start()
            check_equal(history.wrong, [], "history, after cut %d (%s)" % (number, text))
        settle(history, broker, workers, lab)
        broker.stop()
        lab.note("%d cuts, %d puts answered; the broker says: %s" % (cuts, len(history.accepted), text))
    finally:
        for program in lab.programs:
            program.kill()
        disk.end()


if __name__ == "__main__":
    sys.exit(main())
