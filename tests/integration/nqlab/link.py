"""A bad network: two tun devices, one in each of two network namespaces, and a process that carries the packets from one to the other as it is
told: late, out of order, twice, not at all, so many bytes a second. It works on every kernel that has /dev/net/tun; netem, many have not.

As a program, it is that process:  link.py SEED NAME:PID:DEVICE NAME:PID:DEVICE
It takes orders from stdin and answers each with its counts, a JSON line each, and ends with its stdin.
"""
import collections
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

# Of one direction. Seconds; parts of one; bytes a second (0: no limit). `jitter`: up to so much is added to each packet's delay, so packets
# overtake each other. `cut`: nothing arrives, nor what is under way.
Weather = collections.namedtuple("Weather", "delay jitter loss twice rate cut", defaults=(0, 0, 0, 0, 0, False))

COUNTS = ("arrived", "overtaken", "twice", "lost", "crowded", "cut", "forgotten")
ROOM = 0.25  # what waits for a limited rate, in seconds of that rate; what comes when the room is full is dropped, as routers do

NO_DEVICE = 77  # exit code: not allowed here, or not supported
TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000


class Way:
    """One direction. Packets and the time come in, packets come out: no clock, no device."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.weather = Weather()
        self.under_way = []   # a heap of (when it arrives, its number, the packet)
        self.free_at = 0.0    # when all that waits for the limited rate has left
        self.last_number = self.newest_arrived = 0
        self.counts = dict.fromkeys(COUNTS, 0)

    def change(self, weather):
        self.weather, self.free_at = weather, 0.0
        if weather.cut:
            self.counts["cut"] += len(self.under_way)
            self.under_way = []

    def take(self, packet, now):
        if self.weather.cut:
            self.counts["cut"] += 1
        elif self.random.random() < self.weather.loss:
            self.counts["lost"] += 1
        else:
            self._send(packet, now)
            if self.random.random() < self.weather.twice:
                self.counts["twice"] += 1
                self._send(packet, now)

    def _send(self, packet, now):
        weather, leaves = self.weather, now
        if weather.rate:
            begins = max(now, self.free_at)
            if begins - now > ROOM:
                self.counts["crowded"] += 1
                return
            leaves = self.free_at = begins + len(packet) / weather.rate
        self.last_number += 1
        heapq.heappush(self.under_way, (leaves + weather.delay + self.random.uniform(0, weather.jitter), self.last_number, packet))

    def next_time(self):
        """When the next packet arrives; None: none is under way."""
        return self.under_way[0][0] if self.under_way else None

    def arrivals(self, now):
        while self.under_way and self.under_way[0][0] <= now:
            _, number, packet = heapq.heappop(self.under_way)
            self.counts["arrived"] += 1
            self.counts["overtaken"] += number < self.newest_arrived
            self.newest_arrived = max(number, self.newest_arrived)
            yield packet


def flow_of(packet):
    """The connection that an IPv4 packet of TCP is part of, the same for both directions."""
    ports = (packet[0] & 15) * 4
    return frozenset(((packet[12:16], packet[ports:ports + 2]), (packet[16:20], packet[ports + 2:ports + 4])))


class Flows:
    """What a firewall in the middle knows of: connections that it has forgotten do not pass, and nobody is told."""

    def __init__(self):
        self.known, self.forgotten = set(), set()

    def forget(self):
        self.forgotten |= self.known

    def passes(self, packet):
        flow = flow_of(packet)
        self.known.add(flow)
        return flow not in self.forgotten


# -------------------------------------------------------------------------------------------------------------- the process


def open_device(pid, name):
    """A new tun device in the network namespace of a process; it is gone when its descriptor is closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/%d/ns/net" % pid, "rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def packets_of(device):
    """What its host has sent. IPv6, which speaks unasked, is left out: counts are those of connections."""
    while True:
        try:
            packet = os.read(device, 65536)
        except OSError:  # nothing more, or the device is down
            return
        if packet[0] >> 4 == 4:
            yield packet


class Carrier:
    """Both directions. A way is called after the end that it leads to."""

    def __init__(self, seed, ends):
        (first, one), (second, other) = ends
        self.flows = Flows()
        self.ways = {second: Way(2 * seed), first: Way(2 * seed + 1)}
        self.devices = ((one, self.ways[second], other), (other, self.ways[first], one))

    def obey(self, order):
        for name, weather in order.get("weather", {}).items():
            self.ways[name].change(Weather(**weather))
        if order.get("forget"):
            self.flows.forget()
        return {name: way.counts for name, way in self.ways.items()}

    def turn(self, ready):
        """Take in, hand over; returns the seconds until the next packet arrives."""
        for source, way, _ in self.devices:
            for packet in packets_of(source) if source in ready else ():
                if self.flows.passes(packet):
                    way.take(packet, time.monotonic())
                else:
                    way.counts["forgotten"] += 1
        for _, way, target in self.devices:
            for packet in way.arrivals(time.monotonic()):
                try:
                    os.write(target, packet)
                except OSError:  # the device there is down, or has no room: so the packet is lost
                    pass
        times = [way.next_time() for way in self.ways.values() if way.next_time() is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None


def main(seed, *ends):
    try:
        ends = [(name, open_device(int(pid), device)) for name, pid, device in (end.split(":") for end in ends)]
    except OSError as why:
        print(why, file=sys.stderr)
        return NO_DEVICE
    carrier = Carrier(int(seed), ends)
    orders = sys.stdin.fileno()
    watched = [orders] + [device for _, device in ends]
    print(json.dumps(carrier.obey({})), flush=True)
    wait = None
    while True:
        ready, _, _ = select.select(watched, [], [], wait)
        if orders in ready:
            line = os.read(orders, 65536)  # whoever orders waits for the answer, so it is one line
            if not line:
                return 0
            print(json.dumps(carrier.obey(json.loads(line))), flush=True)
        wait = carrier.turn(ready)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
