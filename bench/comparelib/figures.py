"""Medians, spreads and ratios of the records of one run. Pure: it works on recorded data as on fresh."""
import statistics


class Spread:
    """The median of repeats with the lowest and the highest."""

    def __init__(self, values):
        self.values = list(values)
        self.median, self.low, self.high = statistics.median(self.values), min(self.values), max(self.values)


class Figures:
    def __init__(self, records):
        self.records = [record for record in records if "result" in record]
        self.failures = [record for record in records if "error" in record]

    def by_repeat(self, section, name, field="items_per_s", **params):
        """repeat -> value of the records that fit; `field` is a path with dots. The last record of a repeat counts."""
        found = {}
        for record in self.records:
            if record["section"] == section and record["name"] == name and all(record["params"].get(k) == v for k, v in params.items()):
                value = record["result"]
                for part in field.split("."):
                    value = value.get(part) if isinstance(value, dict) else None
                if value is not None:
                    found[record["repeat"]] = value
        return found

    def spread(self, section, name, field="items_per_s", **params):
        """A Spread, or None when nothing was measured."""
        values = self.by_repeat(section, name, field, **params)
        return Spread(values.values()) if values else None

    def median(self, section, name, field="items_per_s", **params):
        spread = self.spread(section, name, field, **params)
        return spread.median if spread else None

    def best(self, section, names, field="items_per_s", **params):
        """The name with the highest median, or None."""
        measured = [(self.median(section, name, field, **params), name) for name in names]
        measured = [pair for pair in measured if pair[0] is not None]
        return max(measured)[1] if measured else None

    def names(self, section):
        """In the order in which they were first measured."""
        return list(dict.fromkeys(record["name"] for record in self.records if record["section"] == section))

    def params(self, section, key):
        return sorted({record["params"][key] for record in self.records if record["section"] == section and key in record["params"]})


def ratio(above, below):
    """Spread of the ratios within each repeat: only what was measured in the same round is compared. None: no round has both."""
    common = [repeat for repeat in above if below.get(repeat)]
    return Spread(above[repeat] / below[repeat] for repeat in common) if common else None
