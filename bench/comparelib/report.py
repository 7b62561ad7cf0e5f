"""Reports: on the terminal, and between the markers of docs/benchmarks.md, where all other text is left alone."""
import re

from . import goals, tables
from .processes import Failed

_BEGIN, _END = "<!-- bench/compare: %s -->", "<!-- bench/compare: end -->"


def fill(document, parts):
    """The document with the text between each part's markers replaced. Parts that are "" were not measured: theirs stays."""
    for name, text in parts.items():
        if not text:
            continue
        begin = re.escape(_BEGIN % name)
        pattern = re.compile("(%s\n).*?(%s)" % (begin, re.escape(_END)), re.S)
        document, count = pattern.subn(lambda match, text=text: match.group(1) + "\n" + text.strip("\n") + "\n\n" + match.group(2), document)
        if count != 1:
            raise Failed("the document has %s for the part '%s'" % ("no place" if count == 0 else "%d places" % count, name))
    return document


def parts(run, figures):
    return {name: part(run, figures) for name, part in tables.PARTS.items()}


def write(path, run, figures):
    with open(path, encoding="utf-8") as file:
        document = fill(file.read(), parts(run, figures))
    with open(path, "w", encoding="utf-8") as file:
        file.write(document)


def show(run, figures, names):
    """Print the parts named, those that have something to say."""
    for name in names:
        text = tables.PARTS[name](run, figures)
        if text:
            print("## %s\n\n%s" % (name, text))


def show_goals(run, figures):
    """One line for each goal that this run has measured; whether all minima hold."""
    hold = True
    for judged in goals.judge(run, figures):
        if judged.spread is not None:
            value, bound = tables.goal_value(judged)
            word = {True: "pass", False: "MISS", None: "-"}[judged.passed]
            print("%-5s %-8s %s: %s%s%s" % (word, judged.kind, judged.text, value, bound and ", " + bound, judged.against and " (%s)" % judged.against))
            hold = hold and (judged.passed or judged.kind != "minimum")
    return hold
