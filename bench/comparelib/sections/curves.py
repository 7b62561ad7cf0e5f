"""How cycles and latency grow with the window and with the number of lock-step clients."""

WINDOWS = (1, 3, 10, 30, 100, 300, 1000, 3000)
CLIENTS = (1, 2, 5, 10, 20, 50, 100)


def curves(session):
    chosen = [c for c in session.chosen(["netqueue", "redis"]) if c.variant != "batch"]
    session.rounds("window curve", chosen, [({"size": 100, "window": window, "producers": 1, "consumers": 1}, {}) for window in WINDOWS], repeat=1)
    session.rounds("client curve", chosen, [({"size": 100, "window": 1, "producers": count, "consumers": count}, {}) for count in CLIENTS], repeat=1)
    own = session.chosen(["netqueue"])
    session.rounds("queue curve", own, [({"size": 100, "window": 1000, "producers": 1, "consumers": 1, "queues": count}, {})
                                        for count in (1, 10, 100, 1000, 10000)], repeat=1)
    session.rounds("size curve", own, [({"size": size, "window": 100, "producers": 1, "consumers": 1}, {})
                                       for size in (10, 100, 1000, 10000, 100000, 1000000)], repeat=1)
