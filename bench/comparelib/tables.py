"""The generated parts of docs/benchmarks.md, each a function (run, figures) -> Markdown, "" when nothing of it was measured."""
from . import goals
from .figures import ratio

LIMIT_NAMES = {"append": "growing file", "recycle": "file written over"}


def number(value):
    """1,234,567 with three significant digits; what is small keeps its decimals."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    for bound, digits in ((100, 0), (10, 1), (1, 2), (0.1, 2)):
        if abs(value) >= bound:
            break
    else:
        digits = 4
    if digits == 0:
        magnitude = 10 ** max(0, len("%d" % abs(value)) - 3)
        return format(round(value / magnitude) * magnitude, ",d")
    return "%.*f" % (digits, value)


def spread_text(spread, scale=1):
    if spread is None:
        return "–"
    if len(spread.values) == 1 or spread.low == spread.high:
        return number(spread.median * scale)
    return "%s (%s–%s)" % (number(spread.median * scale), number(spread.low * scale), number(spread.high * scale))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def size_text(size):
    for unit, factor in (("MB", 1000000), ("kB", 1000)):
        if size >= factor:
            return "%g %s" % (size / factor, unit)
    return "%d B" % size


def _contest_table(run, figures, section, key, heads, field="items_per_s", scale=1, **params):
    """One row a contestant, durable first; one column a value of `key`; the best of each half in bold."""
    values = [value for value in heads if value in figures.params(section, key)]
    rows = []
    for durable in (True, False):
        names = [name for name in run["contestants"] if run["contestants"][name]["durable"] == durable and name in figures.names(section)]
        best = {value: figures.best(section, names, field, **dict(params, **{key: value})) for value in values}
        for name in names:
            cells = []
            for value in values:
                text = spread_text(figures.spread(section, name, field, **dict(params, **{key: value})), scale)
                cells.append("**%s**" % text if best[value] == name else text)
            rows.append([name] + cells)
    return table(["", *(heads[value] for value in values)], rows) if values and rows else ""


def cycles(run, figures):
    text = _contest_table(run, figures, "cycles", "window", {1: "window 1", 100: "window 100", 1000: "window 1000"})
    return text and "Cycles a second; median (lowest–highest) of %d rounds.\n\n%s" % (run["repeat"], text)


def crowd(run, figures):
    return _contest_table(run, figures, "crowd", "producers", {50: "cycles/s, 50 + 50 clients"})


def sizes(run, figures):
    cycles_text = _contest_table(run, figures, "sizes", "size", {size: size_text(size) + ", cycles/s" for size in (1000, 100000)})
    bytes_text = _contest_table(run, figures, "sizes", "size", {1000000: "1 MB, MB/s"}, "bytes_per_s", 1e-6)
    return "\n".join(text for text in (cycles_text, bytes_text) if text)


def queues(run, figures):
    rows = []
    for name in figures.names("queues"):
        one = figures.by_repeat("queues", name, queues=1)
        for count in figures.params("queues", "queues"):
            share = ratio(figures.by_repeat("queues", name, queues=count), one)
            rows.append([name, format(count, ",d"), spread_text(figures.spread("queues", name, queues=count)), spread_text(share),
                         spread_text(figures.spread("queues", name, "written_bytes_per_item", queues=count))])
    return table(["", "queues", "cycles/s", "of one queue's", "bytes written an item"], rows) if rows else ""


def curve(run, figures):
    rows = []
    for size in figures.params("curve", "size"):
        for window in figures.params("curve", "window"):
            for name in figures.names("curve"):
                plain = name.replace(", CURVE", "")
                spread = figures.spread("curve", name, size=size, window=window)
                if name != plain and spread is not None:
                    share = ratio(figures.by_repeat("curve", name, size=size, window=window), figures.by_repeat("curve", plain, size=size, window=window))
                    rows.append([name, size_text(size), str(window), spread_text(spread), spread_text(share)])
    return table(["", "items", "window", "cycles/s", "of those without"], rows) if rows else ""


def latency(run, figures):
    rows = []
    for rate in figures.params("latency", "rate"):
        for name in figures.names("latency"):
            reached = figures.median("latency", name, rate=rate)
            if reached is None:
                continue
            behind = "" if reached >= 0.95 * rate else "falls behind: %s/s" % number(reached)
            rows.append(["%s/s" % format(rate, ",d"), name] + [spread_text(figures.spread("latency", name, "latency_us.put_to_get." + field, rate=rate))
                                                              for field in ("p50", "p99", "p99_9")] + [behind])
    return table(["rate", "", "p50 µs", "p99 µs", "p99.9 µs", ""], rows) if rows else ""


def backlog(run, figures):
    rows = []
    for name in figures.names("backlog"):
        def add(what, text, name=name):
            rows.append([name, what, text])
        for what, label in (("put", "put up to 10 M items, items/s"), ("drain", "drained, items/s")):
            add(label, spread_text(figures.spread("backlog", name, what=what)))
        for items in figures.params("backlog cycles", "backlog"):
            where = "on top of %s items" % format(items, ",d") if items else "on an empty queue"
            add("cycles/s " + where, spread_text(figures.spread("backlog cycles", name, backlog=items)))
        seconds = figures.spread("backlog", name, "seconds", what="start")
        if seconds is not None:
            add("serving again after a stop, seconds", spread_text(seconds))
        for when, label in (("empty", "before"), ("full", "with 10 M items"), ("started", "after the start with them"), ("drained", "drained")):
            memory = figures.spread("backlog memory", name, "bytes", when=when)
            if memory is not None:
                add("own memory (RssAnon), " + label + ", MiB", spread_text(memory, 1 / (1 << 20)))
    return table(["", "", "measured"], rows) if rows else ""


def burst(run, figures):
    rows = [[name, spread_text(figures.spread("burst", name, what="put")), spread_text(figures.spread("burst", name, what="drain")),
             spread_text(figures.spread("burst memory", name, "bytes_per_item"))] for name in figures.names("burst")]
    return table(["", "put, items/s", "drained, items/s", "own memory a queued item, bytes"], rows) if rows else ""


def resources(run, figures):
    rows = [[name, what, spread_text(figures.spread("idle", name, "cpu_share", what=what), 100), spread_text(figures.spread("idle", name, "bytes", what=what), 1 / (1 << 20))]
            for name in figures.names("idle") for what in figures.params("idle", "what") if figures.spread("idle", name, "cpu_share", what=what)]
    memory = [[name, "%s %s" % (format(count, ",d"), what), spread_text(figures.spread("memory", name, "bytes_each", of=what, count=count), 1e-3)]
              for name in figures.names("memory") for what in figures.params("memory", "of") for count in figures.params("memory", "count")
              if figures.spread("memory", name, "bytes_each", of=what, count=count)]
    parts = [table(["", "", "CPU, %", "own memory, MiB"], rows)] if rows else []
    return "\n".join(parts + ([table(["", "", "kB each"], memory)] if memory else []))


def limits(run, figures):
    rows = []
    for size in figures.params("limits", "size"):
        for name in figures.names("limits"):
            manners = [None] if name.startswith("ZeroMQ") else sorted(LIMIT_NAMES)
            for manner in manners:
                params = {"size": size} if manner is None else {"size": size, "file": manner}
                rate = figures.spread("limits", name, **params)
                if rate is not None:
                    pieces = size_text(size) if manner is None else "%g kB, %s" % (size / 1024, LIMIT_NAMES[manner])
                    rows.append([name, pieces, spread_text(rate), spread_text(figures.spread("limits", name, "bytes_per_s", **params), 1e-6)])
    rows.sort(key=lambda row: row[0])
    return table(["", "pieces", "a second", "MB/s"], rows) if rows else ""


def python(run, figures):
    rows = [[name, spread_text(figures.spread("python", name))] for name in figures.names("python")]
    return table(["Python %s" % run["machine"]["python"], "cycles/s"], rows) if rows else ""


def goal_value(judged):
    scale = 100 if judged.unit == "share" else 1
    unit = {"share": " %", "x": " times", "us": " µs"}.get(judged.unit, " " + judged.unit)
    return spread_text(judged.spread, scale) + unit, "%s %s%s" % (judged.relation, number(judged.bound * scale), unit) if judged.relation else ""


def verdict(judged):
    if judged.kind == "beside":
        return ""
    return {None: "not measured", True: "pass", False: "**miss**"}[judged.passed]


def goals_table(run, figures):
    rows = []
    for judged in goals.judge(run, figures):
        value, bound = goal_value(judged) if judged.spread else ("–", goal_value(judged)[1])
        rows.append([judged.kind, judged.text, value, bound, judged.against, verdict(judged)])
    return table(["", "what", "measured", "asked for", "beside", ""], rows)


def machine(run, figures):
    about = run["machine"]
    versions = sorted({entry["version"] for entry in run["contestants"].values()})
    lines = ["%s, %d cores, %d GiB; %s, Linux %s, %s; netqueue %s." % (about["processor"], about["cores"], about["memory_gib"], about["system"],
                                                                    about["kernel"], about["file_system"], about["commit"]),
             "Measured %s in %s with" % (run["date"], "%d minutes" % round(run["took_seconds"] / 60) if run["took_seconds"] >= 90 else "%d seconds" % run["took_seconds"]),
             "", "    " + run["command"], "",
             "Servers: %s. Libraries: %s." % ("; ".join(versions), ", ".join("%s %s" % pair for pair in sorted(about["libraries"].items())))]
    if run["left_out"]:
        lines.append("Left out: %s." % "; ".join(run["left_out"]))
    if figures.failures:
        lines += ["", "Failed runs: %s." % "; ".join("%s, %s %s: %s" % (f["name"], f["section"], f["params"], f["error"]) for f in figures.failures)]
    return "\n".join(lines) + "\n"


def configuration(run, figures):
    return table(["", "started as", "when an item is accepted, it is", "used by"],
                 [[name, "`%s`" % about["configuration"], about["durability"], about["manner"]] for name, about in run["contestants"].items()])


PARTS = {"machine": machine, "goals": goals_table, "cycles": cycles, "crowd": crowd, "sizes": sizes, "queues": queues, "curve": curve, "latency": latency,
         "backlog": backlog, "burst": burst, "resources": resources, "limits": limits, "python": python, "configuration": configuration}
