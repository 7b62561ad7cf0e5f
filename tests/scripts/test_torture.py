"""scripts/torture, in a tree of its own with tests that do nothing: its report, and that a signal leaves nothing behind."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PATIENCE = 60  # seconds, for what takes a moment

# Notes its process and waits; as a test of tests/integration with a program of its own, and in the place of a simulation.
SLOW_TEST = """
import os, subprocess, tempfile, time
with open(os.path.join(tempfile.mkdtemp(), "items"), "w") as file:
    file.write("many")
program = subprocess.Popen(["sh", "-c", 'trap "" TERM; echo $$ >>"$NOTED"; while :; do sleep 1; done'])
with open(os.environ["NOTED"], "a") as file:
    file.write("%d\\n" % os.getpid())
program.wait()
"""
SLOW_PROGRAM = '#!/bin/sh\necho $$ >>"$NOTED"\nexec sleep 600\n'


def is_there(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


class Torture(unittest.TestCase):

    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="nq-torture-")
        self.addCleanup(shutil.rmtree, self.tree)
        self.noted = os.path.join(self.tree, "noted")
        self.scratch = os.path.join(self.tree, "scratch")
        for folder in ("scripts", "tests/integration", "build/fake/bin", "scratch"):
            os.makedirs(os.path.join(self.tree, folder))
        for script in ("torture", "simulate", "common.bash"):
            shutil.copy(os.path.join(ROOT, "scripts", script), os.path.join(self.tree, "scripts"))
        self.write("tests/integration/test_slow.py", SLOW_TEST)
        self.write("build/fake/bin/sim_system", SLOW_PROGRAM)

    def write(self, path, text):
        with open(os.path.join(self.tree, path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o755)

    def start(self, *args):
        environment = dict(os.environ, NOTED=self.noted, TMPDIR=self.scratch)
        command = [os.path.join(self.tree, "scripts", "torture"), "--build-dir", os.path.join(self.tree, "build", "fake"), *args]
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True)

    def pids(self):
        if not os.path.exists(self.noted):
            return []
        with open(self.noted, encoding="ascii") as file:
            return [int(line) for line in file if line.endswith("\n")]

    def kill_rest(self):
        for pid in filter(is_there, self.pids()):
            os.kill(pid, signal.SIGKILL)

    def end(self, name, processes, end):
        """Start this test, and end all as soon as so many processes are at work."""
        torture = self.start(name)
        self.addCleanup(self.kill_rest)
        self.assertTrue(until(lambda: len(self.pids()) >= processes), "the test begins")
        end(torture)
        out, _ = torture.communicate(timeout=PATIENCE)
        self.assertTrue(until(lambda: not any(map(is_there, self.pids()))), "%s are left behind: %s" % (list(filter(is_there, self.pids())), out))
        self.assertEqual(os.listdir(self.scratch), [], "files that are left behind")
        return torture.returncode

    def test_ctrl_c_ends_the_test_and_its_programs(self):
        """the terminal sends SIGINT to the group of what was started in the foreground"""
        self.assertEqual(self.end("slow", 2, lambda torture: os.killpg(torture.pid, signal.SIGINT)), 130)

    def test_ctrl_c_ends_a_simulation(self):
        self.assertEqual(self.end("simulate", 1, lambda torture: os.killpg(torture.pid, signal.SIGINT)), 130)

    def test_sigterm_ends_it(self):
        self.assertEqual(self.end("simulate", 1, lambda torture: torture.terminate()), 143)

    def test_the_report_has_each_test_and_how_it_ended(self):
        for name, code in (("good", 0), ("bad", 3), ("absent", 77)):
            self.write("tests/integration/test_%s.py" % name, "print('%s said this')\nraise SystemExit(%d)\n" % (name, code))
        torture = self.start("good", "test_bad.py", "tests/integration/test_absent.py")
        out, _ = torture.communicate(timeout=PATIENCE)
        with open(os.path.join(self.tree, "build", "torture", "report.txt"), encoding="utf-8") as file:
            self.assertEqual(out, file.read())
        self.assertRegex(out, r"(?s)\ngood +\d+ s  ok\n    good said this\nbad +\d+ s  FAILED \(exit code 3\)\n    bad said this\n"
                              r"absent +\d+ s  skipped\n    absent said this\n\nFAILED: 1 of 3 in \d+ min\n$")
        self.assertEqual(torture.returncode, 1)

    def test_a_name_that_is_none_is_refused(self):
        torture = self.start("no_such_test")
        self.assertRegex(torture.communicate(timeout=PATIENCE)[0], "^torture: no test 'no_such_test' .*\n$")
        self.assertEqual(torture.returncode, 64)


if __name__ == "__main__":
    unittest.main()
