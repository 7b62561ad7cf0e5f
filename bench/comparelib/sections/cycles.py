"""Full put -> get -> task_done cycles, producers and consumers running together."""
from . import machine

WINDOWS = (1, 100, 1000)
SIZES = (1000, 100000, 1000000)
QUEUES = (1, 1000, 10000)


def cycles(session, families=None):
    cases = [({"size": 100, "window": window, "producers": 1, "consumers": 1}, {}) for window in WINDOWS]
    session.rounds("cycles", session.chosen(families), cases, between=lambda number: machine.once(session, number))


def curve(session):
    """With and without CURVE, in the same rounds."""
    if session.chosen(["curve"]):
        cases = [({"size": size, "window": window, "producers": 1, "consumers": 1}, {}) for size, window in ((100, 1), (100, 100), (100, 1000), (100000, 100))]
        session.rounds("curve", session.chosen(["netqueue", "curve"]), cases)


def crowd(session):
    session.rounds("crowd", session.chosen(), [({"size": 100, "window": 1, "producers": 50, "consumers": 50}, {})])


def sizes(session):
    cases = [({"size": size, "window": 100, "producers": 1, "consumers": 1}, {}) for size in SIZES]
    session.rounds("sizes", session.chosen(), cases, between=lambda number: machine.once(session, number))


def queues(session):
    """As many queues, one producer and one consumer over all of them."""
    cases = [({"size": 100, "window": 1000, "producers": 1, "consumers": 1, "queues": count}, {}) for count in QUEUES]
    session.rounds("queues", session.chosen(["netqueue"]), cases)
