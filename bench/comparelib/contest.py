"""Who takes part: a contestant is a server, a manner of using it, and what it promises of an item once it is accepted."""
from . import servers

OPTIONS = ("size", "window", "producers", "consumers", "rate", "duration", "warmup", "count")
OURS = ("netqueue", "curve")
OWN_OPTIONS = ("queues", "keep", "force")  # of netqueue bench alone


class Contestant:
    """durable: it writes what it accepts to the disk. flushes: and flushes it before it answers.
    by_item: items can be finished one by one, in any order. best_manner: no manner is known in which the server is faster."""

    def __init__(self, name, server, variant, durability, manner, durable, flushes=None, by_item=True, best_manner=True):
        self.name, self.server, self.variant = name, server, variant
        self.durability, self.manner, self.durable, self.by_item = durability, manner, durable, by_item
        self.best_manner = best_manner
        self.flushes = durable if flushes is None else flushes

    @property
    def family(self):
        return self.server.key.split("-")[0]

    def command(self, mode, **options):
        """The command line of one run of its load program. Options as `netqueue bench` has them; what is no option of it is left out."""
        server, own = self.server, self.family in OURS
        if own:
            words = [server.load_path(), "bench", mode, "--format", "json", "-q"] + server.client_flags()
        else:
            words = [server.load_path(), mode, "--port", str(server.port), "--variant", self.variant]
        for name in OPTIONS + (OWN_OPTIONS if own else ()):
            value = options.get(name)
            if value is None or value is False or name == {"put": "consumers", "get": "producers"}.get(mode):
                continue
            if name in ("duration", "warmup") and own:
                value = "%dms" % round(1000 * value)
            words += ["-n" if name == "count" else "--" + name] + ([] if value is True else [str(value)])
        return words + ([options["queue"]] if own and "queue" in options else [])


def netqueue_contestants(bin_dir):
    durable, memory = servers.Netqueue(bin_dir, True), servers.Netqueue(bin_dir, False)
    manner = "netqueue bench: nq_put and nq_next at window 1, else producer and consumer handles"
    return [Contestant("netqueue durable", durable, "", "flushed before it is answered (--sync always)", manner, True),
            Contestant("netqueue memory", memory, "", "none", manner, False)]


def curve_contestants(bin_dir):
    return [Contestant("%s, CURVE" % plain.name, servers.CurveNetqueue(bin_dir, plain.durable), "", plain.durability, plain.manner, plain.durable)
            for plain in netqueue_contestants(bin_dir)]


def redis_contestants(bin_dir):
    found = []
    for durable in (True, False):
        server = servers.Redis(bin_dir, durable)
        state = "AOF always" if durable else "memory"
        promise = "flushed before it is answered (appendfsync always, once for what an event loop turn brought)" if durable else "none"
        for variant, words, manner in (
                ("list", "list", "LPUSH of many items; BLMOVE and LMOVE to a list of the consumer's items in work; LREM of each; all pipelined"),
                ("stream", "stream", "pipelined XADD; XREADGROUP COUNT; XACK and XDEL of a whole batch"),
                ("batch", "list, whole batches", "as the list, but a batch is finished as a whole by one LTRIM"),
                ("steps", "list, step by step", "as the list, but LPUSH of one item, and LREM answered before more is asked for: as in the design's table")):
            found.append(Contestant("Redis %s, %s" % (words, state), server, variant, promise, manner, durable, by_item=variant != "batch",
                                    best_manner=variant != "steps"))
    return found


def beanstalkd_contestants(bin_dir):
    manner = "pipelined put; pipelined reserve; pipelined delete"
    return [Contestant("beanstalkd -b -f0", servers.Beanstalkd(bin_dir, True), "tube", "flushed with each write (-f0)", manner, True),
            Contestant("beanstalkd, memory", servers.Beanstalkd(bin_dir, False), "tube", "none", manner, False)]


def nats_contestants(bin_dir):
    server = servers.Nats(bin_dir)
    manner = "asynchronous publishing (synchronous at window 1); durable pull consumer, fetch; explicit ack, the last of a batch confirmed"
    return [Contestant("NATS JetStream, file", server, "file", "written, not flushed (sync_interval 2 min)", manner, True, flushes=False),
            Contestant("NATS JetStream, memory", server, "memory", "none", manner, False)]


def rabbitmq_contestants(bin_dir):
    server = servers.Rabbitmq(bin_dir)
    manner = "publisher confirms; prefetch; one ack for several deliveries (not answered by the server)"
    return [Contestant("RabbitMQ durable classic", server, "durable", "written, not flushed before the answer", manner, True, flushes=False),
            Contestant("RabbitMQ quorum, one node", server, "quorum", "flushed before it is answered, in groups", manner, True),
            Contestant("RabbitMQ classic, transient", server, "transient", "none", manner, False)]


FAMILIES = {"netqueue": netqueue_contestants, "curve": curve_contestants, "redis": redis_contestants, "beanstalkd": beanstalkd_contestants,
            "nats": nats_contestants, "rabbitmq": rabbitmq_contestants}


def assemble(bin_dir, families=tuple(FAMILIES)):
    """(contestants that can run, what is left out with the reason)."""
    contestants, left_out = [], []
    for family in families:
        found = FAMILIES[family](bin_dir)
        missing = found[0].server.missing()
        if missing:
            left_out.append("%s: %s" % (family, missing))
        else:
            contestants += found
    return contestants, left_out


def servers_of(contestants):
    found = []
    for contestant in contestants:
        if contestant.server not in found:
            found.append(contestant.server)
    return found
