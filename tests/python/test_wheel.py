"""A wheel that carries the library, made and installed with the commands of docs/python.md without a network, is all that a program needs."""
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness

MISSING = [name for name in ("pip", "setuptools", "wheel") if importlib.util.find_spec(name) is None]

PROGRAM = """
import os, netqueue
q = netqueue.Queue(name="wheel", codec="str")
q.put("an item")
print(q.get())
q.task_done()
print(netqueue.__file__)
print(*sorted({line.split()[-1] for line in open("/proc/self/maps") if "libnetqueue" in line}))
netqueue.close()
"""


def documented_commands():
    """The indented lines behind "A wheel" in docs/python.md."""
    with open(os.path.join(harness.ROOT, "docs", "python.md"), encoding="utf-8") as file:
        block = re.search(r"^\*\*A wheel\*\*.*\n\n((?:    .*\n)+)", file.read(), re.M)
    return re.sub("^    ", "", block.group(1), flags=re.M)


class Wheel(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=harness.lab.dir)
        self.site = os.path.join(self.directory, "site")
        shutil.copytree(os.path.join(harness.ROOT, "python"), os.path.join(self.directory, "python"),
                        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "*.so*"))
        os.makedirs(os.path.join(self.directory, "build", "release", "lib"))
        shutil.copy(os.path.join(harness.build_dir, "lib", "libnetqueue.so.0"), os.path.join(self.directory, "build", "release", "lib"))

    def environment(self, **more):
        """Nothing of this package in sight; this interpreter is `python3`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_")) and name != "NETQUEUE_LIBRARY"}
        return dict(kept, PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"], HOME=self.directory, **more)

    def test_is_built_as_documented_and_puts_and_gets(self):
        made = subprocess.run(["sh", "-e", "-c", documented_commands()], cwd=self.directory, env=self.environment(PIP_TARGET=self.site, PIP_NO_CACHE_DIR="1"),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(made.returncode, 0, made.stdout + made.stderr)
        wheels = [os.path.basename(path) for path in glob.glob(os.path.join(self.directory, "dist", "*"))]
        self.assertEqual(len(wheels), 1, wheels)
        self.assertTrue(wheels[0].endswith("-linux_%s.whl" % os.uname().machine), "it holds a library of this kind of machine: " + wheels[0])
        shutil.rmtree(os.path.join(self.directory, "python"))
        shutil.rmtree(os.path.join(self.directory, "build"))
        empty = os.path.join(self.directory, "empty")
        os.mkdir(empty)
        ran = subprocess.run([sys.executable, "-B", "-c", PROGRAM], cwd=empty, env=self.environment(PYTHONPATH=self.site), capture_output=True, text=True,
                             timeout=100, check=False)
        package = os.path.join(os.path.realpath(self.site), "netqueue")
        self.assertEqual(ran.stdout.splitlines(), ["an item", os.path.join(package, "__init__.py"), os.path.join(package, "libnetqueue.so.0")], ran.stderr)
        self.assertEqual((ran.returncode, ran.stderr, os.listdir(empty)), (0, "", []))


if __name__ == "__main__":
    if MISSING:
        print("skipped: this interpreter has no %s (scripts/install-deps)" % ", ".join(MISSING))
        sys.exit(harness.SKIPPED)
    sys.exit(harness.run())
