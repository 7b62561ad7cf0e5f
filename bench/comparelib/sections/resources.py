"""What a server takes while nothing happens: CPU when idle, memory of a session and of a queue."""
import os
import subprocess
import time

from .. import contest
from ..processes import Failed, anonymous_bytes, cpu_seconds

SESSIONS, QUEUES = 500, 10000
IDLE_SECONDS = 5


def idle(session, name, server, what):
    """CPU seconds a second, over some seconds of nothing."""
    time.sleep(1)
    before, began = cpu_seconds(server.pid()), time.monotonic()
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(server.pid()) - before) / (time.monotonic() - began)
    session.add("idle", name, {"what": what}, {"cpu_share": share, "bytes": anonymous_bytes(server.pid())})


class Held:
    """nq_bench_hold: so many idle sessions that wait in a get, or queues declared, until it is closed."""

    def __init__(self, session, server, what, count):
        self.process = subprocess.Popen([os.path.join(session.bin_dir, "nq_bench_hold"), server.endpoint, what, str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            self.process.wait()
            raise Failed("%d %s could not be had" % (count, what))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def memory_of(session, contestant, what, count):
    server = contestant.server
    before = anonymous_bytes(server.pid())
    try:
        with Held(session, server, what, count):
            session.add("memory", contestant.name, {"of": what, "count": count}, {"bytes_each": (anonymous_bytes(server.pid()) - before) / count})
            if what == "sessions":
                idle(session, contestant.name, server, "%d sessions waiting in a get" % count)
    except Failed as failure:
        session.add("memory", contestant.name, {"of": what, "count": count}, str(failure))


def resources(session):
    for server in contest.servers_of(session.chosen()):
        session.start(server)
        session.say("resources: %s" % server.key)
        try:
            name = server.label
            idle(session, name, server, "nothing connected")
            for contestant in session.chosen(["netqueue"]):
                if contestant.server is server:
                    memory_of(session, contestant, "sessions", SESSIONS)
                    memory_of(session, contestant, "queues", QUEUES)
        finally:
            session.stop(server)
