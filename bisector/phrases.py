"""What every report says in the same words: the pieces that sentences and tables are made of.

Invariant: what comes out is one line of printable text; names have been through `visible`. How it
is set (wrapped, escaped, coloured) is the business of the report that asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.schema import (
    UNBOUNDED,
    BaselinePart,
    EffectPart,
    Hint,
    Metric,
    Sensitive,
    Summary,
)
from bisector.wording import (
    Spoken,
    about,
    at_most,
    clock_s,
    counted,
    counted_runs,
    duration_ns,
    listed,
    number,
    percent,
    percent_with_interval,
    unit_noun,
    visible,
)

WHY = {
    "measured": "tested",
    "cannot_matter": "too little own time",
    "not_called": "not called",
    "diffuse_remainder": "many small parts",
}
"""Reasons for ruling something out."""

HINTS = "Hints from the source, not measured"
"""What lines of source are called that show a kind of cost."""

SET_HEADS = (
    *("target", "gain", "own CPU", "own wait", "calls"),
    *("slowed by", "effect", "κ", "shape"),
)
"""Of the table of the sensitive set."""


def set_row(finding: Sensitive, fixed_ns: float | None, what: Spoken) -> tuple[str, ...]:
    """A member of the sensitive set under `SET_HEADS`."""
    drop, kappa = finding.throughput_drop, finding.critical_fraction
    return (
        visible(finding.target)
        + (f" ({counted_members(finding)})" if finding.functions > 1 else ""),
        percent_with_interval(finding.estimated_gain),
        duration_ns(finding.own_cpu_ns_per_unit),
        duration_ns(finding.own_wait_ns_per_unit),
        number(finding.calls_per_unit),
        dose(finding.dose, fixed_ns),
        what.change(drop.estimate) if drop else "—",
        f"{kappa.estimate:.2f}" if kappa else "—",
        finding.shape,
    )


def set_title(summary: Summary) -> str:
    """What the sensitive set is called, which depends on whether it is certified."""
    held = summary.stop_reason == "certified" and summary.verdict == "sensitive"
    n = counted(len(summary.sensitive), "entry", "entries")
    return f"Sensitive set, {n}" if held else f"Suspected so far, {n}, not certified"


def set_legend(unit: str, what: Spoken) -> str:
    """What the two measures in the table mean."""
    return (
        f"gain: share of the time per {unit} that would go if the code cost nothing, with its 95% "
        f"interval · κ: share of the injected delay that reached {what.noun}"
    )


def co_critical(found: Sequence[Sensitive]) -> list[str]:
    """A sentence for each co-critical group, members in the order of the set."""
    return [
        f"Co-critical: {listed(map(visible, group), most=9)} run side by side; speeding up "
        "only one gains nothing, the gain needs all of them."
        for group in _groups(found)
    ]


def _groups(found: Sequence[Sensitive]) -> list[list[str]]:
    groups: list[list[str]] = []
    for f in found:
        if f.co_critical_with and not any(f.target in group for group in groups):
            groups.append([f.target, *f.co_critical_with])
    return groups


def hint_place(hint: Hint) -> str:
    """``pkg.mod:f, line 12: a loop in Python over rows``."""
    return f"{visible(hint.target)}, line {hint.line}: {visible(hint.text)}"


def counted_members(finding: Sensitive) -> str:
    """``3 functions``, ``2 lines``."""
    word = "line" if all("@" in member for member in finding.members) else "function"
    return counted(finding.functions, word)


def throughput(summary: Summary, baseline: BaselinePart) -> str:
    """The undelayed program in one line."""
    lo, hi = baseline.ci95
    unit = unit_noun(summary.benchmark.metric)
    return (
        f"{number(baseline.throughput)} {throughput_unit(summary.benchmark.metric)} "
        f"[{number(lo)} … {number(hi)}] · {duration_ns(baseline.time_per_unit_s * 1e9)} per {unit} "
        f"· {counted_runs(summary, baseline.runs)}, which vary by {about(baseline.cv)}"
    )


def throughput_unit(metric: Metric) -> str:
    """``tokens/s``."""
    own = visible(metric.unit) if metric.higher_is_better and metric.unit else ""
    return own or f"{unit_noun(metric)}s/s"


def measured_by(summary: Summary) -> str:
    """How it was measured, in a sentence."""
    metric = summary.benchmark.metric
    source = visible(metric.source)
    by = source if source == metric.name else f"{visible(metric.name)} ({source})"
    live = " in windows of a running program" if summary.environment.get("mode") == "live" else ""
    return f"Measured{live} by {by}."


def response(effect: EffectPart, unit: str, delay_ns: float | None, what: Spoken) -> str:
    """What happened at the dose, in one line."""
    parts = []
    if effect.throughput_drop is not None:
        slowed = dose(effect.dose, delay_ns)
        parts.append(
            f"slowed by {slowed}: {what.name} {what.change(effect.throughput_drop.estimate)}"
        )
    if effect.critical_fraction is not None:
        parts.append(f"κ {effect.critical_fraction.estimate:.2f}")
    if effect.shape == "threshold" and effect.slack_ns_per_unit:
        parts.append(f"hidden up to {duration_ns(effect.slack_ns_per_unit)} per {unit}")
    elif effect.shape != "none":
        parts.append(effect.shape)
    return " · ".join(parts) or "no response measured"


def dose(share: float, delay_ns: float | None) -> str:
    """A proportional dose, or so many times the fixed delay per call of the classic method."""
    if delay_ns is None:
        return percent(share)
    return f"{duration_ns(max(round(share), 1) * delay_ns)} per call"


def bound(gain: float | None) -> str:
    """An upper bound on a gain."""
    return "no bound" if gain is None or gain >= UNBOUNDED else at_most(gain)


def cost(summary: Summary) -> str:
    """What the answer cost, in one line."""
    spent = summary.cost
    of = "" if spent.budget_s is None else f" of {clock_s(spent.budget_s)}"
    return (
        f"{clock_s(spent.wall_s)}{of} · {counted_runs(summary, spent.runs)} in "
        f"{counted(spent.experiments, 'experiment')} · {duration_ns(spent.engine_s * 1e9)} to "
        "decide"
    )
