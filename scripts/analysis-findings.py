#!/usr/bin/env python3
"""analysis-findings.py TOOL LOG: what clang-tidy or gcc -fanalyzer says beyond analysis-known.txt.

TOOL is `clang-tidy` or `gcc`, LOG its output. Each finding that is not known is printed; then the exit code is 1. A finding is known
when a line of scripts/analysis-known.txt names its tool, file and check, and the text of its line of source: not the line's number,
which moves."""
import os
import re
import sys

FINDING = re.compile(r"^(?P<path>[^\s:]+):(?P<line>\d+):\d+: (?:warning|error): (?P<text>.*) \[(?P<check>[^\]]+)\]$")


def read_known(path, tool):
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(" | ", 3) for line in file if line.strip() and not line.startswith("#")]
    return {tuple(row[1:]) for row in rows if row[0] == tool}


def source_line(path, number):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")[number - 1].strip()


def findings(log, root):
    """(file, check, line of source, what was said), each once."""
    seen = set()
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = FINDING.match(line.rstrip("\n"))
            if match is None or not match["check"].startswith(("clang-analyzer-", "-Wanalyzer-")):
                continue
            path = os.path.relpath(os.path.join(root, "build", "any", match["path"]), root)  # absolute, or from a folder of builds
            entry = (path, match["check"], source_line(os.path.join(root, path), int(match["line"])), line.strip())
            if entry[:3] not in {s[:3] for s in seen}:
                seen.add(entry)
    return sorted(seen)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("clang-tidy", "gcc"):
        sys.exit(__doc__.split("\n")[0])
    scripts = os.path.dirname(os.path.abspath(__file__))
    known = read_known(os.path.join(scripts, "analysis-known.txt"), sys.argv[1])
    found = findings(sys.argv[2], os.path.dirname(scripts))
    new = [entry for entry in found if entry[:3] not in known]
    for entry in new:
        print("%s\n  in analysis-known.txt, were it none: %s | %s" % (entry[3], sys.argv[1], " | ".join(entry[:3])))
    for entry in sorted(known - {entry[:3] for entry in found}):
        print("no longer said: %s" % " | ".join(entry))
    print("%d findings, %d of them known" % (len(found), len(found) - len(new)))
    sys.exit(1 if new else 0)


main()
