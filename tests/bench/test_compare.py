#!/usr/bin/env python3
"""What bench/compare makes of measurements: medians, ratios, verdicts, tables, plots and the document, on recorded and made-up data."""
import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COMPARE = os.path.join(ROOT, "bench", "compare")
sys.path.insert(0, os.path.join(ROOT, "bench"))

from comparelib import contest, figures, goals, load, plots, report, tables  # noqa: E402
from comparelib.processes import Failed  # noqa: E402

with open(os.path.join(HERE, "recorded.json"), encoding="utf-8") as file:
    RECORDED = json.load(file)
PLAIN = {"size": 100, "producers": 1, "consumers": 1}


def record(section, name, repeat=0, result=None, **params):
    return {"section": section, "name": name, "params": params, "repeat": repeat, "result": result}


def cycles(name, window, *rates):
    return [record("cycles", name, number, {"items_per_s": rate}, window=window, **PLAIN) for number, rate in enumerate(rates)]


def run_of(*records):
    """The recorded run with other records."""
    run = copy.deepcopy(RECORDED)
    run["records"] = [one for group in records for one in group]
    return run, figures.Figures(run["records"])


def judged(run, made, text, kind="minimum"):
    return next(one for one in goals.judge(run, made) if one.text == text and one.kind == kind)


DURABLE_1000 = "durable, window 1000, beside Redis AOF always"
STEPS = "Redis list, step by step, AOF always"
LIST = "Redis list, AOF always"


class FiguresTest(unittest.TestCase):
    def test_spread_is_the_median_with_lowest_and_highest(self):
        spread = figures.Spread([5, 1, 3])
        self.assertEqual((spread.median, spread.low, spread.high), (3, 1, 5))

    def test_only_records_with_all_the_params_count(self):
        made = figures.Figures(cycles("a", 1, 10) + cycles("a", 100, 20))
        self.assertEqual(made.median("cycles", "a", window=100), 20)
        self.assertIsNone(made.median("cycles", "a", window=7))

    def test_fields_are_found_by_path(self):
        made = figures.Figures([record("latency", "a", 0, {"latency_us": {"put": {"p50": 7}}}, rate=1)])
        self.assertEqual(made.median("latency", "a", "latency_us.put.p50"), 7)
        self.assertIsNone(made.median("latency", "a", "latency_us.done.p50"))

    def test_a_failed_run_is_no_figure_but_is_kept(self):
        failed = dict(record("cycles", "a", window=1), error="it fell over")
        del failed["result"]
        made = figures.Figures([failed])
        self.assertIsNone(made.median("cycles", "a"))
        self.assertEqual(len(made.failures), 1)

    def test_ratio_compares_within_a_round(self):
        # The machine was twice as fast in the second round: the ratio is the same.
        spread = figures.ratio({0: 30, 1: 60}, {0: 10, 1: 20})
        self.assertEqual((spread.low, spread.high), (3, 3))

    def test_ratio_leaves_out_rounds_without_both(self):
        self.assertEqual(figures.ratio({0: 30, 1: 60}, {1: 20}).values, [3])
        self.assertIsNone(figures.ratio({0: 30}, {1: 20}))

    def test_best_is_by_median_not_by_highest(self):
        made = figures.Figures(cycles("steady", 1, 10, 10, 10) + cycles("lucky", 1, 1, 1, 99))
        self.assertEqual(made.best("cycles", ["steady", "lucky", "absent"], window=1), "steady")


class GoalsTest(unittest.TestCase):
    def test_the_bound_itself_passes(self):
        run, made = run_of(cycles("netqueue durable", 1000, 1000), cycles(LIST, 1000, 100))
        self.assertTrue(judged(run, made, DURABLE_1000).passed)

    def test_just_below_the_bound_misses(self):
        run, made = run_of(cycles("netqueue durable", 1000, 999), cycles(LIST, 1000, 100))
        self.assertFalse(judged(run, made, DURABLE_1000).passed)

    def test_redis_is_the_better_of_list_and_stream(self):
        run, made = run_of(cycles("netqueue durable", 1000, 1000), cycles("Redis list, AOF always", 1000, 50), cycles("Redis stream, AOF always", 1000, 200))
        one = judged(run, made, DURABLE_1000)
        self.assertEqual((one.spread.median, one.against), (5, "Redis stream, AOF always"))

    def test_the_manner_of_the_design_is_shown_beside_and_is_no_best_peer(self):
        run, made = run_of(cycles("netqueue durable", 1000, 1000), cycles(LIST, 1000, 50), cycles(STEPS, 1000, 70))
        self.assertEqual(judged(run, made, DURABLE_1000).against, LIST)
        beside = judged(run, made, "durable, window 1000, Redis list step by step", "beside")
        self.assertEqual((beside.against, beside.passed), (STEPS, None))

    def test_whole_batches_are_shown_beside_but_do_not_judge(self):
        name = "Redis list, whole batches, AOF always"
        run, made = run_of(cycles("netqueue durable", 1000, 1000), cycles(LIST, 1000, 50), cycles(name, 1000, 500))
        self.assertEqual(judged(run, made, DURABLE_1000).spread.median, 20)
        beside = judged(run, made, "durable, window 1000, Redis list with whole batches", "beside")
        self.assertEqual((beside.spread.median, beside.passed), (2, None))

    def test_lock_step_durable_is_judged_by_peers_that_flush(self):
        run, made = run_of(cycles("netqueue durable", 1, 3000), cycles("NATS JetStream, file", 1, 9000), cycles("beanstalkd -b -f0", 1, 2000))
        one = judged(run, made, "lock-step durable, beside the best peer", "goal")
        self.assertEqual((one.spread.median, one.against), (1.5, "beanstalkd -b -f0"))

    def test_what_must_stay_under_its_bound(self):
        memory = [record("backlog memory", "netqueue durable", 0, {"bytes": 64 << 20}, when="full")]
        run, made = run_of(memory)
        self.assertFalse(judged(run, made, "durable, own memory with a backlog of 10 M", "goal").passed)

    def test_what_was_not_measured_is_neither_passed_nor_missed(self):
        run, made = run_of([])
        self.assertEqual({one.passed for one in goals.judge(run, made)}, {None})

    def test_a_missed_minimum_fails_the_run_and_a_missed_goal_does_not(self):
        enough = cycles("netqueue durable", 1000, 1200) + cycles(LIST, 1000, 100)
        with open(os.devnull, "w") as nowhere:
            saved, sys.stdout = sys.stdout, nowhere
            try:
                self.assertTrue(report.show_goals(*run_of(enough)))
                self.assertFalse(report.show_goals(*run_of(cycles("netqueue durable", 1000, 100), cycles(LIST, 1000, 100))))
            finally:
                sys.stdout = saved


class TablesTest(unittest.TestCase):
    def test_numbers_have_three_digits(self):
        self.assertEqual([tables.number(value) for value in (1234567, 999, 12.34, 1.234, 0.1234, 0.01234, 0, None)],
                         ["1,230,000", "999", "12.3", "1.23", "0.12", "0.0123", "0", "–"])

    def test_the_best_of_each_half_is_marked(self):
        run, made = run_of(cycles("netqueue durable", 1, 10), cycles("Redis list, AOF always", 1, 20), cycles("netqueue memory", 1, 5))
        lines = tables.cycles(run, made).split("\n")
        self.assertIn("| netqueue durable | 10.0 |", lines)
        self.assertIn("| Redis list, AOF always | **20.0** |", lines)
        self.assertIn("| netqueue memory | **5.00** |", lines)

    def test_who_falls_behind_a_rate_is_told(self):
        latency = {"put_to_get": {"p50": 1, "p99": 2, "p99_9": 3}}
        run, made = run_of([record("latency", "netqueue durable", 0, {"items_per_s": 500, "latency_us": latency}, rate=1000)])
        self.assertIn("falls behind: 500/s", tables.latency(run, made))

    def test_curve_is_told_beside_the_same_without(self):
        def with_rate(name, rate):
            return record("curve", name, 0, {"items_per_s": rate}, size=100, window=1)
        run, made = run_of([with_rate("netqueue durable", 100), with_rate("netqueue durable, CURVE", 50)])
        self.assertIn("| netqueue durable, CURVE | 100 B | 1 | 50.0 | 0.50 |", tables.curve(run, made))
        self.assertNotIn("| netqueue durable |", tables.curve(run, made))

    def test_bytes_written_are_per_item_of_warm_up_and_run(self):
        # 10 items in 2 s, and as many a second in the second before.
        self.assertEqual(load.written_per_item(3000, {"items": 10, "seconds": 2}, 1), 200)
        self.assertIsNone(load.written_per_item(3000, {"items": 0, "seconds": 2}, 1))

    def test_a_recorded_run_fills_the_tables_of_what_it_measured(self):
        made = report.parts(RECORDED, figures.Figures(RECORDED["records"]))
        self.assertTrue(all(made[name] for name in ("machine", "goals", "cycles", "limits", "configuration")))
        self.assertFalse(any(made[name] for name in ("crowd", "sizes", "queues", "curve", "latency", "backlog", "burst", "resources", "python")))
        for name in RECORDED["contestants"]:
            self.assertIn("| %s |" % name, made["cycles"])

    def test_failed_runs_are_told(self):
        run, _ = run_of(cycles("netqueue durable", 1, 10))
        run["records"].append({"section": "cycles", "name": "NATS JetStream, file", "params": {}, "repeat": 0, "error": "it fell over"})
        self.assertIn("it fell over", tables.machine(run, figures.Figures(run["records"])))


class DocumentTest(unittest.TestCase):
    PAGE = "before\n<!-- bench/compare: cycles -->\nold\n<!-- bench/compare: end -->\nbetween\n<!-- bench/compare: crowd -->\nkept\n<!-- bench/compare: end -->\nafter\n"

    def test_only_what_stands_between_markers_is_replaced(self):
        filled = report.fill(self.PAGE, {"cycles": "new \\1\n", "crowd": ""})
        self.assertEqual(filled, self.PAGE.replace("\nold\n", "\n\nnew \\1\n\n"))

    def test_filling_twice_changes_nothing(self):
        filled = report.fill(self.PAGE, {"cycles": "new"})
        self.assertEqual(report.fill(filled, {"cycles": "new"}), filled)

    def test_a_part_without_a_place_is_an_error(self):
        with self.assertRaises(Failed):
            report.fill(self.PAGE, {"sizes": "new"})

    def test_the_page_has_a_place_for_every_part(self):
        with open(os.path.join(ROOT, "docs", "benchmarks.md"), encoding="utf-8") as file:
            page = file.read()
        filled = report.fill(page, {name: "part %s" % name for name in tables.PARTS})
        for name in tables.PARTS:
            self.assertIn("part %s" % name, filled)


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.own = contest.netqueue_contestants("bin")[0]
        self.peer = contest.redis_contestants("bin")[0]
        self.own.server.endpoint, self.peer.server.port = "tcp://here", 7

    def test_netqueue_gets_units_and_its_own_options(self):
        words = self.own.command("cycle", size=100, duration=0.5, queues=10, force=True, queue="q", what="no option")
        self.assertEqual(words[1:], ["bench", "cycle", "--format", "json", "-q", "-s", "tcp://here", "--size", "100", "--duration", "500ms",
                                     "--queues", "10", "--force", "q"])

    def test_peers_get_only_what_they_know(self):
        words = self.peer.command("put", size=100, producers=1, consumers=1, count=5, queues=10, force=True, queue="q")
        self.assertEqual(words[1:], ["put", "--port", "7", "--variant", "list", "--size", "100", "--producers", "1", "-n", "5"])

    def test_what_is_not_installed_is_left_out_by_name(self):
        contestants, left_out = contest.assemble("/nowhere")
        self.assertEqual(contestants, [])
        self.assertEqual([text.split(":")[0] for text in left_out], list(contest.FAMILIES))


class ProgramTest(unittest.TestCase):
    def compare(self, *arguments):
        return subprocess.run([sys.executable, "-B", COMPARE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30, check=False)

    def test_a_report_needs_no_server(self):
        done = self.compare("--report", os.path.join(HERE, "recorded.json"), "--only", "cycles")
        self.assertIn("minimum  %s" % DURABLE_1000, done.stdout)
        self.assertEqual(done.returncode, 1)  # the recorded run misses minima

    def test_files_of_a_report_are_merged_by_section(self):
        with tempfile.TemporaryDirectory() as folder:
            run, _ = run_of(cycles("netqueue durable", 1000, 5000), cycles(LIST, 1000, 100))
            path = os.path.join(folder, "later.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(run, file)
            done = self.compare("--report", os.path.join(HERE, "recorded.json"), "--report", path, "--only", "cycles")
        self.assertIn("pass  minimum  %s: 50.0 times" % DURABLE_1000, done.stdout)
        self.assertIn("write+fdatasync", done.stdout)
        self.assertEqual(done.returncode, 0)

    def test_errors_are_one_line(self):
        for arguments, code in ((["--only", "nothing"], 64), (["--repeat", "0"], 64), (["--peers", "kafka"], 64), (["--report", "/nowhere"], 1),
                                (["--build-dir", "/nowhere"], 1), (["--quick", "--only", "cycles"], 64)):
            done = self.compare(*arguments)
            self.assertEqual((done.returncode, done.stderr.count("\n"), done.stdout), (code, 1, ""), "%s: %s" % (arguments, done.stderr))

    def test_plots_name_everybody(self):
        try:
            import matplotlib  # noqa: F401  pylint: disable=unused-import,import-outside-toplevel
        except ImportError:
            self.skipTest("no python3-matplotlib")
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(plots.draw(RECORDED, figures.Figures(RECORDED["records"]), folder), ["cycles.svg"])
            with open(os.path.join(folder, "cycles.svg"), encoding="utf-8") as file:
                drawn = file.read()
        for name in RECORDED["contestants"]:
            self.assertIn(name, drawn)


if __name__ == "__main__":
    unittest.main()
