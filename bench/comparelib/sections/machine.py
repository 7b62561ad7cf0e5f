"""The limits of the machine: ZeroMQ frames one way, windows over ZeroMQ with one flush each, write and fdatasync."""
import os

from ..load import run_json
from ..processes import Failed

ZMQ_SIZES = (100, 1000, 100000, 1000000)
TURN_SIZES = (11000, 110000)  # the frames of 100 and of 1,000 items of 100 bytes
DISK = ((4096, "append"), (4096, "recycle"), (1 << 20, "append"), (1 << 20, "recycle"))


def once(session, number):
    """Once each, in the same round as what is compared with it."""
    seconds = min(session.seconds, 1)
    runs = [("ZeroMQ one way", {"size": size}, ["nq_bench_zmq", size, seconds]) for size in ZMQ_SIZES]
    runs += [("write+fdatasync", {"size": size, "file": manner}, ["nq_bench_disk", session.directory, size, seconds, manner]) for size, manner in DISK]
    for size in TURN_SIZES:
        runs.append(("ZeroMQ turns", {"size": size}, ["nq_bench_turns", size, seconds]))
        runs.append(("ZeroMQ turns, flushed", {"size": size}, ["nq_bench_turns", size, seconds, session.directory]))
    for name, params, (program, *arguments) in runs:
        try:
            result = run_json([os.path.join(session.bin_dir, program)] + arguments, 60)
        except (Failed, OSError) as failure:
            result = str(failure)
        session.add("limits", name, params, result, number)


def limits(session):
    for number in range(session.repeat):
        session.say("limits, round %d" % (number + 1))
        once(session, number)
