"""What runs in the virtual machine between two power cuts (power_cut): the broker on the disk that outlives them. What an earlier life was
told to be accepted must be there, what was told to be done must not. Then puts and dones until the power goes.

  power_cut_inside.py BUILD_DIR PROMISES     PROMISES: a directory of the machine outside
"""
import os
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from nqlab import Status, check, check_equal
from nqlab.client import Client
from nqlab.lab import Lab

DISK, MOUNT = "/dev/vdb", "/run/disk"
PUTTERS = 3


class Promises:
    """Files of lines, each written as soon as its answer has come; a cut in the middle of a line leaves what is not counted."""

    def __init__(self, directory):
        self.directory = directory

    def of(self, kind):
        """The numbers of all lives, by name of who wrote them."""
        numbers = set()
        for name in os.listdir(self.directory):
            if name.startswith(kind + "-"):
                with open(os.path.join(self.directory, name), "rb") as file:
                    numbers.update(int(line) for line in file if line.endswith(b"\n"))
        return numbers

    def writer(self, kind, name):
        """A function that notes numbers: all in one write, which is in the machine outside when it returns."""
        path = os.path.join(self.directory, "%s-%s" % (kind, name))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return lambda numbers: os.write(descriptor, b"".join(b"%d\n" % number for number in numbers))


def body_of(number):
    return b"%d " % number + b"." * (number * 2654435761 % 2 ** 32 % 4000)


def mount():
    os.makedirs(MOUNT, exist_ok=True)
    subprocess.run(["mount", "-t", "ext4", DISK, MOUNT], check=True)


def check_earlier_lives(broker, client, promises):
    """All that is stored is got and done; returns how many items were accepted, and how many that was."""
    accepted, finishing, done = (promises.of(kind) for kind in ("accepted", "finishing", "done"))
    note_finishing, note_done = promises.writer("finishing", "check"), promises.writer("done", "check")
    got = []
    while True:
        status, items = client.get("q", 100, wait_ms=500)
        if status == Status.EMPTY:  # what sessions of an earlier life had on lease comes when these have ended
            if broker.stat("q").unfinished == 0:
                break
            continue
        check_equal(status, Status.OK, "get")
        numbers = [int(item.body.split(b" ")[0]) for item in items]
        for number, item in zip(numbers, items):
            check(item.body == body_of(number), "item %d has another body", number)
        note_finishing(numbers)
        check_equal(client.task_done(*items).status, Status.OK, "task_done")
        note_done(numbers)
        got += numbers
    lost = accepted - finishing - set(got)
    check(not lost, "%d of %d accepted items are lost, such as %s", len(lost), len(accepted), sorted(lost)[:5])
    again = done & set(got)
    check(not again, "%d items came again whose task_done was answered, such as %s", len(again), sorted(again)[:5])
    check_equal(len(set(got)), len(got), "items that came twice")
    return len(accepted), len(got)


class Load:
    """Putters and a getter, each a thread with a client of its own, until the power goes. One that fails ends all."""

    def __init__(self, broker, promises, life):
        self.broker, self.promises, self.life = broker, promises, life
        self.failed = threading.Event()
        self.wrong = []

    def put(self, client, index):
        note = self.promises.writer("accepted", index)
        number = (self.life * PUTTERS + index) * 10 ** 7
        for run in self._runs():
            numbers = range(number, number + run)
            number = numbers.stop
            check_equal(client.put("q", *map(body_of, numbers)).status, Status.OK, "put")
            note(numbers)

    def _runs(self):
        while True:
            yield from (1, 5, 1, 40)

    def get(self, client):
        """Half of what comes stays on lease: the lives to come find it."""
        note_finishing, note_done = self.promises.writer("finishing", "getter"), self.promises.writer("done", "getter")
        while True:
            status, items = client.get("q", 20, wait_ms=1000)
            half = items[:len(items) // 2]
            if status != Status.OK or not half:
                continue
            numbers = [int(item.body.split(b" ")[0]) for item in half]
            note_finishing(numbers)
            check_equal(client.task_done(*half).status, Status.OK, "task_done")
            note_done(numbers)

    def start(self, work, *args):
        def run():
            try:
                work(self.broker.client(), *args)
            except BaseException as error:  # whatever it was, the machine must end with it
                self.wrong.append(repr(error))
                self.failed.set()
        threading.Thread(target=run, daemon=True).start()


def main(build_dir, directory):
    promises = Promises(directory)
    lives = os.path.join(directory, "lives")
    with open(lives, "ab") as file:
        life = file.tell()
    mount()
    lab = Lab(build_dir)
    broker = lab.broker("--lease", "1h", "--session-timeout", "5s", "--session-grace", "1s", start=False)
    broker.data = os.path.join(MOUNT, "data")
    broker.start()
    accepted, left = check_earlier_lives(broker, broker.client(), promises)
    with open(lives, "ab") as file:
        file.write(b".")
    print("%d accepted until now, %d of them and of the unanswered were there and not done" % (accepted, left), flush=True)
    load = Load(broker, promises, life)
    for index in range(PUTTERS):
        load.start(load.put, index)
    load.start(load.get)
    load.failed.wait()
    print("the load ended: %s; the broker's log:\n%s" % (load.wrong, broker.log_tail()))
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
