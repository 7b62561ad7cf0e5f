"""What holds a broker in that somebody has got the better of: no privileges, the unit's sandbox, the firewall rules of SECURITY.md."""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from nqlab import KeyRing, Skip, check, check_equal, main, scenario

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

# Connects so often to port 5510 of its network namespace, tells how often it was let in; ends some, and tries so often again.
CONNECT = """
import socket
def connect(count):
    let_in = []
    for _ in range(count):
        try:
            let_in.append(socket.create_connection(("127.0.0.1", 5510), 10))
        except ConnectionError:
            pass
    return let_in
listener = socket.create_server(("127.0.0.1", 5510), backlog=200)
first = connect(70)
for each in first[:5]:
    each.close()
    listener.accept()[0].close()
print(len(first), len(connect(10)))
"""


@scenario
def no_privileges_are_kept(lab):
    """no thread of a broker has a capability or may gain one, files are its owner's alone; also when root starts it"""
    broker = lab.broker()
    with open("/proc/%d/status" % broker.pid, encoding="ascii") as file:
        check("Umask:\t0077\n" in file.read(), "umask")
    threads = os.listdir("/proc/%d/task" % broker.pid)
    check(len(threads) > 2, "threads: %s", threads)
    for thread in threads:
        with open("/proc/%d/task/%s/status" % (broker.pid, thread), encoding="ascii") as file:
            status = file.read()
        check_equal(re.findall(r"^NoNewPrivs:\s+(\d)", status, re.M), ["1"], "no new privileges")
        sets = re.findall(r"^Cap(Prm|Eff|Inh|Amb):\s+([0-9a-f]+)", status, re.M)
        check_equal([name for name, value in sets if int(value, 16) != 0], [], "sets with capabilities")
        if os.geteuid() == 0:
            check_equal(int(re.search(r"^CapBnd:\s+([0-9a-f]+)", status, re.M).group(1), 16), 0, "what an exec could give back")
    if os.geteuid() == 0:
        check("privileges, which are given up" in broker.log_tail(10), "it says so: %s", broker.log_tail(10))


@scenario
def closed_standard_streams(lab):
    """a broker that is started without standard streams has none of its files in their place"""
    broker = lab.broker(prefix=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    broker.produce("q", "one").expect(0)
    check_equal([os.readlink("/proc/%d/fd/%d" % (broker.pid, fd)) for fd in range(3)], ["/dev/null"] * 3, "in their place")
    broker.stop()


@scenario
def files_of_others(lab):
    """root's broker does not read what its user has no right to: a folder of keys that is another user's"""
    if os.geteuid() != 0:
        raise Skip("not root: nothing to give up")
    lab.run("netqueue", "keygen", lab.path("keys")).expect(0)
    for folder, names, files in os.walk(lab.path("keys")):
        for name in names + files + ["."]:
            os.chown(os.path.join(folder, name), 10001, 10001)
    ended = lab.run("netqueue-broker", "--memory", "--listen", "tcp://127.0.0.1:*", "--keys", lab.path("keys"), timeout=20).expect(78)
    check(b"ermission denied" in ended.err, "it says why: %s", ended.err)


@scenario
def memory_is_hidden(lab):
    """the memory of a broker with keys cannot be looked into by another program of its user; without keys it can, so the look would find it"""
    ring = KeyRing(lab)
    for broker, readable in ((lab.broker(memory=True), True), (ring.serve(memory=True), False)):
        command = (["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []) + ["cat", "/proc/%d/maps" % broker.pid]
        looked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * lab.slow, check=False)
        check_equal(looked.returncode == 0 and b"netqueue-broker" in looked.stdout, readable, "seen of a broker with %s: %s" % (
            "no keys" if readable else "keys", looked.stderr))


def manual():
    with open(os.path.join(ROOT, "SECURITY.md"), encoding="utf-8") as file:
        return file.read()


def firewall(lab, lines):
    """These commands in a network namespace of their own, then connections to the port they guard."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        raise Skip("not root: no network namespace")
    program = lines[0].split()[0]
    if shutil.which(program, path="/usr/sbin:/sbin:" + os.environ["PATH"]) is None:
        raise Skip("no " + program)
    script = "set -e; PATH=/usr/sbin:/sbin:$PATH; ip link set lo up\n%s\nexec %s -c \"$1\"" % ("\n".join(lines), sys.executable)
    ran = subprocess.run(["unshare", "-n", "sh", "-c", script, "sh", CONNECT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         timeout=60 * lab.slow, check=False)
    if ran.returncode != 0 and re.search(rb"Could not process rule|not supported|kernel module|No chain/target/match", ran.stderr):
        raise Skip("the kernel lacks what %s asks for: %s" % (program, ran.stderr.decode(errors="replace").splitlines()[-1]))
    check_equal((ran.returncode, ran.stdout.split()), (0, [b"64", b"5"]), "let in: 64 of an address, and one for each that has ended; %s" %
                ran.stderr)


@scenario
def firewall_nft(lab):
    """the nft lines of SECURITY.md, as they stand there"""
    firewall(lab, [line.strip() for line in manual().splitlines() if line.startswith("      nft add ")])


@scenario
def firewall_iptables(lab):
    """the iptables line of SECURITY.md, as it stands there"""
    firewall(lab, re.findall(r"`(iptables -A [^`]*)`", manual()))


@scenario
def unit_is_sandboxed(lab):
    """systemd finds no fault in the unit, and rates what is left open as little"""
    if shutil.which("systemd-analyze") is None:
        raise Skip("no systemd-analyze")
    with open(os.path.join(ROOT, "packaging", "netqueue.service.in"), encoding="utf-8") as file:
        text = file.read().replace("@CMAKE_INSTALL_FULL_BINDIR@", os.path.dirname(os.path.abspath(lab.bin("netqueue-broker"))))
    unit = lab.write("netqueue.service", text.encode())
    os.rename(unit, lab.path("netqueue.service"))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", lab.path("netqueue.service")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60 * lab.slow, check=False)
    mentions = [line for line in verified.stdout.decode().splitlines() if "netqueue" in line]
    check_equal((verified.returncode, mentions), (0, []), "systemd-analyze verify: %s" % verified.stdout)
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", lab.path("netqueue.service")],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * lab.slow, check=False)
    check(rated.returncode == 0, "systemd-analyze security: exposed over 2.0 of 10: %s", rated.stdout[-300:])


if __name__ == "__main__":
    sys.exit(main())
