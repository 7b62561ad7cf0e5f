"""The exceptions: those of the module queue where there is one, and one for each other way a request may end."""
import queue
from typing import Any, Dict, Type

from ._library import lib

Full = queue.Full
Empty = queue.Empty

if hasattr(queue, "ShutDown"):  # Python 3.13
    ShutDown = queue.ShutDown
else:
    class ShutDown(Exception):  # type: ignore[no-redef]
        """Raised when put/get with shut-down queue."""


class Error(Exception):
    """What went wrong beyond Full, Empty and ShutDown; `status` is the library's name for it."""

    status = ""


class Unreachable(Error, ConnectionError):
    """No broker answered in time."""


class OutcomeUnknown(Error, ConnectionError):
    """The connection was lost at a moment that leaves open whether the thing happened."""


class LeaseLost(Error):
    """The item is, or was meanwhile, somebody else's."""


class TooLarge(Error, ValueError):
    """The item can never be accepted."""


class NoSpace(Error, OSError):
    """The broker's disk is full."""


class NoSuchQueue(Error, LookupError):
    """There is none of this name any more."""


class DifferentOptions(Error, ValueError):
    """The queue exists with other options."""


class BadName(Error, ValueError):
    """Not a queue name."""


class NotAuthorised(Error, PermissionError):
    """This key may not do that."""


class LimitReached(Error):
    """A limit of the broker."""


class Closed(Error, ValueError):
    """netqueue.close() was called."""


class DecodeError(Error, ValueError):
    """An item's body is not what the queue's codec makes. The item is held, as after get(): `queue.task_done()` drops it,
    `queue.requeue(dead=True)` sets it aside; `body` are its bytes."""

    body = b""


OK, FULL, EMPTY, TIMED_OUT, NO_SUCH_QUEUE, LEASE_LOST, BAD_REQUEST, NOT_AUTHORISED, CLOSED = 0, 1, 2, 4, 5, 12, 16, 19, 24
ORDINARY = (OK, FULL, EMPTY, TIMED_OUT)  # there is no more to say

_CLASSES: Dict[int, Type[Exception]] = {1: Full, 2: Empty, 3: ShutDown, 5: NoSuchQueue, 6: TooLarge, 8: NoSpace, 11: OutcomeUnknown, 12: LeaseLost, 14: DifferentOptions,
            15: BadName, 17: LimitReached, 19: NotAuthorised, 21: Unreachable, 24: Closed}


def error_of(status: int, what: str = "", text: str = "") -> Exception:
    """The exception for a status that is not OK."""
    kind = _CLASSES.get(status, Error)
    if kind in (Full, Empty, ShutDown):
        return kind()
    error: Any = kind("%s%s" % (what and what + ": ", text or lib.nq_status_text(status).decode()))
    error.status = lib.nq_status_name(status).decode()
    return error  # type: ignore[no-any-return]
