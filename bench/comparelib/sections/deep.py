"""Bursts that are put first and drained later, and work on top of a deep backlog."""
from ..processes import anonymous_bytes

BACKLOGS = (100000, 1000000, 10000000)
BURST = 50000  # what the slowest peer puts in about twenty seconds
BATCH = {"size": 100, "window": 1000, "producers": 1, "consumers": 1}
QUEUE = "bench.backlog"


def backlog(session):
    for contestant in session.chosen(["netqueue"]):
        server = contestant.server
        session.start(server)
        try:
            measure_backlog(session, contestant, server)
        finally:
            session.stop(server)


def measure_backlog(session, contestant, server):
    def memory(when):
        session.add("backlog memory", contestant.name, {"when": when}, {"bytes": anonymous_bytes(server.pid())})

    def turns(backlog_items):
        for number in range(session.repeat):
            session.load("backlog cycles", contestant, dict(BATCH, backlog=backlog_items), number, force=True, queue=QUEUE)

    memory("empty")
    turns(0)
    there = 0
    for items in BACKLOGS:
        session.say("backlog: %s puts %d items" % (contestant.name, items - there))
        what = "put" if items == BACKLOGS[-1] else "put to %d" % items
        session.load("backlog", contestant, dict(BATCH, what=what), mode="put", count=items - there, keep=True, force=True, queue=QUEUE, timeout=300)
        there = items
        if items == BACKLOGS[-1]:
            memory("full")
        turns(items)
    if contestant.durable:
        seconds = server.restart()
        session.say("backlog: started with it in %.2f s" % seconds)
        session.add("backlog", contestant.name, {"what": "start"}, {"seconds": seconds})
        memory("started")
    session.say("backlog: %s drains" % contestant.name)
    session.load("backlog", contestant, dict(BATCH, what="drain"), mode="get", count=BACKLOGS[-1], force=True, queue=QUEUE, timeout=300)
    memory("drained")


def burst(session):
    for contestant in session.chosen():
        server = contestant.server
        session.say("burst: %s, %d items" % (contestant.name, BURST))
        session.start(server)
        try:
            before = anonymous_bytes(server.pid())
            put = session.load("burst", contestant, dict(BATCH, what="put"), mode="put", count=BURST, keep=True, timeout=300, queue=QUEUE)
            if put is not None:
                session.add("burst memory", contestant.name, {}, {"bytes_per_item": (anonymous_bytes(server.pid()) - before) / BURST})
                session.load("burst", contestant, dict(BATCH, what="drain"), mode="get", count=BURST, force=True, timeout=300, queue=QUEUE)
        finally:
            session.stop(server)
