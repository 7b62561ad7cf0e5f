"""From a put to the get that waits for it, at fixed rates; an item counts from when it was due, so waiting for a slow one is not left out."""

RATES = {True: (1000, 10000), False: (1000, 10000, 50000)}  # durable, memory


def latency(session):
    for durable in (True, False):
        cases = [({"size": 100, "window": 100, "producers": 1, "consumers": 1, "rate": rate}, {}) for rate in RATES[durable]]
        session.rounds("latency", session.chosen(durable=durable), cases)
