"""The module queue for a program that runs on several hosts at once.

    import netqueue.shared as queue     # instead of: import queue

The first queue.Queue() of each copy of the program is one and the same queue, and so is the second, and so on: queues are named after the program
(the file's name, or NETQUEUE_PROGRAM) and counted as they are made. They last as long as any copy uses them.
"""
import itertools
import os
import re
import sys
from typing import Any

from . import _queue
from ._errors import Empty, Full, ShutDown

__all__ = ["Queue", "JoinableQueue", "Empty", "Full", "ShutDown"]

_numbers = itertools.count(1)


def _next_name() -> str:
    program = os.environ.get("NETQUEUE_PROGRAM") or os.path.splitext(os.path.basename(sys.argv[0] or "python"))[0]
    return "shared.%s.%d" % (re.sub(r"[^A-Za-z0-9_-]", "_", program)[:90], next(_numbers))


class Queue(_queue.Queue):
    def __init__(self, maxsize: int = 0, **options: Any) -> None:
        super().__init__(maxsize, _next_name(), temporary=True, **options)


class JoinableQueue(_queue.JoinableQueue):
    def __init__(self, maxsize: int = 0, **options: Any) -> None:
        super().__init__(maxsize, _next_name(), temporary=True, **options)
