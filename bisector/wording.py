"""Numbers and names as people read them: percentages, durations, counts, targets.

Invariant: what comes out is printable and on one line whatever went in. Names come from the
benchmarked program (`co_qualname` can be set to anything), so every name and message that a person
will see passes through `visible` first; escape sequences in a function's name stay inert.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bisector.schema import UNBOUNDED, Estimate, Metric, Summary

_NOUNS = {
    "req": "request",
    "reqs": "request",
    "it": "iteration",
    "its": "iteration",
    "op": "operation",
    "ops": "operation",
    "rps": "request",
    "qps": "query",
    "fps": "frame",
    "queries": "query",
    "batches": "batch",
}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def visible(text: str) -> str:
    """``text`` on one line, with all that is not printable written as an escape (``\\x1b``)."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def percent(fraction: float) -> str:
    """A fraction as a percentage with about two or three significant digits: ``31%``, ``4.2%``."""
    if abs(fraction) >= UNBOUNDED:
        return "unbounded"
    return ("−" if fraction < 0 else "") + _percent(abs(fraction) * 100)


def _percent(size: float) -> str:
    if size >= 99.95:
        return f"{size:.0f}%"
    if size >= 9.95:
        return f"{size:.1f}%".replace(".0%", "%")
    if size >= 0.995:
        return f"{size:.1f}%"
    return f"{size:.2f}%" if size >= 0.005 else "0%"


def about(fraction: float) -> str:
    """A fraction for prose, two significant digits: ``96%``, ``1.2%``, ``0.2%``."""
    value = fraction * 100
    size = abs(value)
    if abs(fraction) >= UNBOUNDED:
        return "an unbounded share"
    if size >= 9.5 or size < 0.005:
        return f"{value:.0f}%".replace("-0%", "0%")
    return f"{value:.1f}%" if size >= 0.095 else f"{value:.2f}%"


def at_most(fraction: float) -> str:
    """An upper bound for prose: as `about`, but rounded up, and never below zero."""
    value = max(fraction, 0.0) * 100
    if fraction >= UNBOUNDED:
        return about(fraction)
    scale = 1 if value >= 9.5 else 10 if value >= 0.095 else 100
    return about(math.ceil(value * scale - 1e-9) / scale / 100)


def percent_range(lo: float, hi: float) -> str:
    """A confidence interval of fractions: ``30% … 33%``."""
    return f"{percent(lo)} … {percent(hi)}"


def percent_with_interval(value: Estimate | None) -> str:
    """``31% [30% … 33%]``, or a dash where nothing is known."""
    if value is None:
        return "—"
    return f"{percent(value.estimate)} [{percent_range(*value.ci95)}]"


def duration_ns(ns: float) -> str:
    """Nanoseconds with three significant digits in the unit that fits: ``5.20 ms``."""
    size = abs(ns)
    if size >= UNBOUNDED:
        return "unbounded"
    for limit, scale, unit in ((1e3, 1.0, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms")):
        if size < limit * 0.9995:
            return f"{_digits(ns / scale)} {unit}"
    return f"{_digits(ns / 1e9)} s" if size < 600e9 else clock_s(ns / 1e9)


def clock_s(seconds: float) -> str:
    """Seconds as a person says them: ``8 s``, ``1 min 30 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {secs} s" if secs else f"{minutes} min"
    return f"{secs} s"


def number(value: float) -> str:
    """A number with three significant digits, exponents only at the extremes: ``0.0213``."""
    size = abs(value)
    if size >= 1e15:
        return "unbounded" if size >= UNBOUNDED else f"{value:.2e}"
    if size >= 1e6:
        return f"{value:,.0f}"
    if size and size < 1e-3:
        return f"{value:.1e}"
    return _digits(value)


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 99.95 or value == 0:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.3g}"


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """``1 function``, ``2 functions``."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def counted_runs(summary: Summary, n: int) -> str:
    """So many runs, or windows of one."""
    return counted(n, "window" if summary.environment.get("mode") == "live" else "run")


def counted_word(n: int, noun: str, plural: str | None = None) -> str:
    """``one function``, ``two functions``, ``12 functions``: for prose."""
    word = _WORDS[n] if 0 <= n < len(_WORDS) else str(n)
    return f"{word} {noun if n == 1 else plural or noun + 's'}"


def listed(items: Iterable[str], most: int = 4) -> str:
    """``a``, ``a and b``, ``a, b and c``; beyond ``most`` the rest is counted, never dropped."""
    names = list(items)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]


class Spoken(NamedTuple):
    """How sentences speak of what was measured. A *drop* is the share of throughput lost."""

    noun: str
    name: str
    lowers: str
    limit: str
    limited: str
    falls: str

    @property
    def lower(self) -> str:
        """As in "does not lower"."""
        return self.lowers.removesuffix("s")

    def change(self, drop: float) -> str:
        """Signed: a drop of 0.07 is ``−7%`` of throughput, ``+7.5%`` of latency."""
        change = _longer(drop) if self is LATENCY else -drop
        sign = "+" if change > 0 else "−" if change < 0 else "±"
        return sign + percent(abs(change))

    def costs(self, drop: float) -> str:
        """What slowing something does at most."""
        if self is LATENCY:
            return f"adds at most {at_most(_longer(drop))} to the latency"
        return f"costs at most {at_most(drop)} of throughput"


def _longer(drop: float) -> float:
    """By which part the time per unit grows."""
    return drop / (1.0 - drop) if drop < 1.0 else UNBOUNDED


THROUGHPUT = Spoken("throughput", "throughput", "lowers", "limit", "limited", "falls")
LATENCY = Spoken("the latency", "latency", "raises", "set", "set", "grows")


def spoken(metric: Metric) -> Spoken:
    """How to speak of this metric."""
    return LATENCY if metric.source.startswith("latency:") else THROUGHPUT


def unit_noun(metric: Metric) -> str:
    """What one unit of work is called: ``token`` for ``tokens/s``, ``step`` for calls of
    ``engine:Engine.step``, else ``unit`` or ``run``."""
    module, _, function = metric.name.rpartition(":")
    if metric.unit == "calls/s" and module:
        word = function.rpartition(".")[2].strip("_")
        return word if word.isidentifier() else "call"
    if metric.source == "time" or metric.name == "time":
        return "run"
    head = metric.unit.strip().lower().replace(" per ", "/").partition("/")[0].strip()
    word = head.rpartition(" ")[2]
    if not metric.higher_is_better or not word.isalpha() or word in ("s", "ms", "us", "ns"):
        return "unit"
    if word in _NOUNS:
        return _NOUNS[word]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word


def shorten(name: str, width: int) -> str:
    """``name`` cut in the middle to ``width`` characters; for displays that come and go.

    The end (the function) keeps two thirds of the room: it tells more than the package does.
    """
    if len(name) <= width:
        return name
    if width < 5:
        return name[-width:]
    tail = (width - 1) * 2 // 3
    return name[: width - 1 - tail] + "…" + name[-tail:]


def folded(name: str, width: int) -> list[str]:
    """``name`` on as many lines of at most ``width`` characters as it needs, nothing left out.

    Breaks after ``.``, ``:``, ``/`` or ``_`` where one lies in the second half of a line.
    """
    lines = []
    while len(name) > width:
        cut = max(name.rfind(c, width // 2, width) for c in ".:/_") + 1 or width
        lines.append(name[:cut])
        name = name[cut:]
    return [*lines, name]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Prose in lines of at most ``width``; words longer than a line are folded like names."""
    lines: list[str] = []
    line = indent
    for word in text.split():
        parts: Sequence[str] = folded(word, width - len(indent))
        for part in parts:
            if line != indent and len(line) + 1 + len(part) > width:
                lines.append(line)
                line = indent
            line = line + part if line == indent else f"{line} {part}"
    return [*lines, line] if line != indent else lines
