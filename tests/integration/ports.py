"""A port to listen on, for the tests and for bench/compare, which imports no more than this file from here."""
import random
import socket


def quiet_port():
    """A free port of 127.0.0.1, below the range that connections take theirs from, so that nobody sits on it while its server restarts."""
    chooser = random.SystemRandom()
    while True:
        port = chooser.randrange(16000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
