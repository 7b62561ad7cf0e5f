"""The kernel's own link between the two hosts of network.py: a pair of veth devices with tc netem on both, to be asked and told what the link of
link.py is. Few kernels of virtual machines have netem; tests/vm/run starts one that does."""
import json
import subprocess

from .link import ROOM, Weather
from .network import Link
from .runner import Skip, check

ROOM_PACKETS = 1000  # netem's own default
WHOLE_PACKET = 1500  # bytes

# What netem does not count, and how the TCP of the host at the way's end calls it. Of what comes twice it counts only what carries bytes.
_TCP_COUNTS = {"overtaken": ("TCPOFOQueue",), "twice": ("TCPDSACKOldSent", "TCPDSACKOfoSent")}


def netem_words(weather):
    """Of one direction. netem's jitter goes both ways; a cut link is one that loses all."""
    half = weather.jitter / 2
    room = ROOM_PACKETS
    if weather.rate:  # in whole packets that would fit, and a few small ones
        room = 20 + int(weather.rate * (weather.delay + ROOM) / WHOLE_PACKET)
    return ["netem", "limit", str(room), "delay", "%dus" % ((weather.delay + half) * 1e6), "%dus" % (half * 1e6),
            "loss", "%g%%" % (100 if weather.cut else weather.loss * 100),
            "duplicate", "%g%%" % (0 if weather.cut else weather.twice * 100),  # a second one would get through
            "rate", "%dbps" % weather.rate]  # tc calls bytes a second so


class NetemLink(Link):

    def __init__(self, lab, inside, outside):
        self.lab = lab
        # The host and device that a way begins at, and the host at its end.
        self.ways = {"broker": (outside, "there", inside), "clients": (inside, "here", outside)}
        try:
            self._make(inside, outside)
        except AssertionError as why:
            raise Skip(str(why)) from None

    def _make(self, inside, outside):
        self._run(inside, "ip", "link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(outside))
        for host, device, _ in self.ways.values():
            # Packets of the size that they have on a wire: else many travel as one, and are late or lost as one.
            self._run(host, "ip", "link", "set", device, "gso_max_segs", "1")
            self._run(host, "tc", "qdisc", "add", "dev", device, "root", *netem_words(Weather()))

    @staticmethod
    def _run(host, *words):
        result = subprocess.run(["nsenter", "-n", "-t", str(host), "--", *words], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(result.returncode == 0, "%s: %s", " ".join(words), result.stderr.decode("utf-8", "replace").strip())
        return result.stdout

    def change(self, **weathers):
        """How the ways to `broker` and to `clients` are from now on; what is under way still arrives."""
        for name, weather in weathers.items():
            host, device, _ = self.ways[name]
            self._run(host, "tc", "qdisc", "change", "dev", device, "root", *netem_words(weather))

    def counts(self):
        return {name: self._counts(*way) for name, way in self.ways.items()}

    def _counts(self, host, device, end):
        """Which packets it was that netem dropped is for those to know who told it to."""
        netem = json.loads(self._run(host, "tc", "-s", "-j", "qdisc", "show", "dev", device))[0]
        counts = {"sent": netem["packets"], "lost": netem["drops"], "cut": netem["drops"]}
        tcp = self._tcp_counts(end)
        counts.update((what, sum(tcp[name] for name in names)) for what, names in _TCP_COUNTS.items())
        return counts

    @staticmethod
    def _tcp_counts(host):
        with open("/proc/%d/net/netstat" % host, encoding="ascii") as file:
            names, values = (line.split()[1:] for line in file if line.startswith("TcpExt:"))
        return dict(zip(names, map(int, values)))

    def end(self):
        """The devices go with the hosts."""
