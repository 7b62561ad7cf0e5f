"""The closing minima and goals: each a figure made of the records, and what it must reach. Kind "beside" only informs.

Ratios are taken within each round and the median of them counts. "Redis" is the better of its list and its stream in that case, by median, both finishing
item by item as netqueue does; the list whose batches are finished as a whole is shown beside it. Durable peers are those that flush before they answer.
"""
import collections

from .contest import OURS
from .figures import Spread, ratio

Goal = collections.namedtuple("Goal", "kind text figure relation bound unit")
Judged = collections.namedtuple("Judged", "kind text spread relation bound unit against passed")  # spread None: not measured

PLAIN = {"size": 100, "producers": 1, "consumers": 1}
CROWD = {"size": 100, "window": 1, "producers": 50, "consumers": 50}


def peers(run, durable, families=None, **wanted):
    """Names of contestants; `wanted` are further properties, by default those of the minima."""
    wanted = dict({"by_item": True, "flushes": durable, "best_manner": True}, **wanted)
    return [name for name, about in run["contestants"].items()
            if about["durable"] == durable and about["family"] not in OURS and (families is None or about["family"] in families)
            and all(value is None or about.get(key, True) == value for key, value in wanted.items())]


def own(durable):
    return "netqueue durable" if durable else "netqueue memory"


def against_best(section, durable, families=None, wanted=None, **params):
    def figure(run, figures):
        best = figures.best(section, peers(run, durable, families, **wanted or {}), **params)
        if best is None:
            return None, ""
        return ratio(figures.by_repeat(section, own(durable), **params), figures.by_repeat(section, best, **params)), best
    return figure


def against_limit(durable, limit, **limit_params):
    """Bytes a second of 1 MB items, as a share of what the machine can do."""
    def figure(_, figures):
        return ratio(figures.by_repeat("sizes", own(durable), "bytes_per_s", size=1000000, window=100),
                     figures.by_repeat("limits", limit, "bytes_per_s", **limit_params)), limit
    return figure


def against_self(durable, section, params, base):
    def figure(_, figures):
        return ratio(figures.by_repeat(section, own(durable), **params), figures.by_repeat(section, own(durable), **base)), "itself"
    return figure


def plain(section, name, field, scale, **params):
    def figure(_, figures):
        values = figures.by_repeat(section, name, field, **params)
        return (Spread(value * scale for value in values.values()) if values else None), ""
    return figure


def queues(durable, count):
    return against_self(durable, "queues", {"queues": count}, {"queues": 1})


def backlog(durable):
    return against_self(durable, "backlog cycles", {"backlog": 10000000}, {"backlog": 0})


AT_LEAST, AT_MOST = "at least", "under"
BATCH, UNFLUSHED, AS_DESIGNED = {"by_item": False}, {"flushes": False}, {"best_manner": False}
MIB = 1 / (1 << 20)
GOALS = [
    Goal("minimum", "durable, window 1000, beside Redis AOF always", against_best("cycles", True, ["redis"], window=1000, **PLAIN), AT_LEAST, 10, "x"),
    Goal("minimum", "durable, window 100, beside Redis AOF always", against_best("cycles", True, ["redis"], window=100, **PLAIN), AT_LEAST, 5, "x"),
    Goal("minimum", "memory-only, window 1000, beside Redis", against_best("cycles", False, ["redis"], window=1000, **PLAIN), AT_LEAST, 5, "x"),
    Goal("beside", "durable, window 1000, Redis list with whole batches", against_best("cycles", True, ["redis"], BATCH, window=1000, **PLAIN), "", 0, "x"),
    Goal("beside", "durable, window 100, Redis list with whole batches", against_best("cycles", True, ["redis"], BATCH, window=100, **PLAIN), "", 0, "x"),
    Goal("beside", "memory-only, window 1000, Redis list with whole batches", against_best("cycles", False, ["redis"], BATCH, window=1000, **PLAIN), "", 0, "x"),
    Goal("beside", "durable, window 1000, Redis list step by step", against_best("cycles", True, ["redis"], AS_DESIGNED, window=1000, **PLAIN), "", 0, "x"),
    Goal("beside", "durable, window 100, Redis list step by step", against_best("cycles", True, ["redis"], AS_DESIGNED, window=100, **PLAIN), "", 0, "x"),
    Goal("beside", "memory-only, window 1000, Redis list step by step", against_best("cycles", False, ["redis"], AS_DESIGNED, window=1000, **PLAIN), "", 0, "x"),
    Goal("goal", "durable, window 1000, beside Redis AOF always", against_best("cycles", True, ["redis"], window=1000, **PLAIN), AT_LEAST, 15, "x"),
    Goal("goal", "durable, window 100, beside Redis AOF always", against_best("cycles", True, ["redis"], window=100, **PLAIN), AT_LEAST, 8, "x"),
    Goal("goal", "memory-only, window 1000, beside Redis", against_best("cycles", False, ["redis"], window=1000, **PLAIN), AT_LEAST, 8, "x"),
    Goal("goal", "lock-step durable, beside the best peer", against_best("cycles", True, window=1, **PLAIN), AT_LEAST, 1, "x"),
    Goal("beside", "lock-step durable, peers that write but do not flush", against_best("cycles", True, None, UNFLUSHED, window=1, **PLAIN), "", 0, "x"),
    Goal("goal", "lock-step memory-only, beside the best peer", against_best("cycles", False, window=1, **PLAIN), AT_LEAST, 1, "x"),
    Goal("goal", "50+50 lock-step durable, beside the best peer", against_best("crowd", True, **CROWD), AT_LEAST, 2, "x"),
    Goal("goal", "1 MB items memory-only, of ZeroMQ's one-way bytes/s", against_limit(False, "ZeroMQ one way", size=1000000), AT_LEAST, 0.35, "share"),
    Goal("goal", "1 MB items durable, of write+fdatasync in 1 MB pieces", against_limit(True, "write+fdatasync", size=1 << 20, file="append"), AT_LEAST, 0.7, "share"),
    Goal("beside", "1 MB items durable, of write+fdatasync over an existing file", against_limit(True, "write+fdatasync", size=1 << 20, file="recycle"), "", 0, "share"),
    Goal("goal", "durable on a backlog of 10 M, of an empty queue's cycles", backlog(True), AT_LEAST, 0.8, "share"),
    Goal("goal", "memory-only on a backlog of 10 M, of an empty queue's cycles", backlog(False), AT_LEAST, 0.8, "share"),
    Goal("goal", "durable, own memory with a backlog of 10 M", plain("backlog memory", own(True), "bytes", MIB, when="full"), AT_MOST, 64, "MiB"),
    Goal("goal", "durable, start with a backlog of 10 M", plain("backlog", own(True), "seconds", 1, what="start"), AT_MOST, 1, "s"),
    Goal("goal", "memory-only, 10,000 queues, of one queue's cycles", queues(False, 10000), AT_LEAST, 0.8, "share"),
    Goal("goal", "durable, 10,000 queues, of one queue's cycles", queues(True, 10000), AT_LEAST, 1 / 3, "share"),
    Goal("goal", "durable, 1,000 queues, of one queue's cycles", queues(True, 1000), AT_LEAST, 1 / 1.5, "share"),
    Goal("goal", "memory-only, put to a waiting get at 10 k/s, median", plain("latency", own(False), "latency_us.put_to_get.p50", 1, rate=10000), AT_MOST, 100, "us"),
    Goal("goal", "no CPU when idle (memory-only, nothing connected)", plain("idle", own(False), "cpu_share", 100, what="nothing connected"), AT_MOST, 0.1, "%"),
]


def judge(run, figures):
    """Every goal with its figure; what was not measured in this run has none."""
    judged = []
    for goal in GOALS:
        spread, against = goal.figure(run, figures)
        passed = None if spread is None or goal.kind == "beside" else spread.median >= goal.bound if goal.relation == AT_LEAST else spread.median < goal.bound
        judged.append(Judged(goal.kind, goal.text, spread, goal.relation, goal.bound, goal.unit, against, passed))
    return judged
