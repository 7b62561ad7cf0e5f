"""A network between the programs and the broker that delays, loses, and breaks without a word: two network namespaces and a veth pair of
their own. The connections are half open then: neither side hears that the other is away. Needs root; skipped by name elsewhere."""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from nqlab import Skip, check, check_equal, main, scenario, until
from nqlab.crew import Hand
from nqlab.history import History, settle

BROKER_HOST, CLIENT_HOST = "10.213.77.1", "10.213.77.2"


class Network:
    """The broker's namespace is that of a process we hold, and so is the clients'; they are gone when these end."""

    def __init__(self, lab):
        if os.geteuid() != 0:
            raise Skip("not root: no network namespace")
        self.holders = []
        try:
            self.inside, self.outside = self._hold(), self._hold()
            if not self._wire():
                raise Skip("no veth pair here")
        except (OSError, Skip) as why:
            self.end()
            raise Skip("no network namespaces here: %s" % why) from None
        self.broker = lab.broker("--insecure", "--session-timeout", "2s", "--session-grace", "1s", start=False, prefix=self.prefix(self.inside))
        self.broker.endpoint = "tcp://%s:5510" % BROKER_HOST

    def _hold(self):
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        if holder.stdout.readline() != b"ready\n":
            raise Skip("unshare -n is refused")
        return holder.pid

    @staticmethod
    def prefix(pid):
        return ["nsenter", "-n", "-t", str(pid), "--"]

    def run(self, pid, *words):
        return subprocess.run(self.prefix(pid) + list(words), check=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0

    def _wire(self):
        return (self.run(self.inside, "ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(self.outside))
                and self.run(self.inside, "ip", "address", "add", BROKER_HOST + "/30", "dev", "here")
                and self.run(self.outside, "ip", "address", "add", CLIENT_HOST + "/30", "dev", "there")
                and all(self.run(pid, "ip", "link", "set", name, "up") for pid, name in
                        ((self.inside, "lo"), (self.inside, "here"), (self.outside, "lo"), (self.outside, "there"))))

    def disturb(self):
        """Both ways: delay, loss, packets twice and out of order; on a kernel without netem loss alone. Returns which it is."""
        ends = ((self.inside, "here"), (self.outside, "there"))
        netem = ("delay", "20ms", "5ms", "loss", "5%", "duplicate", "2%", "reorder", "10%")
        if all(self.run(pid, "tc", "qdisc", "replace", "dev", name, "root", "netem", *netem) for pid, name in ends):
            return "delay, loss, duplicates, reordering"
        loss = ("-m", "statistic", "--mode", "random", "--probability", "0.1", "-j", "DROP")
        if all(self.run(pid, "iptables", "-A", "INPUT", "-i", name, *loss) for pid, name in ends):
            return "loss alone: no netem in this kernel"
        raise Skip("neither tc netem nor iptables' statistic here")

    def cut(self, seconds):
        """The link is down: nothing passes, and nobody is told."""
        self.run(self.outside, "ip", "link", "set", "there", "down")
        time.sleep(seconds)
        self.run(self.outside, "ip", "link", "set", "there", "up")

    def end(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()


def crew(lab, network, history):
    """Two putters, two getters, all on the clients' side."""
    return [Hand(lab, history, kind, network.broker.endpoint, "q", rate, prefix=network.prefix(network.outside))
            for kind, rate in (("putter", 10), ("putter", 10), ("getter", 0), ("getter", 0))]


def ask(network, lab, name, *args, **more):
    """A program on the broker's side."""
    command = network.prefix(network.inside) + [lab.bin(name), "-s", network.broker.endpoint, *args]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * lab.slow, **more)


def drained(network, lab):
    return ask(network, lab, "netqueue", "join", "q", "--wait", "60s").returncode == 0


def await_done(history, count, lab):
    wanted = len(history.done) + count
    until(lambda: len(history.done) >= wanted or history.wrong, 60 * lab.slow, "items are put and done")
    history.check_promises()


def finish(history, network, hands, lab):
    """As history.settle; the queue is asked about from where the broker is."""
    settle(history, network.broker, hands, lab, drained=lambda: drained(network, lab))


def with_network(work):
    def whole(lab):
        network = Network(lab)
        try:
            network.broker.start()
            work(lab, network)
        finally:
            for program in lab.programs:
                program.kill()
            network.end()
    whole.__name__, whole.__doc__ = work.__name__, work.__doc__
    return whole


@scenario(timeout=240, long_timeout=900)
@with_network
def bad_link(lab, network):
    """one packet in ten or twenty lost, with netem also delay, duplicates and reordering: all done, nothing twice but with the flag"""
    lab.note(network.disturb())
    history = History()
    hands = crew(lab, network, history)
    await_done(history, 3000 if lab.long else 100, lab)
    finish(history, network, hands, lab)
    lab.note("%d accepted, %d delivered more than once, %d reconnects" % (len(history.accepted), history.again(), history.reconnects))


@scenario(timeout=240, long_timeout=1800)
@with_network
def link_down(lab, network):
    """the link is down for a moment, or for longer than sessions live; connections hang half open meanwhile"""
    history = History()
    hands = crew(lab, network, history)
    await_done(history, 50, lab)
    for number in range(30 if lab.long else 3):
        network.cut(lab.random.uniform(0.1, 1.0) if number % 3 else 4)  # session_timeout 2 s, grace 1 s
        await_done(history, 20, lab)
    finish(history, network, hands, lab)
    lab.note("%d accepted, %d delivered more than once, %d leases lost, %d reconnects" % (
        len(history.accepted), history.again(), history.lost_leases, history.reconnects))


@scenario(timeout=240, long_timeout=900)
@with_network
def clients_that_vanish(lab, network):
    """the link goes with clients behind it and without FIN or RST: what they held goes to others"""
    broker = network.broker
    ask(network, lab, "netqueue-producer", "q", *[str(n) for n in range(20)])
    held = lab.path("held")
    command = network.prefix(network.outside) + [lab.bin("netqueue-consumer"), "-s", broker.endpoint, "-j", "5", "q", "--", "sh", "-c",
                                                 'cat >> "%s"; echo >> "%s"; exec sleep 600' % (held, held)]
    gone = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: os.path.exists(held) and open(held, "rb").read().count(b"\n") >= 5, 30 * lab.slow, "five commands run")
        network.run(network.outside, "ip", "link", "set", "there", "down")
        got = ask(network, lab, "netqueue-consumer", "q", "-n", "20", "--max-idle", "30s")
        check_equal(sorted(map(int, got.stdout.split())), list(range(20)), "what another consumer got")
        check(drained(network, lab), "the queue is not finished")
    finally:
        gone.kill()
        gone.wait()


@scenario(timeout=240, long_timeout=900)
@with_network
def broker_killed_behind_a_cut(lab, network):
    """the broker is killed and started while the link is down: the clients find out by themselves and go on"""
    history = History()
    hands = crew(lab, network, history)
    await_done(history, 50, lab)
    for _ in range(10 if lab.long else 2):
        network.run(network.outside, "ip", "link", "set", "there", "down")
        network.broker.kill()
        network.broker.start()
        time.sleep(lab.random.uniform(0, 1))
        network.run(network.outside, "ip", "link", "set", "there", "up")
        await_done(history, 20, lab)
    finish(history, network, hands, lab)


if __name__ == "__main__":
    sys.exit(main())
