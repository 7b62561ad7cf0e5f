"""A broker with keys, and clients that hold some of them: made with `netqueue keygen`, changed as an operator would."""
import os
import re
import signal

from .client import Client
from .lab import until


def read_key(path, which="public-key"):
    """A key out of a certificate, as text."""
    with open(path, encoding="ascii") as file:
        return re.search(which + r' = "(.{40})"', file.read()).group(1).encode()


def curve_of(directory):
    """What a Client takes as `curve`, from the keys that a client's host has."""
    own = os.path.join(directory, "client_secret")
    return read_key(own), read_key(own, "secret-key"), read_key(os.path.join(directory, "broker"))


class KeyRing:
    """A keys directory of a broker. `client(name)` speaks the protocol with a client's keys."""

    def __init__(self, lab, name="keys"):
        self.lab, self.dir, self.broker = lab, lab.path(name), None
        lab.run("netqueue", "keygen", "-q", self.dir).expect(0)

    def add(self, name, *options):
        """Keys of one more client; where they are. The broker hears of it with reload()."""
        self.lab.run("netqueue", "keygen", "-q", self.dir, name, *options).expect(0)
        return self.of(name)

    def of(self, name):
        return os.path.join(self.dir, "clients", name)

    def authorised(self, name=""):
        return os.path.join(self.dir, "authorised", name)

    def serve(self, *flags, **more):
        self.broker = self.lab.broker("--keys", self.dir, *flags, **more)
        return self.broker

    def reload(self):
        """The broker reads the folder again."""
        said = self.broker.log_tail(10000).count("keys are authorised;")
        self.broker.program.signal(signal.SIGHUP)
        until(lambda: self.broker.log_tail(10000).count("keys are authorised;") > said, 20 * self.lab.slow, "the keys are read again")

    def revoke(self, name):
        os.unlink(self.authorised(name))
        self.reload()

    def curve(self, name):
        return curve_of(self.of(name))

    def client(self, name, endpoint=None, **more):
        client = Client(endpoint or self.broker.endpoint, timeout=20 * self.lab.slow, curve=self.curve(name), **more)
        self.lab.clients.append(client)
        return client

    def run(self, name, program, *args, **more):
        """A program with that client's keys."""
        return self.lab.run(program, "--keys", self.of(name), *args, server=self.broker.endpoint, **more)

    def spawn(self, name, program, *args, **more):
        return self.lab.spawn(program, "--keys", self.of(name), *args, server=self.broker.endpoint, **more)
