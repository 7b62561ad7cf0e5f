"""What bench/compare is made of.

processes.py  programs with their pids, /proc
servers.py    netqueue and its peers: how each is started, in which configuration
contest.py    who takes part: a server, a manner of using it, a load program
load.py       one run of a load program
sections/     what is measured
figures.py    medians, spreads and ratios of records
goals.py      the closing minima and goals, judged from figures
machine.py    what is being measured on
report.py     docs/benchmarks.md; tables.py, plots.py its parts
"""
import os
import sys

# For ports.py, which is the tests' own.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "tests", "integration"))
