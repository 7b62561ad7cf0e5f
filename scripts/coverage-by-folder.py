#!/usr/bin/env python3
"""Line coverage by folder from gcovr's --json-summary; exits 1 when a folder that must be covered is below its least.

    coverage-by-folder.py SUMMARY.json
"""
import collections
import json
import sys

LEAST = {"broker/engine": 95.0, "broker/dispatch": 95.0, "broker/store": 95.0, "proto": 95.0}


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 64
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    lines = collections.defaultdict(lambda: [0, 0])
    for entry in files:
        folder = entry["filename"].rpartition("/")[0]
        lines[folder][0] += entry["line_covered"]
        lines[folder][1] += entry["line_total"]
    low = []
    for folder, (covered, total) in sorted(lines.items()):
        percent = 100.0 * covered / total if total else 100.0
        least = LEAST.get(folder)
        print("  %-18s %5.1f %%  %5d of %5d lines%s" % (folder, percent, covered, total, "" if least is None else ", %.0f %% at least" % least))
        if least is not None and percent < least:
            low.append(folder)
    missing = [folder for folder in LEAST if folder not in lines]
    for folder in low + missing:
        print("too little of %s is covered" % folder)
    return 1 if low or missing else 0


if __name__ == "__main__":
    sys.exit(main())
