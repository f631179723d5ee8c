"""What a run is measured by: the metric as the user wrote it, and its number in one run's output.

A metric is *resolved* once, on the first run, and then stays what it is: an ``auto`` that found
``1234.5 tokens/s`` in the first run looks for exactly that in every other one, and says so when it
is not there, rather than falling back on something else in the middle of an experiment.

Every metric ends as **time per unit** in seconds: the reciprocal of a rate, a latency as it is, the
wall time of the run. Nothing that is missing, zero, negative or not finite ever becomes a number:
`MetricError` says in one sentence what was found instead.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bisector.marks import is_mark, mark_target
from bisector.point import Point, time_on_the_way_ns
from bisector.rates import Rate, find_rates
from injector.records import ProcessRecord

Kind = Literal["auto", "time", "regex", "json", "progress", "latency", "rate"]

_TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0}
_TIME_UNIT = re.compile(r"\s*(ns|us|µs|μs|ms|s)(?:ec\w*)?\b")
_NUMBER = re.compile(r"[+-]?(?:\d[\d,_]*)?\.?\d*(?:[eE][+-]?\d+)?")


class MetricError(ValueError):
    """This run gave no usable number; the message is one sentence about what was found instead."""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric as written: ``text`` is the whole of it, ``detail`` what follows ``kind:``."""

    kind: Kind
    detail: str
    text: str

    @classmethod
    def parse(cls, text: str) -> MetricSpec:
        """Read ``auto``, ``time``, ``regex:…``, ``json:KEY.PATH``, ``progress:MODULE:QUALNAME``,
        ``latency:MODULE:QUALNAME,MODULE:QUALNAME`` or ``latency:NAME``, from the mark ``begin`` of
        that name to ``end`` (`bisector.marks`).

        Raises:
            ValueError: none of these, or the detail cannot be used.
        """
        kind, colon, detail = text.partition(":")
        if kind in ("auto", "time") and not colon:
            return cls("auto" if kind == "auto" else "time", "", text)
        if kind == "regex" and colon:
            return cls("regex", _checked_pattern(detail), text)
        if kind == "json" and colon:
            if not all(detail.split(".")):
                raise ValueError(f"{text!r} names no key (write json:results.tokens_per_s)")
            return cls("json", detail, text)
        if kind == "progress" and colon:
            if not _is_function(detail):
                raise ValueError(
                    f"{text!r} names no function (write progress:package.module:Class.step)"
                )
            return cls("progress", detail, text)
        if kind == "latency" and colon:
            if is_mark(detail):
                detail = f"{mark_target('begin.' + detail)},{mark_target('end.' + detail)}"
            begins, _, ends = detail.partition(",")
            if not (_is_function(begins) and _is_function(ends)) or begins == ends:
                raise ValueError(
                    f"{text!r} does not name two functions, one that begins and one that ends what "
                    "is timed (write latency:package.module:Class.accept,package.module:Class.done)"
                )
            return cls("latency", detail, text)
        raise ValueError(
            f"{text!r} is not a metric (give auto, time, regex:PATTERN, json:KEY.PATH, "
            "progress:MODULE:QUALNAME or latency:MODULE:QUALNAME,MODULE:QUALNAME)"
        )

    @property
    def point(self) -> Point:
        """The progress point that is named."""
        return _point(self.kind, self.detail)


@dataclass(frozen=True, slots=True)
class RunOutput:
    """What one run left to be measured: the ends of its two streams, its wall time, its records."""

    stdout: str
    stderr: str
    wall_s: float
    records: tuple[ProcessRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A resolved metric. ``name``, ``unit`` and ``source`` are what the summary says about it.

    ``label`` and ``unit`` are what an automatically found rate is recognised by.
    """

    kind: Kind
    detail: str
    name: str
    unit: str
    source: str
    higher_is_better: bool
    label: str = ""
    in_flight: float = 1.0
    """Of a latency: how many are on their way at once, undelayed, and 1 at least. So many units
    share each second of it, and the time per unit is the latency over this."""

    @property
    def is_time(self) -> bool:
        """Whether the whole run is the unit of work."""
        return self.kind == "time"

    @property
    def point(self) -> Point:
        """The progress point, if that is the metric."""
        return _point(self.kind, self.detail)

    def value(self, output: RunOutput) -> float:
        """The metric's number in one run: positive and finite.

        Raises:
            MetricError: there is none.
        """
        match self.kind:
            case "time":
                value = output.wall_s
            case "regex":
                value = _by_regex(self.detail, output)[0]
            case "json":
                value = _by_json(self.detail, output.stdout)
            case "progress":
                value = _by_progress(self.detail, output.records)
            case "latency":
                value = _by_latency(self.point, output.records)[0]
            case _:
                value = _same_rate(self, output).value
        return _checked(value, self)

    def time_per_unit_s(self, value: float, output: RunOutput) -> float:
        """Seconds per unit of work for a number that `value` returned.

        A latency that is followed by a unit of time is read in it (``12.5 ms``), else as seconds.
        """
        if self.higher_is_better:
            return 1.0 / value
        scale = _by_regex(self.detail, output)[1] if self.kind == "regex" else 1.0
        return value * scale / self.in_flight

    def time_between_s(self, value: float, output: RunOutput) -> float:
        """Seconds from one unit to the next, however many are on their way."""
        if self.kind != "latency":
            return self.time_per_unit_s(value, output)
        return 1.0 / _by_progress(self.point.unit, output.records)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal; ``Metric(**data)`` reads it."""
        return asdict(self)


def resolve(spec: MetricSpec, lower_is_better: bool, output: RunOutput) -> Metric:
    """What ``spec`` means for this benchmark, settled on its first run.

    ``auto`` takes a rate the program prints in a usual form, else the time of the run.

    Raises:
        MetricError: the first run holds no number where the metric says it should be.
    """
    higher = not lower_is_better
    if spec.kind == "auto" and higher:
        rate = _chosen_rate(output)
        if rate is not None:
            source = f"auto: {rate.label} {rate.unit}" if rate.label else f"auto: {rate.unit}"
            name = rate.label or "throughput"
            return Metric("rate", "", name, rate.unit, source, True, rate.label)
    if spec.kind in ("auto", "time"):
        return Metric("time", "", "time", "s", "wall time of the run", False)
    if spec.kind == "progress":
        metric = progress_metric(spec.detail)
    elif spec.kind == "latency":
        metric = latency_metric(spec.point, *_by_latency(spec.point, output.records))
    else:
        name = spec.detail.rpartition(".")[2] if spec.kind == "json" else "metric"
        unit = "units/s" if higher else "s"
        metric = Metric(spec.kind, spec.detail, name, unit, spec.text, higher)
    metric.value(output)
    return metric


def progress_metric(target: str, why: str = "") -> Metric:
    """The rate of a progress point: calls of a function, ``module:qualname``; ``why`` it is taken
    where the user did not name it."""
    source = f"auto: {why}" if why else f"progress:{target}"
    return Metric("progress", target, target, "calls/s", source, True)


def latency_metric(point: Point, latency_s: float, in_flight: float) -> Metric:
    """The mean time between two calls, as it is undelayed."""
    detail = f"{point.begins},{point.unit}"
    most = max(in_flight, 1.0)
    source = f"latency:{detail}, {latency_s * 1e3:.3g} ms with {in_flight:.2g} in flight"
    return Metric("latency", detail, point.unit, "s", source, False, in_flight=most)


def _point(kind: Kind, detail: str) -> Point:
    begins, _, unit = detail.rpartition(",") if kind == "latency" else ("", "", detail)
    return Point(unit, begins) if kind in ("progress", "latency") else Point()


def _is_function(target: str) -> bool:
    module, _, qualname = target.partition(":")
    return bool(module and qualname) and not re.search(r"[\s*?:,]", module + qualname)


def _checked_pattern(pattern: str) -> str:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is not a regular expression: {error}") from None
    if compiled.groups < 1:
        raise ValueError(f"the pattern {pattern!r} has no group (write regex:rate=([0-9.]+))")
    return pattern


def _checked(value: float, metric: Metric) -> float:
    source = metric.source
    if math.isnan(value):
        raise MetricError(f"the metric ({source}) is not a number (NaN); print a positive number")
    if math.isinf(value):
        raise MetricError(f"the metric ({source}) is infinite; print a positive, finite number")
    if value == 0:
        raise MetricError(f"the metric ({source}) is zero; a run must do at least one unit of work")
    if value < 0:
        raise MetricError(f"the metric ({source}) is negative: {value:g}; print a positive number")
    if math.isinf(1.0 / value):
        raise MetricError(f"the metric ({source}) is as good as zero: {value:g}")
    return value


def _by_regex(pattern: str, output: RunOutput) -> tuple[float, float]:
    """Group 1 of the last match as a number, and the scale of the unit of time that follows it."""
    for text in (output.stdout, output.stderr):
        matches = deque(re.finditer(pattern, text, re.MULTILINE), maxlen=1)
        if matches:
            last = matches[0]
            found = last[1]
            if found is None:
                raise MetricError(f"group 1 of regex:{pattern} matched nothing in {last[0]!r}")
            unit = _TIME_UNIT.match(text, last.end(1))
            return _number(found, f"regex:{pattern}"), _TIME_UNITS[unit[1]] if unit else 1.0
    raise MetricError(
        f"the benchmark printed no metric: nothing in its output matches regex:{pattern}"
    )


def _number(text: str, source: str) -> float:
    stripped = text.strip()
    plain = stripped
    if _NUMBER.fullmatch(stripped):
        plain = stripped.replace(",", "").replace("_", "")
    try:
        return float(plain)
    except ValueError:
        raise MetricError(f"the metric ({source}) is not a number: {text[:40]!r}") from None


def _by_json(path: str, stdout: str) -> float:
    documents = list(_json_documents(stdout))
    if not documents:
        raise MetricError(
            f"the benchmark printed no metric: no JSON on its standard output for json:{path}"
        )
    value: Any = documents[-1]
    for key in path.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _is_index(key, len(value)):
            value = value[int(key)]
        else:
            raise MetricError(f"the last JSON document has no {key!r} for json:{path}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MetricError(f"the metric (json:{path}) is not a number: {str(value)[:40]!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_index(key: str, length: int) -> bool:
    return re.fullmatch(r"-?\d{1,9}", key) is not None and -length <= int(key) < length


def _json_documents(text: str) -> Iterator[Any]:
    """JSON objects and arrays that begin a line, in order; other output between them is skipped."""
    decoder = json.JSONDecoder()
    position = 0
    start = re.compile(r"^[ \t]*([{\[])", re.MULTILINE)
    while (match := start.search(text, position)) is not None:
        try:
            document, position = decoder.raw_decode(text, match.start(1))
        except (ValueError, RecursionError):
            position = match.end()
        else:
            yield document


def _by_progress(target: str, records: Iterable[ProcessRecord]) -> float:
    """Calls per second between the first and the last call, over all processes."""
    points = [
        e for record in records for e in record.of("progress") if e.fields["target"] == target
    ]
    calls = sum(point["calls"] for point in points)
    ran = [point for point in points if point["calls"]]
    if calls < 2:
        seen = "was never called" if calls == 0 else "was called once"
        raise MetricError(
            f"the progress point {target} {seen}; name a function that every unit of work calls"
        )
    first = min(point["first_ns"] for point in ran)
    last = max(point["last_ns"] for point in ran)
    if last <= first:
        raise MetricError(f"the calls of the progress point {target} are too close to be measured")
    return (calls - 1) / ((last - first) / 1e9)


def _by_latency(point: Point, records: Iterable[ProcessRecord]) -> tuple[float, float]:
    """(mean seconds from one call to the other, how many were on their way on average), over all
    processes."""
    points = [entry for record in records for entry in record.of("progress")]
    begun = [entry for entry in points if entry.fields["target"] == point.begins]
    ended = [entry for entry in points if entry.fields["target"] == point.unit]
    for target, entries in ((point.begins, begun), (point.unit, ended)):
        if not sum(entry["calls"] for entry in entries):
            raise MetricError(
                f"{target} was never called; name a function that every unit of work calls"
            )
    until_ns = max(entry["last_ns"] for entry in ended)
    since_ns = min(entry["first_ns"] for entry in begun if entry["calls"])
    ends = sum(entry["calls"] for entry in ended)
    on_their_way = time_on_the_way_ns(
        sum(entry["calls"] for entry in begun),
        ends,
        sum(entry["moments_ns"] for entry in begun),
        sum(entry["moments_ns"] for entry in ended),
        until_ns,
    )
    if on_their_way <= 0 or until_ns <= since_ns:
        raise MetricError(
            f"more calls of {point.unit} came than of {point.begins} before: they do not end what "
            "those begin"
        )
    return on_their_way / ends / 1e9, on_their_way / (until_ns - since_ns)


def _chosen_rate(output: RunOutput) -> Rate | None:
    """The last rate that calls itself throughput, else the last one; standard output first."""
    for text in (output.stdout, output.stderr):
        rates = find_rates(text)
        named = [rate for rate in rates if "throughput" in rate.label.lower()]
        if rates:
            return (named or rates)[-1]
    return None


def _same_rate(metric: Metric, output: RunOutput) -> Rate:
    for text in (output.stdout, output.stderr):
        same = [r for r in find_rates(text) if (r.label, r.unit) == (metric.label, metric.unit)]
        if same:
            return same[-1]
    raise MetricError(
        f"the benchmark printed no {metric.source.removeprefix('auto: ')} this time; "
        "it did in the first run"
    )
