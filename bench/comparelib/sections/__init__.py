"""What is measured, in the order of a full run: name -> (function of a Session, one line for --list)."""
from . import curves, cycles, deep, latency, machine, python, resources

SECTIONS = {
    "cycles": (cycles.cycles, "full cycles of 100 bytes at windows 1, 100 and 1000, one producer and one consumer"),
    "crowd": (cycles.crowd, "50 producers and 50 consumers in lock-step"),
    "sizes": (cycles.sizes, "items of 1 kB, 100 kB and 1 MB, beside the limits of the machine"),
    "queues": (cycles.queues, "1, 1,000 and 10,000 queues (netqueue)"),
    "curve": (cycles.curve, "with and without CURVE (netqueue)"),
    "latency": (latency.latency, "put to a waiting get at fixed rates"),
    "backlog": (deep.backlog, "10 million items put, worked on top of, started with, drained (netqueue)"),
    "burst": (deep.burst, "a burst put, then drained; memory of a queued item"),
    "resources": (resources.resources, "idle CPU, memory of a session and of a queue"),
    "curves": (curves.curves, "cycles and latency against window and clients (netqueue and Redis)"),
    "python": (python.python, "Python's own queues, for scale"),
    "limits": (machine.limits, "what ZeroMQ and the disk can do here"),
}
