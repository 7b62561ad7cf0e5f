#!/usr/bin/env python3
"""Counts the instructions of the engine's operations under callgrind and compares them with the record.

    check_instructions.py --program build/release/bin/engine_path [--record FILE]            compare
    check_instructions.py --program build/release/bin/engine_path [--record FILE] --update   write the record anew

Exit code 0: no operation needs more than 10 % more than recorded. 1: one does, or the record and the program do not name the same
operations. 77: cannot be compared here (no valgrind, another compiler than the record's), with the reason.
"""
import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

GROWTH_MAX = 0.10
SKIPPED = 77
HEAD = ("# Instructions an item of the engine's operations (engine_path.c) under callgrind, release build. A test fails when one grows by\n"
        "# more than 10 %. Written by: cmake --build --preset release --target record-instructions\n")


def skip(why):
    print("skipped: engine_instructions: " + why)
    return SKIPPED


def built_with(program):
    version = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return "%s %s" % (version, platform.machine())


def parse_inclusive(text):
    """op_NAME -> instructions of it and all it calls, from callgrind_annotate --inclusive=yes."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([\d,]+)\s.*?:(op_\w+)\b", line)
        if match:
            found[match.group(2)] = found.get(match.group(2), 0) + int(match.group(1).replace(",", ""))
    return found


def count(program):
    """op_NAME -> instructions an item."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, program], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        annotated = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--auto=no", "--threshold=100", out], check=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    items = {}
    for line in run.stdout.splitlines():
        name, number = line.split()
        items[name] = items.get(name, 0) + int(number)
    instructions = parse_inclusive(annotated)
    missing = sorted(set(items) - set(instructions))
    if missing:
        raise SystemExit("callgrind does not name %s (a build without symbols?)" % ", ".join(missing))
    return {name: instructions[name] / items[name] for name in items}


def read_record(path):
    with open(path, encoding="ascii") as file:
        lines = [line.split(None, 1) for line in file if line.strip() and not line.startswith("#")]
    record = {name: value.strip() for name, value in lines}
    return record.pop("compiler"), {name: float(value) for name, value in record.items()}


def write_record(path, compiler, counts):
    with open(path, "w", encoding="ascii") as file:
        file.write(HEAD)
        file.write("%-24s %s\n" % ("compiler", compiler))
        for name in sorted(counts):
            file.write("%-24s %.1f\n" % (name, counts[name]))
    print("written: " + path)


def compare(recorded, counts):
    """One line for each operation; how many are wrong."""
    wrong = 0
    for name in sorted(set(recorded) | set(counts)):
        if name not in recorded or name not in counts:
            print("FAILED  %-24s is %s" % (name, "not in the record" if name in counts else "in the record only"))
            wrong += 1
            continue
        growth = counts[name] / recorded[name] - 1
        failed = growth > GROWTH_MAX
        wrong += failed
        print("%-7s %-24s %8.1f instructions an item, recorded %8.1f: %+.1f %%%s" % (
            "FAILED" if failed else "ok", name, counts[name], recorded[name], 100 * growth, " (10 % are allowed)" if failed else ""))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--record", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "engine-instructions.txt"))
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    if not shutil.which("valgrind") or not shutil.which("callgrind_annotate"):
        return skip("no valgrind: scripts/install-deps")
    compiler = built_with(options.program)
    if options.update:
        write_record(options.record, compiler, count(options.program))
        return 0
    recorded_compiler, recorded = read_record(options.record)
    if recorded_compiler != compiler:
        return skip("recorded with %s, this is %s" % (recorded_compiler, compiler))
    wrong = compare(recorded, count(options.program))
    if wrong:
        print("%d wrong. If that is meant: cmake --build --preset release --target record-instructions, and say why in the commit" % wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
