"""The load of a soak: putters and getters in C (tests/soak/) at hundreds of thousands of items a second, and what they account for in one file."""
import signal

from .runner import check

ITEMS_MAX = 1500 * 1000 * 1000  # 4 bytes for each that is put; the file has no more than was used
LEAD_MAX = 200 * 1000           # how far putters may be ahead of getters while they put as fast as they can
GETTERS_AT = 8                  # the workers from here on are getters
FOR_EVER = 2 ** 64 - 1


class Load:
    """Some putters and getters on one queue; each may be killed or stopped, and is replaced."""

    def __init__(self, lab, broker, queue, putters=2, getters=2, items_max=ITEMS_MAX):
        self.lab, self.broker, self.queue = lab, broker, queue
        self.account = lab.path("account-%s-%d" % (queue, broker.number))
        self.rate = self.lead_max = 0
        self.putters, self.getters = [], []
        self.ask("create", items_max)
        self.putters_count = putters
        for worker in range(getters):
            self.getters.append(self.getter(worker))

    def ask(self, role, *args):
        return self.lab.run("nq_soak_load", role, self.account, *args, timeout=300).expect(0)

    def putter(self, worker, count=FOR_EVER):
        return self.lab.spawn("nq_soak_load", "putter", self.account, self.broker.endpoint, self.queue, worker, self.rate, self.lead_max, count)

    def getter(self, worker):
        return self.lab.spawn("nq_soak_load", "getter", self.account, self.broker.endpoint, self.queue, GETTERS_AT + worker)

    def put(self, rate):
        """From now on at so many items a second, by all putters together; 0: as many as the getters get."""
        self.rate, self.lead_max = rate // self.putters_count, 0 if rate else LEAD_MAX
        self.putters = [self.putter(worker) for worker in range(self.putters_count)]

    def stop_putting(self):
        """Returns when all that was put is answered."""
        for putter in self.putters:
            putter.signal(signal.SIGTERM)
        for putter in self.putters:
            putter.wait(90).expect(0)
        self.putters = []

    def drain(self):
        self.stop_putting()
        return self.broker.await_stat(self.queue, 120, unfinished=0)

    def turn(self):
        for program in self.putters + self.getters:
            check(program.running(), "the load: %s ended with %s: %s", program.args[1], program.process.returncode, program.err[-500:])

    def kill(self, kind):
        programs, start = (self.putters, self.putter) if kind == "putter" else (self.getters, self.getter)
        worker = self.lab.random.randrange(len(programs))
        self.turn()
        programs[worker].kill()
        programs[worker] = start(worker)

    def sample(self):
        """Counts, and since the last time [p50, p99, p99.9, max] in ms of "put" (to its answer) and "put_to_get"."""
        return self.ask("sample").json()

    def settle(self):
        """No more puts, the queue is drained, all end; what was accepted is done, and what the broker has taken was put here. Returns the judgement."""
        self.turn()
        stat = self.drain()
        self.turn()
        for getter in self.getters:
            getter.signal(signal.SIGTERM)
        for getter in self.getters:
            getter.wait(60).expect(0)
        found = self.ask("judge").json()
        check(found["lost"] == 0, "%d of %d accepted items were never done, the first of them run %d, number %d",
              found["lost"], found["accepted"], *found["first_lost"])
        check(found["stray"] == 0, "%d items came that were never put", found["stray"])
        check(stat.puts == stat.dones == found["accepted"] + found["unanswered_came"],
              "the broker counts %d puts and %d dones; %d were accepted, and %d came whose put was not answered",
              stat.puts, stat.dones, found["accepted"], found["unanswered_came"])
        return found
