"""Workers of history.py as processes of their own, which a test can kill and stop. What they note arrives in its history as lines.

As a program, it is such a worker:  crew.py KIND NAME ENDPOINT QUEUE SEED RATE HOLD FILLER PATIENCE [KEYS]
"""
import base64
import json
import os
import signal
import sys
import threading

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "nqlab"  # so that the imports below work in both cases
    import nqlab  # noqa: F401

from .history import Getter, Putter
from .keys import curve_of
from .lab import Program

KINDS = {"putter": Putter, "getter": Getter}
PATIENCE = 60  # seconds that a worker waits for an answer over lost connections, on a machine that is as fast as others
NOTES = ("wrong", "accepted", "finishing", "done", "lost_leases", "reconnects", "deliveries")


def _to_text(value):
    if isinstance(value, bytes):
        return {"b": base64.b64encode(value).decode("ascii")}
    raise TypeError("%r" % type(value))


def _from_text(value):
    return base64.b64decode(value["b"]) if "b" in value else value


class Told:
    """In the worker's process, in the place of the history: one line for each note, written at once."""

    def __init__(self, filler):
        self.filler = filler
        self.stop_putting = self.stop_getting = threading.Event()
        for name in NOTES:
            setattr(self, "note_" + name, self._teller(name))

    @staticmethod
    def _teller(name):
        def tell(*values):
            line = json.dumps([name, *values], default=_to_text).encode("ascii") + b"\n"
            while line:
                line = line[os.write(1, line):]
        return tell


class Hand:
    """A worker process, as the test sees it. Killed in the middle of a line: that line is not counted."""

    def __init__(self, lab, history, kind, endpoint, queue, rate=0, hold=0.05, prefix=(), keys=None, patience=PATIENCE):
        self.kind, self.history, self.puts = kind, history, KINDS[kind].puts
        self.name = "%s%d" % (kind, lab.next_number())
        self.expected = self.asked = False  # its end is our doing; it was asked to end
        reading, writing = os.pipe()
        args = [*prefix, sys.executable, "-B", os.path.abspath(__file__), kind, self.name, endpoint, queue,
                lab.random.randrange(2 ** 31), rate, hold, history.filler, patience * lab.pace, *([keys] if keys else [])]
        with open(writing, "wb") as out:
            self.program = Program(lab, [str(arg) for arg in args], stdout=out, env={"TMPDIR": lab.dir})  # what it leaves when killed goes with the lab
        self.reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self.reader.start()

    def _read(self, reading):
        with open(reading, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    name, *values = json.loads(line, object_hook=_from_text)
                    getattr(self.history, "note_" + name)(*values)
        code = self.program.process.wait()
        if code != 0 and not self.expected and not (code == -signal.SIGTERM and self.asked):  # asked before it had heard of signals
            self.history.note_wrong("%s ended with %s: %s" % (self.name, self.program.process.returncode, self.program.err[-500:]))

    def kill(self):
        self.expected = True
        self.program.kill()
        self.reader.join(20)

    def stop(self):
        """It finishes what it is at. Follow with join()."""
        self.asked = True
        self.program.signal(signal.SIGTERM)

    def join(self, timeout):
        self.stop()
        self.reader.join(timeout)

    def is_alive(self):
        return self.reader.is_alive()

    def freeze(self):
        self.program.signal(signal.SIGSTOP)

    def thaw(self):
        self.program.signal(signal.SIGCONT)


def main(kind, name, endpoint, queue, seed, rate, hold, filler, patience, keys=None):
    told = Told(int(filler))
    signal.signal(signal.SIGTERM, lambda *_: told.stop_putting.set())
    worker = KINDS[kind](told, endpoint, queue, int(seed), patience=int(patience), rate=float(rate), hold=float(hold),
                         curve=curve_of(keys) if keys else None)
    worker.name = name
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
