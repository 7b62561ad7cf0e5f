"""What is being measured on."""
import os
import platform
import subprocess

from . import servers

LIBRARIES = ("libzmq5", "liblmdb0", "libprotobuf-c1", "libhiredis0.14", "libnats3.4", "librabbitmq4")


def _processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30))


def _system():
    with open("/etc/os-release") as file:
        fields = dict(line.strip().split("=", 1) for line in file if "=" in line)
    return fields.get("PRETTY_NAME", "").strip('"')


def _file_system(directory):
    done = subprocess.run(["stat", "-f", "-c", "%T", directory], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.strip().replace("ext2/ext3", "ext4")


def _commit(root):
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip()


def describe(directory, root):
    return {
        "processor": _processor(), "cores": os.cpu_count(), "memory_gib": _memory_gib(), "kernel": platform.release(), "system": _system(),
        "file_system": _file_system(directory), "commit": _commit(root), "python": platform.python_version(),
        "libraries": {name: version for name, version in ((name, servers.package_version(name)) for name in LIBRARIES) if version},
    }
