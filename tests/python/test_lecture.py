"""The lecture's listings, in C and in Python: each is run, and its output must have the shape of the lecture's."""
import os
import re
import subprocess
import sys
import unittest

import harness

FOLDER = os.path.join(harness.ROOT, "examples", "lecture")
PAGES = ("100", "200", "300", "400")


def count(pattern, lines):
    return sum(1 for line in lines if re.fullmatch(pattern, line))


class Listings:
    """Mixed into one class for each language."""

    def run_listing(self, name, *arguments):
        raise NotImplementedError

    def lines(self, name, *arguments):
        ended = self.run_listing(name, *arguments)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        return ended.stdout.splitlines()

    def expect(self, lines, *patterns):
        """These lines, in this order, and no others."""
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns):
            self.assertRegex(line, "^(?:%s)$" % pattern)

    def test_01_fetch(self):
        lines = self.lines("01_fetch", *self.urls)
        self.assertEqual(count("fetching http://.*", lines), 4)
        self.assertEqual(sorted(lines[-4:]), sorted("%s has %s bytes" % pair for pair in zip(self.urls, PAGES)))

    def test_02_download(self):
        lines = self.lines("02_download", *self.urls)
        for url, size in zip(self.urls, PAGES):
            self.assertIn("downloaded %s: %s bytes" % (url, size), lines)
        self.assertRegex(lines[-1], "^all .*downloads are complete")

    def test_03_join(self):
        lines = self.lines("03_join")
        self.assertEqual(lines[:10], ["function called by thread %d" % n for n in range(10)])
        self.assertEqual([int(n) for line in lines[10:] for n in re.findall(r"\d+", line)], list(range(10)))

    def test_04_lock(self):
        lines = self.lines("04_lock")
        self.expect(lines[10 * 2:10 * 2 + 1], r"hold_while_sleeping: --- \d+\.\d\d seconds ---")
        held, released = lines[:20], lines[21:41]
        for first, second in zip(held[::2], held[1::2]):  # nobody runs while another sleeps
            self.assertEqual(first.replace("running", "over"), second)
        self.assertEqual(sorted(held), sorted(released))
        for number in range(10):  # how they overlap, and how long it all takes, is the machine's affair
            self.assertLess(released.index("---> thread %d running" % number), released.index("---> thread %d over" % number))
        self.expect(lines[41:], r"release_before_sleeping: --- \d+\.\d\d seconds ---")

    def test_05_rlock(self):
        lines = self.lines("05_rlock")
        for word, total, verb in (("ADDED", 8, "ADD"), ("REMOVED", 5, "REMOVE")):
            self.assertIn("%d items to %s" % (total, verb), lines)
            self.assertEqual([line for line in lines if line.startswith(word + " ")],
                             ["%s one item --> %d items to %s" % (word, left, verb) for left in range(total - 1, -1, -1)])
        self.assertEqual(lines[-1], "3 items are in the box")

    def test_06_semaphore(self):
        lines = self.lines("06_semaphore")
        self.assertEqual(count(r".* INFO Consumer is waiting", lines), 10)
        made, taken = ([line.split()[-1] for line in lines if who + " notify: item number" in line] for who in ("Producer", "Consumer"))
        self.assertEqual(len(made), 10)
        self.assertEqual(made, taken)

    def test_07_queue(self):
        lines = self.lines("07_queue")
        for number in range(6):
            self.assertEqual(count("Producer notify: item %d appended to queue by .+" % number, lines), 1)
            self.assertEqual(count("Consumer notify: %d popped from queue by .+" % number, lines), 1)
        self.assertEqual(len(lines), 12)

    def test_08_spawn(self):
        expected = []
        for number in range(6):
            expected.append("calling count from process %d" % number)
            expected += ["output from process %d is: %d" % (number, j) for j in range(number)]
        self.assertEqual(self.lines("08_spawn"), expected)

    def test_09_names(self):
        self.expect(self.lines("09_names"), "Starting process name = work process", "Exiting process name = work process",
                    r"Starting process name = Process-\d", r"Exiting process name = Process-\d")

    def test_10_background(self):
        self.assertEqual(self.lines("10_background"), ["Starting background process"] + ["---> %d" % n for n in range(5)] +
                         ["the program ends, and the background process with it"])

    def test_11_kill(self):
        self.expect(self.lines("11_kill")[-4:], "Process running: True.*", "Process joined: False", "Process exit code: -9",
                    "it came back: the item, delivery 2, failures 1")

    def test_12_subclass(self):
        self.expect(self.lines("12_subclass"), *["called run method by MyProcess-%d" % n for n in range(1, 6)])

    def test_13_pipe(self):
        self.assertEqual(self.lines("13_pipe"), [str(n * n) for n in range(10)] + ["End"])

    def test_14_shared_state(self):
        self.assertEqual(self.lines("14_shared_state"), ["key = %d value = %d" % (n, 2 * n) for n in range(10)])

    def test_15_condition(self):
        lines = self.lines("15_condition")
        self.assertEqual(count("Consumer INFO consumed 1 item", lines), 10)
        self.assertEqual(count("Producer INFO total items [0-3]", lines), 10)
        self.assertEqual(count("Consumer INFO no items to consume|Producer INFO items produced 3. Stopped", lines), len(lines) - 20)

    def test_16_event(self):
        lines = self.lines("16_event")
        self.assertEqual(len(lines), 15)
        for turn in range(0, 15, 3):
            self.expect(lines[turn:turn + 3], r"Producer: item \d+ appended by .+", "Producer: event set by .+", r"Consumer: item \d+ popped by .+")
            self.assertEqual(lines[turn].split()[2], lines[turn + 2].split()[2])

    def test_17_process_queue(self):
        lines = self.lines("17_process_queue")
        items = []
        for turn in range(10):
            self.expect(lines[2 * turn:2 * turn + 2], r"Process Producer: item \d+ appended to queue", "The size of queue is %d" % (turn + 1))
            items.append(lines[2 * turn].split()[3])
        self.assertEqual(lines[20:], ["Process Consumer: item %s popped from queue" % item for item in items] + ["the queue is empty"])

    def test_18_pool(self):
        self.assertEqual(self.lines("18_pool"), ["Pool: %s" % [n * n for n in range(100)]])


class WithServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        server = subprocess.Popen([sys.executable, "-B", os.path.join(FOLDER, "local_server.py")], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.stdout.close)
        cls.addClassCleanup(server.kill)
        address = server.stdout.readline().strip()
        cls.urls = ["%s/%s" % (address, page) for page in PAGES]


class InC(Listings, WithServer):
    def run_listing(self, name, *arguments):
        program = os.path.join(harness.build_dir, "examples", "lecture", "lecture_" + name)
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


class InPython(Listings, WithServer):
    def run_listing(self, name, *arguments):
        return harness.run_python(os.path.join(FOLDER, name + ".py"), *arguments)  # buffered: print is two writes else, and threads tear lines


class Pages(unittest.TestCase):
    def test_each_listing_has_both_languages_and_a_page(self):
        names = sorted(name[:-3] for name in os.listdir(FOLDER) if re.fullmatch(r"\d\d_\w+\.py", name))
        self.assertEqual(len(names), 18)
        for name in names:
            for ending in (".c", ".md"):
                self.assertTrue(os.path.exists(os.path.join(FOLDER, name + ending)), name + ending)
            self.assertTrue(hasattr(Listings, "test_" + name), name)


if __name__ == "__main__":
    sys.exit(harness.run())
