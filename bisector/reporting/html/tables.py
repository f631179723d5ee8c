"""Tables of the page, as text: what stands beside each picture, and what has none.

Invariant: a table that is cut says how many rows it leaves out and where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bisector.census import Census, Judgement, Member
from bisector.evidence import Evidence, Experiment, Measured
from bisector.phrases import SET_HEADS, WHY, bound, dose, set_row, throughput_unit
from bisector.reporting.forecast import Forecast, Level, added
from bisector.reporting.html.mattering_plot import worth
from bisector.reporting.mattering import Weighed
from bisector.schema import UNBOUNDED, EffectPart, Insensitive, Sensitive, Summary
from bisector.wording import (
    clock_s,
    counted,
    duration_ns,
    number,
    percent,
    percent_with_interval,
    spoken,
)

MOST_ROWS = 500

Kind = Literal["number", "name", "text", "prose"]


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` under ``columns`` (what is at its head, and what is in it); the first cell of a row
    says what the row is about. ``left_out`` is the sentence about what was cut."""

    caption: str
    columns: Sequence[tuple[str, Kind]]
    rows: Sequence[Sequence[str]]
    left_out: str = ""


def _columns(heads: str, **kinds: Kind) -> list[tuple[str, Kind]]:
    """Columns of numbers, but for those that are said to be something else (blanks as ``_``)."""
    return [(head, kinds.get(head.replace(" ", "_"), "number")) for head in heads.split("|")]


def _cut(
    rows: Iterable[Sequence[str]], where: str, most: int = MOST_ROWS
) -> tuple[list[Sequence[str]], str]:
    """The first rows, and a sentence about the rest."""
    kept = list(rows)
    more = len(kept) - most
    return kept[:most], f"{counted(more, 'more row')} left out: {where}." if more > 0 else ""


def sensitive(found: Sequence[Sensitive], summary: Summary) -> Table:
    """The sensitive set."""
    fixed_ns = summary.root.delay_ns if summary.root else None
    what = spoken(summary.benchmark.metric)
    rows = [set_row(finding, fixed_ns, what) for finding in found]
    columns = _columns("|".join(SET_HEADS), target="name", shape="text")
    return Table("The sensitive set", columns, rows)


def ruled_out(nodes: Sequence[Insensitive]) -> Table:
    """What was pruned, with bounds."""
    rows = [(n.target, str(n.functions), WHY[n.reason], bound(n.gain_upper95)) for n in nodes]
    kept, left_out = _cut(rows, "they are in the JSON summary")
    columns = _columns("target|functions|why|gain at most", target="name", why="text")
    return Table("Ruled out, with 95% upper bounds", columns, kept, left_out)


def unresolved(summary: Summary) -> Table:
    """About which nothing is claimed."""
    rows = [(node.target, str(node.functions), node.reason) for node in summary.unresolved]
    kept, left_out = _cut(rows, "they are in the JSON summary")
    columns = _columns("target|functions|reason", target="name", reason="prose")
    return Table("Unresolved: nothing is claimed about these", columns, kept, left_out)


def mattering(points: Sequence[Weighed]) -> Table:
    """What the plot of time against mattering shows."""
    rows = [
        (w.target, percent(w.own_share), duration_ns(w.cpu_ns), duration_ns(w.wait_ns), worth(w))
        for w in points
    ]
    columns = _columns("target|own time|on CPU|waiting|worth", target="name", worth="text")
    return Table("Time against mattering", columns, rows)


def responses(effect: EffectPart, line: Forecast | None, summary: Summary) -> Table:
    """The doses that were measured, then what the line says of faster code."""
    base = summary.baseline
    assert base is not None
    base_ns = base.time_per_unit_s * 1e9
    fixed_ns = summary.root.delay_ns if summary.root else None
    curve = sorted(effect.curve, key=lambda p: p.injected_ns_per_unit)
    rows = [
        (
            "undelayed" if p.dose == 0.0 else f"slowed by {dose(p.dose, fixed_ns)}",
            duration_ns(p.injected_ns_per_unit),
            *_level(level),
            f"{number(p.throughput)} [{number(p.ci95[0])} … {number(p.ci95[1])}]",
        )
        for p, level in zip(curve, added(effect, base_ns), strict=False)
    ]
    group = isinstance(effect, Sensitive) and effect.co_critical_with
    what = "the group" if group else "it"
    for share, word in ((0.1, "10% faster"), (0.5, "50% faster"), (1.0, "free")):
        if line is not None:
            level = line.faster(share)
            at = base.throughput * base_ns
            speeds = [at / ns if ns > 0.0 else UNBOUNDED for ns in (level.time_ns, level.hi_ns)]
            fastest = at / level.lo_ns if level.lo_ns > 0.0 else UNBOUNDED
            range_ = f"[{number(speeds[1])} … {number(fastest)}]"
            rows.append(
                (
                    f"if {what} were {word}",
                    duration_ns(level.added_ns),
                    *_level(level),
                    f"{number(speeds[0])} {range_}",
                )
            )
    per = throughput_unit(summary.benchmark.metric)
    columns = _columns("code|added|time|95% interval", code="text")
    return Table("Dose response", [*columns, (per, "number")], rows)


def _level(level: Level) -> tuple[str, str]:
    return (
        duration_ns(level.time_ns),
        f"{duration_ns(level.lo_ns)} … {duration_ns(level.hi_ns)}",
    )


def members(census: Census) -> Table:
    """Every function that takes time, and what became of it."""
    rows = []
    for member, judgement in sorted(census.judged(), key=lambda each: -each[0].own_ns_per_unit):
        gain = "—"
        if judgement is not None and judgement.estimated_gain is not None:
            gain = percent_with_interval(judgement.estimated_gain)
        elif judgement is not None and judgement.gain_upper95 is not None:
            gain = f"≤ {bound(judgement.gain_upper95)}"
        rows.append(
            (
                member.target,
                duration_ns(member.own_cpu_ns_per_unit),
                duration_ns(member.own_wait_ns_per_unit),
                number(member.calls_per_unit),
                _verdict(member, judgement),
                gain,
                judgement.target if judgement else "",
            )
        )
    kept, left_out = _cut(rows, "they take less time, and are in census.json beside the summary")
    heads = "function|on CPU|waiting|calls|verdict|gain|judged as"
    columns = _columns(heads, function="name", verdict="text", judged_as="name")
    return Table("Functions, most own time first", columns, kept, left_out)


def _verdict(member: Member, judgement: Judgement | None) -> str:
    if judgement is None:
        return "not looked at" if member.calls_per_unit > 0.0 else "not called"
    return "not called" if judgement.reason == "not_called" else judgement.verdict


def experiments(evidence: Evidence) -> Table:
    """What was done and what came of it, raw."""
    rows = [
        (
            e.what,
            e.purpose,
            str(e.functions),
            _slowed(e),
            str(e.runs),
            duration_ns(e.time_per_unit_s * 1e9) if e.time_per_unit_s is not None else "—",
            _change(e.change),
            _trouble(e),
        )
        for e in evidence.experiments
    ]
    kept, left_out = _cut(rows, "they are in the journal of the run", 4 * MOST_ROWS)
    heads = "slowed|purpose|functions|by|runs|time per unit|throughput|note"
    columns = _columns(heads, slowed="name", purpose="text", note="prose")
    caption = "Experiments, in the order in which they began; raw medians"
    return Table(caption, columns, kept, left_out)


def runs(evidence: Evidence) -> Table:
    """Every single measurement."""
    rows = [
        (
            str(m.number),
            clock_s(m.elapsed_s),
            m.purpose,
            str(m.block),
            m.what,
            _slowed(m),
            duration_ns(m.time_per_unit_s * 1e9) if m.time_per_unit_s is not None else "—",
            _change(m.change),
            m.reason or (m.status if m.status != "ok" else ""),
        )
        for m in evidence.measured
    ]
    kept, left_out = _cut(rows, "they are in the journal of the run", 4 * MOST_ROWS)
    heads = "number|at|purpose|block|slowed|by|time per unit|throughput|note"
    columns = _columns(heads, purpose="text", slowed="name", note="prose")
    return Table("Every measurement, in order", columns, kept, left_out)


def _slowed(row: Experiment | Measured) -> str:
    if not row.functions:
        return "—"
    return dose(row.dose, row.delay_ns) + ("" if row.waits else ", work only")


def _change(change: float | None) -> str:
    if change is None:
        return "—"
    return f"{'+' if change > 0 else ''}{percent(change)}"


def _trouble(experiment: Experiment) -> str:
    parts = []
    if experiment.failed:
        parts.append(f"{experiment.failed} failed")
    if experiment.slow:
        parts.append(f"{experiment.slow} stopped, too slow")
    return ", ".join(parts) + (f": {experiment.reason}" if parts and experiment.reason else "")


def environment(summary: Summary) -> Table:
    """Where and how it was measured."""
    benchmark = summary.benchmark
    facts: dict[str, object] = {
        "command": " ".join(benchmark.command),
        "python": benchmark.python,
        "metric": benchmark.metric.name,
        "metric comes from": benchmark.metric.source,
        "unit": benchmark.metric.unit,
        **{name.replace("_", " "): value for name, value in summary.environment.items()},
        "run": summary.run_id,
        "run directory": summary.run_directory,
        "began": f"{summary.started_at:%Y-%m-%d %H:%M:%S %Z}",
        "ended": f"{summary.finished_at:%Y-%m-%d %H:%M:%S %Z}",
        "tool": f"{summary.tool.name} {summary.tool.version}",
        "fingerprint": benchmark.fingerprint,
    }
    return Table("Environment", FACTS, _facts(facts))


def settings(summary: Summary) -> Table:
    """What was asked for."""
    return Table("Settings", FACTS, _facts(summary.settings))


FACTS: Sequence[tuple[str, Kind]] = (("what", "text"), ("value", "text"))


def _facts(facts: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, _value(value)) for name, value in facts.items()]


def _value(value: object) -> str:
    if value is None or value == "" or value == []:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
