"""The plots of docs/benchmarks/, as SVG."""
import os

from . import contest
from .tables import number, size_text

BLUE, THEIRS, UNFLUSHED, OTHER = "#1668b8", "#8d99a6", "#d3d9df", "#d08a2e"
WINDOWS = {1: "lock-step (window 1)", 100: "window 100", 1000: "window 1000"}


def _pyplot():
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "netqueue", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif", "axes.spines.top": False,
                                "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold", "legend.frameon": False, "figure.facecolor": "white"})
    import matplotlib.pyplot
    return matplotlib.pyplot


def _save(pyplot, figure, path):
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.15)
    pyplot.close(figure)
    with open(path) as file:  # no blanks at the ends of lines
        lines = [line.rstrip() for line in file]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


def _is_ours(run, name):
    return run["contestants"][name]["family"] in contest.OURS


def _color(run, name):
    about = run["contestants"][name]
    return BLUE if _is_ours(run, name) else UNFLUSHED if about["durable"] and not about["flushes"] else THEIRS


def _short(value, _=None):
    """An axis' 1,200,000 as 1.2 M."""
    for bound, unit in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= bound:
            return "%g%s" % (round(value / bound, 3), unit)
    return "%g" % round(value, 3)


def _bars(axes, run, bars, label):
    """(name, Spread) from the highest down, each with its figure."""
    bars = sorted((bar for bar in bars if bar[1] is not None), key=lambda bar: bar[1].median)
    colors = [_color(run, name) for name, _ in bars]
    medians = [spread.median for _, spread in bars]
    axes.barh([name for name, _ in bars], medians, color=colors, height=0.72)
    for place, (name, spread) in enumerate(bars):
        axes.plot([spread.low, spread.high], [place, place], color="#333333", linewidth=1)
        axes.annotate(number(spread.median), (spread.high, place), xytext=(4, 0), textcoords="offset points", va="center",
                      fontweight="bold" if _is_ours(run, name) else "normal")
    axes.set_xlim(0, max([spread.high for _, spread in bars], default=1) * 1.3)
    axes.set_title(label, loc="left")
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def cycles(pyplot, run, figures, path):
    windows = [window for window in (1000, 100, 1) if window in figures.params("cycles", "window")]
    if not windows:
        return False
    figure, grid = pyplot.subplots(2, len(windows), figsize=(5.2 * len(windows), 5.6), squeeze=False)
    for row, durable in enumerate((True, False)):
        names = [name for name, about in run["contestants"].items() if about["durable"] == durable and name in figures.names("cycles")]
        for column, window in enumerate(windows):
            title = "%s, %s" % ("on disk" if durable else "in memory only", WINDOWS[window])
            _bars(grid[row][column], run, [(name, figures.spread("cycles", name, window=window)) for name in names], title)
    figure.suptitle("Work queue cycles per second (put, get, task done), 100-byte items, one producer and one consumer; longer is better",
                    x=0.01, ha="left", fontweight="bold", fontsize=11)
    figure.text(0.01, 0.005, "Median of %d rounds on %d cores, thin line: lowest to highest. On disk: each server's safest setting; pale: answers before the item is "
                "flushed to the disk." % (run["repeat"], run["machine"]["cores"]), ha="left", fontsize=8, color="#555555")
    figure.tight_layout(rect=(0, 0.03, 1, 0.97))
    _save(pyplot, figure, path)
    return True


def latency(pyplot, run, figures, path):
    rate = 10000
    halves = []
    for durable in (True, False):
        rows = []
        for name in figures.names("latency"):
            if run["contestants"][name]["durable"] != durable:
                continue
            reached = figures.median("latency", name, rate=rate)
            points = [figures.median("latency", name, "latency_us.put_to_get." + field, rate=rate) for field in ("p50", "p99", "p99_9")]
            if reached is not None and reached >= 0.95 * rate and all(points):
                rows.append((name, points))
        halves.append(sorted(rows, key=lambda row: -row[1][0]))
    if not any(halves):
        return False
    figure, grid = pyplot.subplots(1, 2, figsize=(11, 3.4))
    for axes, rows, title in zip(grid, halves, ("on disk", "in memory only")):
        for place, (name, points) in enumerate(rows):
            color = BLUE if _is_ours(run, name) else "#6b7682"
            axes.plot(points, [place] * 3, color=color, linewidth=1.2, zorder=1)
            for value, marker in zip(points, "o|D"):
                axes.scatter([value], [place], color=color, marker=marker, s=36, zorder=2)
            axes.annotate("%s µs" % number(points[0]), (points[0], place), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8, color=color)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.2)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: format(value, ",.0f"))
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.4, high * 1.2)
        axes.set_xlabel("µs from put to get")
        axes.set_title(title, loc="left")
        axes.grid(axis="x", color="#e5e8eb", zorder=0)
    figure.suptitle("Latency at 10,000 items a second, one consumer waiting: ● median, | 99 %, ◆ 99.9 %; further left is better", x=0.01, ha="left",
                    fontweight="bold", fontsize=11)
    figure.text(0.01, 0.005, "What does not keep up with that rate is left out.", ha="left", fontsize=8, color="#555555")
    figure.tight_layout(rect=(0, 0.03, 1, 0.97))
    _save(pyplot, figure, path)
    return True


CURVE_STYLES = {"netqueue durable": (BLUE, "-"), "netqueue memory": (BLUE, "--"), "Redis list, AOF always": (OTHER, "-"), "Redis list, memory": (OTHER, "--"),
                "Redis stream, AOF always": ("#b04a5a", "-"), "Redis stream, memory": ("#b04a5a", "--")}


def _curve(axes, figures, section, key, title, x_label, field="items_per_s", scale=1.0, y_label="cycles/s", log_y=True):
    values = figures.params(section, key)
    places = {value: place for place, value in enumerate(values)}  # evenly spaced: an empty queue has no place on a logarithmic axis
    for name in figures.names(section):
        points = [(places[value], figures.median(section, name, field, **{key: value})) for value in values]
        points = [(x, y * scale) for x, y in points if y]
        color, line = CURVE_STYLES.get(name, (THEIRS, "-"))
        axes.plot([x for x, _ in points], [y for _, y in points], line, color=color, marker="o", markersize=3.5, label=name)
    axes.set_yscale("log" if log_y else "linear")
    if not log_y:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_short)
    axes.set_title(title, loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#e5e8eb")
    axes.set_xticks(range(len(values)), [size_text(value) if key == "size" else _short(value) for value in values])
    axes.minorticks_off()


CURVES = (
    ("window curve", "window", "Cycles against window", "items on their way", {}),
    ("client curve", "producers", "Cycles against lock-step clients", "producers, and as many consumers", {}),
    ("client curve", "producers", "Latency of a put, lock-step", "producers, and as many consumers", {"field": "latency_us.put.p50", "y_label": "median, µs"}),
    ("queue curve", "queues", "Cycles against queues", "queues", {"log_y": False}),
    ("size curve", "size", "Bytes a second against item size", "size of an item", {"field": "bytes_per_s", "scale": 1e-6, "y_label": "MB/s"}),
    ("backlog cycles", "backlog", "Cycles on top of a backlog", "items in the queue", {"log_y": False}),
)


def curves(pyplot, run, figures, path):
    present = [curve for curve in CURVES if figures.params(curve[0], curve[1])]
    if not present:
        return False
    rows = (len(present) + 2) // 3
    figure, grid = pyplot.subplots(rows, 3, figsize=(13, 3.6 * rows), squeeze=False)
    cells = [axes for row in grid for axes in row]
    for axes, (section, key, title, x_label, options) in zip(cells, present):
        _curve(axes, figures, section, key, title, x_label, **options)
    for axes in cells[len(present):]:
        axes.set_visible(False)
    handles = {}
    for axes in cells:
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=len(handles))
    _save(pyplot, figure, path)
    return True


PLOTS = {"cycles.svg": cycles, "latency.svg": latency, "curves.svg": curves}


def draw(run, figures, directory):
    """Draw what was measured; the names of the files written. ImportError: no matplotlib."""
    pyplot = _pyplot()
    os.makedirs(directory, exist_ok=True)
    return [name for name, plot in PLOTS.items() if plot(pyplot, run, figures, os.path.join(directory, name))]
