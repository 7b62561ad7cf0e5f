"""One run of a load program, and the rounds in which all contestants take turns."""
import json
import os
import shutil
import subprocess
import sys
import time

from . import contest
from .processes import Failed


def run_json(args, timeout):
    """What a program prints as JSON. Failed: one line of why not."""
    try:
        done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise Failed("%s did not end within %d s" % (os.path.basename(str(args[0])), timeout)) from None
    lines = done.stderr.decode("utf-8", "replace").strip().split("\n")
    if done.returncode != 0:
        raise Failed(lines[-1] or "%s ended with exit code %d" % (os.path.basename(str(args[0])), done.returncode))
    return json.loads(done.stdout)


def written_per_item(written, result, warmup):
    """The warm-up writes as well; its items are not counted, but come at the same rate."""
    items = result["items"] * (1 + warmup / result["seconds"]) if result["seconds"] else 0
    return written / items if items else None


class Session:
    """Everything one invocation measures with: contestants, a directory for data, and the records made so far."""

    def __init__(self, bin_dir, directory, contestants, seconds, repeat, warmup=0.3):
        self.bin_dir, self.directory, self.contestants = bin_dir, directory, contestants
        self.seconds, self.repeat, self.warmup = seconds, repeat, warmup
        self.records = []
        self.described = {}  # contestant -> configuration, version, durability, manner
        self.started = time.monotonic()

    def say(self, text):
        print("%5.0f s  %s" % (time.monotonic() - self.started, text), file=sys.stderr, flush=True)

    def add(self, section, name, params, result, repeat=0):
        record = {"section": section, "name": name, "params": params, "repeat": repeat}
        record.update({"error": result} if isinstance(result, str) else {"result": result})
        self.records.append(record)

    def chosen(self, families=None, durable=None):
        """Those of the families; by default all but netqueue with CURVE, which has a section of its own."""
        return [c for c in self.contestants if (c.family in families if families else c.family != "curve") and (durable is None or c.durable == durable)]

    def start(self, server, flavour=""):
        server.start(os.path.join(self.directory, server.key + flavour))
        for contestant in self.contestants:
            if contestant.server is server and contestant.name not in self.described:
                self.described[contestant.name] = {"configuration": server.configuration(), "version": server.version(), "family": contestant.family,
                                                   "durability": contestant.durability, "manner": contestant.manner, "durable": contestant.durable,
                                                   "flushes": contestant.flushes, "by_item": contestant.by_item,
                                                   "best_manner": contestant.best_manner}

    def stop(self, server):
        server.stop()
        if server.directory is not None:
            shutil.rmtree(server.directory, ignore_errors=True)

    def load(self, section, contestant, params, repeat=0, mode="cycle", timeout=None, **options):
        """Run the load program of a contestant, keep the record; its result, or None when it failed."""
        options = dict(params, **options)
        if "count" not in options:
            options.setdefault("duration", self.seconds)
            options.setdefault("warmup", self.warmup)
        written = contestant.server.disk_written()
        try:
            result = run_json(contestant.command(mode, **options), timeout or self.seconds * 3 + 60)
            result["written_bytes_per_item"] = written_per_item(contestant.server.disk_written() - written, result, options.get("warmup", 0))
        except Failed as failure:
            self.say("%s: %s" % (contestant.name, failure))
            result = str(failure)
        self.add(section, contestant.name, params, result, repeat)
        return None if isinstance(result, str) else result

    def rounds(self, section, contestants, cases, repeat=None, between=None):
        """Each case for each contestant, `repeat` times, taking turns; only the server at work is running meanwhile."""
        servers = contest.servers_of(contestants)
        try:
            for server in servers:
                self.start(server)
                server.pause()
            for number in range(repeat or self.repeat):
                for params, options in cases:
                    self.say("%s, round %d: %s" % (section, number + 1, ", ".join("%s %s" % item for item in params.items())))
                    for contestant in contestants:
                        contestant.server.resume()
                        self.load(section, contestant, params, number, **options)
                        contestant.server.pause()
                    if between is not None:
                        between(number)
        finally:
            for server in servers:
                self.stop(server)
