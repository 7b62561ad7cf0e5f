"""libnetqueue as ctypes sees it: structures, functions, where the shared library is. Nothing else of the package knows about C."""
import ctypes
import ctypes.util
import itertools
import os
from array import array
from ctypes import POINTER, Structure, byref, c_bool, c_char, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Dict, List, Optional, Sequence, Tuple

Prototype = Tuple[Any, List[Any]]  # what is returned, the arguments

WAIT_FOREVER = 2 ** 64 - 1
ITEMS_PER_REQUEST_MAX = 10000


class ClientOptions(Structure):
    _fields_ = [("servers", POINTER(c_char_p)), ("servers_count", c_size_t), ("timeout_ms", c_uint64), ("name", c_char_p), ("workers", c_uint32),
                ("keys", c_char_p)]


class HeaderField(Structure):
    _fields_ = [("name", c_char_p), ("value", c_void_p), ("value_len", c_size_t)]


class Body(Structure):
    _fields_ = [("data", c_char_p), ("len", c_size_t), ("headers", POINTER(HeaderField)), ("headers_count", c_size_t)]


class PutOptions(Structure):
    _fields_ = [("wait_ms", c_uint64), ("delay_ms", c_uint64), ("atomic", c_bool), ("lane", c_uint32)]


class GetOptions(Structure):
    _fields_ = [("wait_ms", c_uint64), ("lease_ms", c_uint64), ("hold_max_ms", c_uint64), ("at_most_once", c_bool)]


class RequeueOptions(Structure):
    _fields_ = [("delay_ms", c_uint64), ("failed", c_bool), ("dead", c_bool), ("reason", c_char_p)]


class QueueOptions(Structure):
    _fields_ = [("given", c_uint32), ("maxsize", c_uint64), ("max_bytes", c_uint64), ("lease_ms", c_uint64), ("hold_max_ms", c_uint64),
                ("max_deliveries", c_uint32), ("dead_letter", c_char_p), ("ttl_ms", c_uint64), ("temporary", c_bool)]


OPTION_BITS = {"maxsize": 1, "max_bytes": 2, "lease_ms": 4, "hold_max_ms": 8, "max_deliveries": 16, "dead_letter": 32, "ttl_ms": 64, "temporary": 128}
COUNTERS = ("ready", "delayed", "leased", "unfinished", "ready_bytes", "next_seq", "puts", "gets", "dones", "redelivered", "requeued", "failed",
            "expired", "purged", "dead_lettered", "dropped", "quarantined")


class QueueStats(Structure):
    _fields_ = [("name", c_char * 129), ("queue_id", c_uint64), ("options", QueueOptions), ("dead_letter", c_char * 129),
                *((name, c_uint64) for name in COUNTERS), ("state", c_int),
                ("waiting_gets", c_uint32), ("waiting_puts", c_uint32), ("waiting_joins", c_uint32), ("consumers", c_uint32)]


class Completion(Structure):
    _fields_ = [("request", c_uint64), ("user", c_void_p), ("status", c_int), ("accepted", c_size_t), ("last_seq", c_uint64),
                ("items", POINTER(c_void_p)), ("items_count", c_size_t), ("count", c_uint64), ("stats", POINTER(QueueStats))]


bytes_at: Any = ctypes.pythonapi.PyBytes_FromStringAndSize  # (address, length); as ctypes.string_at, with less in between
bytes_at.restype, bytes_at.argtypes = ctypes.py_object, [c_void_p, ctypes.c_ssize_t]


def table_of(bodies: Sequence[bytes]) -> Tuple["array[int]", bytes]:
    """An array of Body without headers, and what it points into. Made of columns: a thousand structures of ctypes take ten times as long."""
    joined = b"".join(bodies)
    lens = array("L", map(len, bodies))
    first = ctypes.cast(c_char_p(joined), c_void_p).value or 0
    table = array("L", bytes(ctypes.sizeof(Body) * len(lens)))
    table[0::4] = array("L", list(itertools.accumulate(lens, initial=first))[:-1])
    table[1::4] = lens
    return table, joined


# The functions that return at once are called with the interpreter's lock held: letting go of it for a microsecond would hand it to
# another thread for up to five milliseconds. Those that may wait are in BLOCKING.
AT_ONCE: Dict[str, Prototype] = {
    "nq_version": (c_char_p, []),
    "nq_status_text": (c_char_p, [c_int]),
    "nq_status_name": (c_char_p, [c_int]),
    "nq_error_text": (c_char_p, [c_void_p]),
    "nq_error_status": (c_int, [c_void_p]),
    "nq_items_bodies": (None, [POINTER(c_void_p), c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
    "nq_item_seq": (c_uint64, [c_void_p]),
    "nq_item_deliveries": (c_uint32, [c_void_p]),
    "nq_item_failures": (c_uint32, [c_void_p]),
    "nq_item_redelivered": (c_bool, [c_void_p]),
    "nq_item_fence": (c_uint64, [c_void_p]),
    "nq_item_headers_count": (c_size_t, [c_void_p]),
    "nq_item_header": (HeaderField, [c_void_p, c_size_t]),
    "nq_item_destroy": (None, [POINTER(c_void_p)]),
    "nq_free": (None, [c_void_p]),
    "nq_start_put": (c_uint64, [c_void_p, c_char_p, c_void_p, c_size_t, POINTER(PutOptions), c_void_p]),
    "nq_start_get": (c_uint64, [c_void_p, c_char_p, c_size_t, POINTER(GetOptions), c_void_p]),
    "nq_start_task_done": (c_uint64, [c_void_p, POINTER(c_void_p), c_void_p]),
    "nq_start_task_done_many": (c_uint64, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "nq_start_requeue": (c_uint64, [c_void_p, POINTER(c_void_p), POINTER(RequeueOptions), c_void_p]),
    "nq_start_extend": (c_uint64, [c_void_p, c_void_p, c_uint64, c_void_p]),
    "nq_start_join": (c_uint64, [c_void_p, c_char_p, c_uint64, c_void_p]),
    "nq_start_declare": (c_uint64, [c_void_p, c_char_p, POINTER(QueueOptions), c_uint64, c_void_p]),
    "nq_start_update": (c_uint64, [c_void_p, c_char_p, POINTER(QueueOptions), c_void_p]),
    "nq_start_stat": (c_uint64, [c_void_p, c_char_p, c_void_p]),
    "nq_start_purge": (c_uint64, [c_void_p, c_char_p, c_void_p]),
    "nq_start_delete": (c_uint64, [c_void_p, c_char_p, c_void_p]),
    "nq_start_shutdown": (c_uint64, [c_void_p, c_char_p, c_bool, c_void_p]),
    "nq_interrupt": (None, [c_void_p]),
    "nq_cancel": (c_int, [c_void_p, c_uint64]),
    "nq_client_fd": (c_int, [c_void_p]),
    "nq_client_timeout_ms": (c_uint64, [c_void_p]),
    "nq_client_process": (c_int, [c_void_p]),
    "nq_next_completion": (c_int, [c_void_p, POINTER(Completion)]),
}
BLOCKING: Dict[str, Prototype] = {
    "nq_client_create": (c_int, [POINTER(ClientOptions), POINTER(c_void_p), POINTER(c_char_p)]),
    "nq_client_destroy": (None, [POINTER(c_void_p)]),
    "nq_wait_completion": (c_int, [c_void_p, c_uint64, POINTER(Completion)]),
}


class Library:
    """The functions, each an attribute."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._add(ctypes.PyDLL(path), AT_ONCE)
        self._add(ctypes.CDLL(path), BLOCKING)

    def _add(self, library: ctypes.CDLL, functions: Dict[str, Prototype]) -> None:
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:  # for who looks for a function that is not there, and for mypy
        raise AttributeError("libnetqueue has no function %s here" % name)


def _candidates() -> List[str]:
    named = os.environ.get("NETQUEUE_LIBRARY")
    if named:
        return [named]
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libnetqueue.so.0")
    found = ctypes.util.find_library("netqueue")
    return [path for path in (beside if os.path.exists(beside) else None, found, "libnetqueue.so.0") if path]


def _load() -> Library:
    reason: Optional[Exception] = None
    for path in _candidates():
        try:
            return Library(path)
        except (OSError, AttributeError) as error:
            reason = error
    raise ImportError("netqueue: libnetqueue cannot be loaded: %s (install it, or name it in NETQUEUE_LIBRARY)" % reason)


lib = _load()


def fill_options(options: Dict[str, Any]) -> QueueOptions:
    """QueueOptions of a dict; what is None is not given."""
    filled = QueueOptions()
    for name, value in options.items():
        if value is not None:
            setattr(filled, name, value)
            filled.given |= OPTION_BITS[name]
    return filled


def make_client(servers: Sequence[bytes], timeout_ms: int, name: bytes) -> Tuple[Any, Optional[Tuple[int, str]]]:
    """(pointer to the client, None) or (None, (status, why))."""
    options, client, why = ClientOptions(timeout_ms=timeout_ms, name=name), c_void_p(), c_char_p()
    if servers:
        options.servers, options.servers_count = (c_char_p * len(servers))(*servers), len(servers)
    status = lib.nq_client_create(byref(options), byref(client), byref(why))
    return (client, None) if status == 0 else (None, (status, (why.value or b"").decode()))
