#!/usr/bin/env python3
"""Checks that what README.md, SECURITY.md and docs/reliability.md name is there: tests, their scenarios, programs, files, links.

    check_documents.py [--root DIR]     exit 0, or 1 with one line for each name that is nothing: document:line: what
    check_documents.py --self-test      puts one wrong name of each kind into a copy of the documents and sees that it is found

What is looked at: `test_x.py: a, b` and `a` in `test_x.py` are scenarios of that file; `suite/behaviour` is a Criterion test; any word with an
underscore stands somewhere in the sources; of the tables "proven by" and "shown by", what the last column names is a scenario.
"""

import argparse
import os
import re
import subprocess
import sys

DOCUMENTS = ("README.md", "SECURITY.md", "docs/reliability.md")
SOURCES = ("tests", "scripts", "bench", "broker", "client", "proto", "keys", "producer", "consumer", "admin", "python", "packaging", "cmake")
SKIPPED_FOLDERS = {"__pycache__", "corpus"}
BINARY = (".png", ".bin", ".mdb")

TEST_FILE = r"(?:[\w/]*/)?test_\w+\.(?:py|c)"
WORD = re.compile(r"(?<![\w*./-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w*]|/|-)")
LISTED = re.compile(r"`((?:[\w/]*/)?test_\w+(?:\.py|\.c)?)`(:|,) ([^`|]*)")
IN_FILE = re.compile(r"((?:`\w+`(?:, | and ))*`\w+`) in `(" + TEST_FILE + ")`")
SUITE = re.compile(r"`(\w+)/(\w+_\w+)`")
PATH = re.compile(r"`((?:" + "|".join(SOURCES + ("docs", "examples", ".ci")) + r")/[\w./-]*)[` ]")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TORTURE = re.compile(r"`scripts/torture((?: [\w -]+)?)`")


def scenarios_in(text):
    """Of a test program in Python: what @scenario stands before; with @on_each_link there are two."""
    found = set()
    for decorators, name in re.findall(r"((?:^@.*\n)+)^def (\w+)\(", text, re.M):
        if "@on_each_link" in decorators:
            found |= {name, "netem_" + name}
        elif "@scenario" in decorators:
            found.add(name)
    return found


class Tree:
    def __init__(self, root):
        self.root = root
        self.words, self.suites = set(), set()
        self.tests = {}  # base name of a file of tests -> the names of its tests
        for top in SOURCES:
            for folder, folders, names in os.walk(os.path.join(root, top)):
                folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
                for name in names:
                    self.words.update(os.path.splitext(name)[0:1])
                    if not name.endswith(BINARY):
                        self.read_source(os.path.join(folder, name), name)
        listed = subprocess.run([os.path.join(root, "scripts", "torture"), "--list"], stdout=subprocess.PIPE, check=True)
        self.torture = set(listed.stdout.decode().split())

    def read_source(self, path, name):
        if os.path.samefile(path, __file__):
            return  # its examples of what is not there
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        words = set(re.findall(r"\w+", text))
        self.words |= words
        if name.startswith("test_") and name.endswith(".py"):
            self.tests[name] = scenarios_in(text) or set(re.findall(r"^ *def (test_\w+)\(", text, re.M))
            self.words |= self.tests[name]
        elif name.startswith("test_") and name.endswith(".c"):
            self.tests[name] = words
        if name.endswith(".c"):
            self.suites.update(re.findall(r"^Test\((\w+), (\w+)", text, re.M))
            self.suites.update(re.findall(r"^ParameterizedTest\([^;{]*?, (\w+), (\w+)\)", text, re.M))

    def tests_of(self, name):
        """Of a file, or of a program, which is made of the files whose names begin with its own. None: it is not there."""
        name = os.path.basename(name)
        if "." in name:
            return self.tests.get(name)
        files = [tests for file, tests in self.tests.items() if re.match(name + r"(_\w+)?\.c$", file)]
        return set().union(*files) if files else self.words if name in self.words else None


def names_in(listed, with_underscore):
    """Of "a, b and c (which ...); not" those that can be names of tests."""
    pieces = re.split(r"[,;:.]| and ", re.sub(r"\([^)]*\)?", "", listed))
    words = [piece.strip() for piece in pieces if re.fullmatch(r"[a-z]\w*", piece.strip())]
    return [word for word in words if "_" in word or not (with_underscore or word in ("not", "too"))]


def wrong_in_line(tree, line):
    for name in re.findall("`(" + TEST_FILE + ")", line):
        if tree.tests_of(name) is None:
            yield "no file %s" % name
    for name, mark, listed in LISTED.findall(line):
        tests = tree.tests_of(name)
        if tests is None:
            yield "no test %s" % name
        for test in names_in(listed, mark == "," or not name.endswith(".py")):
            if tests is not None and test not in tests:
                yield "no %s in %s" % (test, name)
    for listed, name in IN_FILE.findall(line):
        for test in re.findall(r"\w+", listed.replace(" and ", " ")):
            if test not in (tree.tests_of(name) or ()):
                yield "no %s in %s" % (test, name)
    for suite, test in SUITE.findall(line):
        if (suite, test) not in tree.suites and not os.path.exists(os.path.join(tree.root, suite, test)):
            yield "no test %s/%s" % (suite, test)
    for word in () if line.startswith("    ") else WORD.findall(line):  # what is indented so far is others' commands
        if word not in tree.words and re.sub("^lib", "", word) not in tree.words:
            yield "%s stands nowhere in the sources" % word
    for path in PATH.findall(SUITE.sub("", line)):
        if not os.path.exists(os.path.join(tree.root, path)):
            yield "no %s" % path
    for listed in TORTURE.findall(line):
        for name in re.sub(r"--minutes \d+|--list", "", listed).split():
            if name not in tree.torture:
                yield "scripts/torture knows no %s" % name


def wrong_in_proofs(tree, text):
    """(line, what) of the tables whose last column says by what something is proven or shown: no test, or one that is in no file."""
    scenarios = set().union(*(tests for file, tests in tree.tests.items() if file.endswith(".py")))
    inside = must_have = False
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\|.*\| (proven|shown) by \|$", line)
        inside = line.startswith("|") and (inside or header is not None)
        must_have = header.group(1) == "proven" if header else must_have
        if not inside or header or line.startswith("|---"):
            continue
        proof = line.split("|")[-2]
        if must_have and not re.search("`(" + TEST_FILE + "|tests/)|not tested: ", proof):
            yield number, "a row without a test"
        for name in re.findall(r"`(\w+)`", proof):
            if name not in scenarios:
                yield number, "no scenario %s" % name


def check_document(tree, document, text):
    folder = os.path.dirname(os.path.join(tree.root, document))
    unproven = list(wrong_in_proofs(tree, text))
    for number, line in enumerate(text.split("\n"), 1):
        wrong = list(wrong_in_line(tree, line)) + [what for at, what in unproven if at == number]
        wrong += ["no %s" % target for target in LINK.findall(line) if not os.path.exists(os.path.join(folder, target))]
        for what in dict.fromkeys(wrong):
            yield "%s:%d: %s" % (document, number, what)


# What is put in the place of what, and what must be said then.
PLANTED = (
    ("`killed`, `many_killed` in", "`killed`, `many_dead` in", "no many_dead in test_consumer_death.py"),
    ("`test_kill9.py`;", "`test_kill_9.py`;", "no file test_kill_9.py"),
    ("nothing | `test_disk_full.py` |", "nothing | a test |", "a row without a test"),
    ("| `sniffer` |", "| `snuffer` |", "no scenario snuffer"),
    ("tests/vm/power_cut`", "tests/vm/power_cuts`", "no tests/vm/power_cuts"),
    ("`docs/man/`", "`docs/men/`", "no docs/men/"),
    ("](docs/python.md)", "](docs/pithon.md)", "no docs/pithon.md"),
    ("`scripts/torture churn`", "`scripts/torture chum`", "scripts/torture knows no chum"),
    ("`test_network.py`: cuts, lost_answers", "`test_network.py`: cats, lost_answers", "no cats in test_network.py"),
    ("`test_permit.c`: every_operation_on_a_queue_needs_a_right", "`test_permit.c`: an_operation_needs_a_right", "no an_operation_needs_a_right in test_permit.c"),
    ("`test_lanes`, frames_of_a_connection_stay_in_order", "`test_lanes`, frames_stay_in_order", "no frames_stay_in_order in test_lanes"),
    ("`restore/a_graceful_stop_does_not_end_the_doubt_of_a_crash`", "`restore/a_stop_does_not_end_the_doubt`", "no test restore/a_stop_does_not_end_the_doubt"),
    ("`test_store_faults`, ", "`test_store_fault`, ", "no test test_store_fault"),
    ("`no_memory_service`)", "`no_memory_servant`)", "no_memory_servant stands nowhere in the sources"),
)


def self_test(tree, texts):
    bad = 0
    for right, wrong, expected in PLANTED:
        found = [line for document, text in texts.items() for line in check_document(tree, document, text.replace(right, wrong))]
        if not any(line.endswith(": " + expected) for line in found):
            print("not found: %r for %r (%d complaints)" % (wrong, right, len(found)))
            bad += 1
    print("%d of %d planted names were found" % (len(PLANTED) - bad, len(PLANTED)))
    return bad


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    tree = Tree(arguments.root)
    texts = {}
    for document in DOCUMENTS:
        with open(os.path.join(tree.root, document), encoding="utf-8") as file:
            texts[document] = file.read()
    if arguments.self_test:
        return 1 if self_test(tree, texts) else 0
    found = [line for document, text in texts.items() for line in check_document(tree, document, text)]
    for line in found:
        print(line)
    print("%d names that are nothing in %d documents" % (len(found), len(texts)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
