"""netqueue and its peers from the distribution's packages: how each is started on loopback, configured for its best."""
import os
import re
import shutil
import signal
import subprocess
import time

from ports import quiet_port

from .processes import Program, accepts, written_bytes


def printed_version(args):
    """The first number with dots in what a program prints."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found.group(0) if found else "of unknown version"


def package_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip()


class Server:
    """One server process. Subclasses say how it is started; `directory` is its own."""

    key = ""        # one word
    label = ""      # for people
    program = ""    # the executable that must be there
    load_program = ""
    client = ""     # the package of the client library

    def __init__(self, bin_dir):
        self.bin_dir, self.process, self.port, self.directory, self.paused = bin_dir, None, 0, None, False

    def missing(self):
        """What is not installed, or "" when all is there."""
        if shutil.which(self.program) is None:
            return "%s is not installed" % self.program
        if not os.path.exists(self.load_path()):
            return "%s is not built (its client library was not found)" % self.load_program
        return ""

    def load_path(self):
        return os.path.join(self.bin_dir, self.load_program)

    def start(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.port = directory, quiet_port()
        self.process = self.launch()
        self.process.wait_until(self.ready, 60, self.key)

    def launch(self):
        raise NotImplementedError

    def ready(self):
        return accepts(self.port)

    def configuration(self):
        """The command line as printed: without this run's directory."""
        return " ".join(self.process.args).replace(self.directory, "DIR").replace(str(self.port), "PORT")

    def version(self):
        return "%s %s" % (os.path.basename(self.program), printed_version([self.program, "--version"]))

    def pid(self):
        return self.process.pid

    def disk_written(self):
        return written_bytes(self.pid())

    # What is not measured must not run: a stopped process takes no CPU.
    def pause(self):
        if self.process is not None and not self.paused:
            self.process.signal(signal.SIGSTOP)
            self.paused = True

    def resume(self):
        if self.paused:
            self.process.signal(signal.SIGCONT)
            self.paused = False
            time.sleep(0.05)

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None
            self.paused = False

    def log(self):
        return os.path.join(self.directory, "log")


class Netqueue(Server):
    load_program = "netqueue"

    def __init__(self, bin_dir, durable, flags=()):
        super().__init__(bin_dir)
        self.durable, self.flags = durable, list(flags)
        self.key = "netqueue-%s" % ("durable" if durable else "memory")
        self.label = self.key.replace("-", " ")
        self.program = os.path.join(bin_dir, "netqueue-broker")
        self.endpoint = ""

    def launch(self):
        where = ["--data", os.path.join(self.directory, "data")] if self.durable else ["--memory"]
        endpoint_file = os.path.join(self.directory, "endpoint")
        if os.path.exists(endpoint_file):
            os.unlink(endpoint_file)
        self.endpoint = "tcp://127.0.0.1:%d" % self.port
        return Program([self.program, "--listen", self.endpoint, "--endpoint-file", endpoint_file] + where + self.flags, self.log())

    def ready(self):
        return os.path.exists(os.path.join(self.directory, "endpoint"))

    def client_flags(self):
        return ["-s", self.endpoint]

    def restart(self):
        """Stop and start on the same directory; the seconds from the start until it serves."""
        self.process.stop()
        began = time.monotonic()
        self.process = self.launch()
        self.process.wait_until(self.ready, 60, self.key)
        return time.monotonic() - began

    def configuration(self):
        return re.sub(r"\S*netqueue-broker", "netqueue-broker", super().configuration())


class CurveNetqueue(Netqueue):
    """The same with keys: every connection is encrypted and authenticated (ZeroMQ's CURVE)."""

    def __init__(self, bin_dir, durable):
        super().__init__(bin_dir, durable)
        self.key, self.label = "curve-%s" % ("durable" if durable else "memory"), self.label + ", CURVE"

    def missing(self):
        text = super().missing()
        if not text and subprocess.run([self.load_path(), "keygen", "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            text = "this netqueue has no keygen"
        return text

    def launch(self):
        keys = os.path.join(self.directory, "keys")
        if not os.path.exists(keys):
            subprocess.run([self.load_path(), "keygen", "-q", "--put", "*", "--get", "*", "--admin", "*", keys, "bench"], check=True)
        self.flags = ["--keys", keys]
        return super().launch()

    def client_flags(self):
        return super().client_flags() + ["--keys", os.path.join(self.directory, "keys", "clients", "bench")]


class Redis(Server):
    program, load_program, client = "redis-server", "nq_bench_redis", "libhiredis-dev"

    def __init__(self, bin_dir, durable):
        super().__init__(bin_dir)
        self.durable = durable
        self.key = "redis-%s" % ("durable" if durable else "memory")
        self.label = "Redis, %s" % ("AOF always" if durable else "memory")

    def launch(self):
        # The log is not rewritten while it is measured: that would only cost it time.
        log = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"] if self.durable else ["--appendonly", "no"]
        return Program([self.program, "--port", self.port, "--bind", "127.0.0.1", "--dir", self.directory, "--save", ""] + log, self.log())


class Beanstalkd(Server):
    program, load_program = "beanstalkd", "nq_bench_beanstalkd"

    def __init__(self, bin_dir, durable):
        super().__init__(bin_dir)
        self.durable = durable
        self.key = "beanstalkd-%s" % ("durable" if durable else "memory")
        self.label = "beanstalkd%s" % (" -b -f0" if durable else ", memory")

    def launch(self):
        log = os.path.join(self.directory, "binlog")
        os.makedirs(log, exist_ok=True)
        return Program([self.program, "-l", "127.0.0.1", "-p", self.port, "-z", "2000000"] + (["-b", log, "-f0"] if self.durable else []), self.log())

    def version(self):
        return "%s %s" % (self.program, printed_version([self.program, "-v"]))


class Nats(Server):
    program, load_program, client, key = "nats-server", "nq_bench_nats", "libnats-dev", "nats"
    label = "NATS JetStream"

    def launch(self):
        config = os.path.join(self.directory, "nats.conf")
        with open(config, "w") as file:
            file.write('listen: "127.0.0.1:%d"\nmax_payload: 8MB\nmax_pending: 512MB\n'
                       'jetstream { store_dir: "%s", max_memory_store: 8GB, max_file_store: 32GB }\n' % (self.port, self.directory))
        return Program([self.program, "-c", config], self.log())

    def configuration(self):
        return "nats-server -c FILE (JetStream on, max_payload 8MB)"

    def version(self):
        return "%s %s" % (self.program, printed_version([self.program, "-v"]))


class Rabbitmq(Server):
    """A node with a name, home, cookie and epmd of its own, all on 127.0.0.1."""

    load_program, client, key = "nq_bench_rabbitmq", "librabbitmq-dev", "rabbitmq"
    label = "RabbitMQ"
    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # what Debian's wrapper runs, after changing to the user rabbitmq
    epmd = None

    def launch(self):
        names = quiet_port()
        self.epmd = Program(["epmd", "-address", "127.0.0.1", "-port", names], os.path.join(self.directory, "epmd.log"))
        self.epmd.wait_until(lambda: accepts(names), 10, "epmd")
        own = {name: os.path.join(self.directory, name.lower()) for name in ("MNESIA_BASE", "LOG_BASE", "GENERATED_CONFIG_DIR")}
        for path in own.values():
            os.makedirs(path, exist_ok=True)
        for name, text in (("CONFIG_FILE", "loopback_users.guest = true\nvm_memory_high_watermark.relative = 0.6\ndisk_free_limit.absolute = 100MB\n"
                            "log.file.level = error\n"), ("ENABLED_PLUGINS_FILE", "[].\n"), ("CONF_ENV_FILE", "")):
            own[name] = os.path.join(self.directory, name.lower() + (".conf" if name == "CONFIG_FILE" else ""))
            with open(own[name], "w") as file:
                file.write(text)
        own.update(NODENAME="compare%d@localhost" % self.port, NODE_IP_ADDRESS="127.0.0.1", NODE_PORT=str(self.port), DIST_PORT=str(quiet_port()),
                   PID_FILE=os.path.join(self.directory, "pid"), SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}")
        env = {"RABBITMQ_" + name: value for name, value in own.items()}
        env.update(PATH=os.environ.get("PATH", ""), HOME=self.directory, LANG="C.UTF-8", ERL_EPMD_PORT=str(names), ERL_EPMD_ADDRESS="127.0.0.1")
        return Program([self.program], self.log(), env=env)

    def configuration(self):
        return "rabbitmq-server, one node (no plugins; vm_memory_high_watermark 0.6)"

    def pid(self):
        """Of the Erlang machine; what was started is a script that waits for it."""
        with open(os.path.join(self.directory, "pid")) as file:
            return int(file.read())

    def version(self):
        return "rabbitmq-server %s" % package_version("rabbitmq-server").split("-")[0]

    def stop(self):
        super().stop()
        if self.epmd is not None:
            self.epmd.stop()
            self.epmd = None
