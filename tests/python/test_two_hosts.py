"""The worker example of Python's documentation of `queue`, unchanged but for its import, on two hosts: two network namespaces and a cable.

worker_listing.py is the example as it is printed there.
"""
import os
import re
import subprocess
import sys
import unittest

import harness
from harness import wait_until

BROKER_HOST, OTHER_HOST = "nqpy%d-a" % os.getpid(), "nqpy%d-b" % os.getpid()
LISTING = os.path.join(harness.HERE, "worker_listing.py")
PORT = 5510


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def may_make_namespaces():
    try:
        ip("netns", "add", BROKER_HOST)
        return True
    except (OSError, subprocess.CalledProcessError):
        return False


def connect_hosts():
    """Two namespaces, each with one end of a virtual cable."""
    ip("netns", "add", OTHER_HOST)
    ends = ["nqv%da" % (os.getpid() % 100000), "nqv%db" % (os.getpid() % 100000)]
    ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
    for host, end, address in ((BROKER_HOST, ends[0], "10.99.0.1/24"), (OTHER_HOST, ends[1], "10.99.0.2/24")):
        ip("link", "set", end, "netns", host)
        ip("-n", host, "addr", "add", address, "dev", end)
        for device in ("lo", end):
            ip("-n", host, "link", "set", device, "up")


def remove_hosts():
    for host in (BROKER_HOST, OTHER_HOST):
        subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


class TwoHosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not may_make_namespaces():
            raise unittest.SkipTest("network namespaces need root")
        cls.addClassCleanup(remove_hosts)
        connect_hosts()
        cls.lab = harness.Lab(harness.build_dir)
        cls.addClassCleanup(cls.lab.remove)
        cls.addClassCleanup(cls.lab.close)
        cls.broker = cls.lab.broker(memory=True, start=False, prefix=["ip", "netns", "exec", BROKER_HOST])
        cls.broker.endpoint = "tcp://10.99.0.1:%d" % PORT
        cls.broker.start("--insecure")

    def start(self, host, source, name, **more):
        """A Python program on that host, with the built package."""
        path = self.lab.write(name + ".py", source.encode())
        environment = dict(os.environ, PYTHONPATH=os.path.join(harness.ROOT, "python"), NETQUEUE_SERVER="tcp://10.99.0.1:%d" % PORT, PYTHONUNBUFFERED="1")
        process = subprocess.Popen(["ip", "netns", "exec", host, sys.executable, "-B", path], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def listing(self, new_import):
        with open(LISTING, encoding="ascii") as file:
            source = file.read()
        changed = source.replace("import queue\n", new_import + "\n", 1)
        self.assertNotEqual(changed, source)
        return changed

    def admin(self, *arguments):
        command = ["ip", "netns", "exec", BROKER_HOST, self.lab.bin("netqueue"), "-s", "tcp://10.99.0.1:%d" % PORT, *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=80).stdout

    def test_the_broker_is_on_another_host(self):
        out, _ = self.start(OTHER_HOST, self.listing("import netqueue as queue"), "listing").communicate(timeout=80)
        expected = ["%s %d" % (word, n) for n in range(30) for word in ("Working on", "Finished")]
        self.assertEqual(out.splitlines(), expected + ["All work completed"])

    def test_workers_on_both_hosts(self):
        source = self.listing("import netqueue.shared as queue")
        worker = source[:source.index("# Send thirty")].replace(", daemon=True", "")  # only the worker, which goes on for ever
        other = self.start(OTHER_HOST, worker, "listing")
        wait_until(lambda: '"waiting_gets":1' in self.admin("stat", "shared.listing.1", "--format", "json").replace(" ", ""), "the other host's worker waits")
        out, _ = self.start(BROKER_HOST, source, "listing").communicate(timeout=80)
        self.assertEqual(out.splitlines()[-1], "All work completed")
        other.kill()
        elsewhere = other.stdout.read()
        done = [int(n) for n in re.findall(r"Finished (\d+)", out + elsewhere)]
        self.assertEqual(sorted(done), list(range(30)))
        self.assertIn("Finished 0\n", elsewhere)  # it had waited first


if __name__ == "__main__":
    sys.exit(harness.run())
