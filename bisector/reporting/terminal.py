"""The report for a terminal: a page read from top to bottom, the answer first, the evidence after.

Invariant: made from the summary and nothing else, so that `report DIR` shows what the run showed.
A list that is shortened says how many entries it leaves out and what bounds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bisector.headline import waits
from bisector.reporting.certificate_text import certificate_sentences
from bisector.reporting.page import INDENT, Page
from bisector.schema import (
    UNBOUNDED,
    BaselinePart,
    EffectPart,
    Hot,
    Insensitive,
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
    spoken,
    unit_noun,
    visible,
)

WIDE = 104
"""From this width on the sensitive set is a table; below, a paragraph for each member."""
MOST_PRUNED = 10
_COLOUR = {"sensitive": "bold yellow", "insensitive": "bold green", "inconclusive": "bold magenta"}
_WHY = {
    "measured": "tested",
    "cannot_matter": "too little own time",
    "not_called": "not called",
    "diffuse_remainder": "many small parts",
}


def render(summary: Summary, console: Console) -> None:
    """Print the report of ``summary``. The console decides on width and colour."""
    page = Page(console)
    unit = unit_noun(summary.benchmark.metric)
    failed = summary.stop_reason == "failed"
    page.prose(summary.headline, "bold red" if failed else _COLOUR[summary.verdict], indent="")
    _baseline(page, summary, unit)
    _sensitive(page, summary, unit)
    _hottest(page, summary, unit)
    _pruned(page, summary.insensitive)
    _unresolved(page, summary)
    _certificate(page, summary)
    _cost(page, summary)
    _warnings(page, summary.warnings)
    _next(page, summary)


def _baseline(page: Page, summary: Summary, unit: str) -> None:
    if summary.baseline is None:
        return
    page.title("Baseline")
    page.prose(_throughput(summary, summary.baseline, unit))
    live = " in windows of a running program" if summary.environment.get("mode") == "live" else ""
    page.prose(f"Measured{live} by {_metric(summary.benchmark.metric)}.", "dim")
    root = summary.root
    if root is None:
        return
    page.title(f"All Python, {root.target}")
    what = spoken(summary.benchmark.metric)
    response = _response(root, unit, root.delay_ns, what)
    page.prose(f"Gain {percent_with_interval(root.estimated_gain)} · {response}.")
    if len(root.curve) > 1:
        points = (
            f"{_dose(p.dose, root.delay_ns)}: {number(p.throughput)}"
            for p in sorted(root.curve, key=lambda p: p.injected_ns_per_unit)
        )
        per = _throughput_unit(summary.benchmark.metric, unit)
        page.prose(f"Throughput by dose, in {per}: {' · '.join(points)}.")


def _throughput(summary: Summary, baseline: BaselinePart, unit: str) -> str:
    lo, hi = baseline.ci95
    metric = summary.benchmark.metric
    return (
        f"{number(baseline.throughput)} {_throughput_unit(metric, unit)} "
        f"[{number(lo)} … {number(hi)}] · {duration_ns(baseline.time_per_unit_s * 1e9)} per {unit} "
        f"· {counted_runs(summary, baseline.runs)}, which vary by {about(baseline.cv)}"
    )


def _throughput_unit(metric: Metric, unit: str) -> str:
    return visible(metric.unit) if metric.higher_is_better and metric.unit else f"{unit}s/s"


def _metric(metric: Metric) -> str:
    source = visible(metric.source)
    return source if source == metric.name else f"{visible(metric.name)} ({source})"


def _response(effect: EffectPart, unit: str, delay_ns: float | None, what: Spoken) -> str:
    """What happened at the dose, in one line."""
    parts = []
    if effect.throughput_drop is not None:
        dose = _dose(effect.dose, delay_ns)
        parts.append(
            f"slowed by {dose}: {what.name} {what.change(effect.throughput_drop.estimate)}"
        )
    if effect.critical_fraction is not None:
        parts.append(f"κ {effect.critical_fraction.estimate:.2f}")
    if effect.shape == "threshold" and effect.slack_ns_per_unit:
        parts.append(f"hidden up to {duration_ns(effect.slack_ns_per_unit)} per {unit}")
    elif effect.shape != "none":
        parts.append(effect.shape)
    return " · ".join(parts) or "no response measured"


def _dose(dose: float, delay_ns: float | None) -> str:
    """A proportional dose, or the fixed delay per call of the classic method."""
    return percent(dose) if delay_ns is None else f"{duration_ns(delay_ns)} per call"


def _sensitive(page: Page, summary: Summary, unit: str) -> None:
    if not summary.sensitive:
        return
    held = summary.stop_reason == "certified" and summary.verdict == "sensitive"
    n = counted(len(summary.sensitive), "entry", "entries")
    page.title(f"Sensitive set, {n}" if held else f"Suspected so far, {n}, not certified")
    fixed_ns = summary.root.delay_ns if summary.root else None
    what = spoken(summary.benchmark.metric)
    if page.width >= WIDE:
        _as_table(page, summary.sensitive, fixed_ns, what)
    else:
        for rank, finding in enumerate(summary.sensitive, 1):
            _as_paragraph(page, rank, finding, unit, fixed_ns, what)
    for group in _groups(summary.sensitive):
        page.prose(
            f"Co-critical: {listed(map(visible, group), most=9)} run side by side; speeding up "
            "only one gains nothing, the gain needs all of them."
        )
    page.prose(
        f"gain: share of the time per {unit} that would go if the code cost nothing, with its 95% "
        f"interval · κ: share of the injected delay that reached {what.noun}",
        "dim",
    )


def _as_table(page: Page, found: Sequence[Sensitive], fixed_ns: float | None, what: Spoken) -> None:
    page.rows(
        ("target", "gain", "own CPU", "own wait", "calls", "slowed by", "effect", "κ", "shape"),
        (
            (
                visible(f.target) + (f" ({_counted_members(f)})" * _many(f)),
                percent_with_interval(f.estimated_gain),
                duration_ns(f.own_cpu_ns_per_unit),
                duration_ns(f.own_wait_ns_per_unit),
                number(f.calls_per_unit),
                _dose(f.dose, fixed_ns),
                what.change(f.throughput_drop.estimate) if f.throughput_drop else "—",
                f"{f.critical_fraction.estimate:.2f}" if f.critical_fraction else "—",
                f.shape,
            )
            for f in found
        ),
        "bold",
    )


def _as_paragraph(
    page: Page, rank: int, finding: Sensitive, unit: str, fixed_ns: float | None, what: Spoken
) -> None:
    head = f"{rank}. "
    page.name(head, visible(finding.target))
    indent = INDENT + " " * len(head)
    page.prose(f"gain {percent_with_interval(finding.estimated_gain)}", indent=indent)
    own = f"{duration_ns(finding.own_cpu_ns_per_unit)} CPU"
    if finding.own_wait_ns_per_unit > 0:
        own += f", {duration_ns(finding.own_wait_ns_per_unit)} waiting"
    if waits(finding):
        own += " (it waits)"
    of = f"{_counted_members(finding)} · " * _many(finding)
    calls = f"{number(finding.calls_per_unit)} calls per {unit}"
    page.prose(f"{of}own time {own} · {calls}", indent=indent)
    page.prose(_response(finding, unit, fixed_ns, what), indent=indent)


def _counted_members(finding: Sensitive) -> str:
    word = "line" if all("@" in member for member in finding.members) else "function"
    return counted(finding.functions, word)


def _many(finding: Sensitive) -> int:
    """1 for a subtree of several functions, else 0."""
    return int(finding.functions > 1)


def _groups(found: Sequence[Sensitive]) -> list[list[str]]:
    """The co-critical groups, each once, members in the order of the set."""
    groups: list[list[str]] = []
    for f in found:
        if f.co_critical_with and not any(f.target in group for group in groups):
            groups.append([f.target, *f.co_critical_with])
    return groups


def _hottest(page: Page, summary: Summary, unit: str) -> None:
    """Why what a profiler shows first is not in the set."""
    hot = [h for h in summary.hottest if h.verdict == "insensitive"]
    if summary.sensitive:
        least = min(f.own_cpu_ns_per_unit for f in summary.sensitive)
        hot = [h for h in hot if h.own_cpu_ns_per_unit >= least]
    hot = [h for h in hot if h.own_share >= 0.01][:3]
    groups = [group for group in _judged_together(hot) if _is_hidden(group)]
    if not groups:
        return
    first = summary.hottest[0] is groups[0][0]
    page.title(
        "Why the hottest function is not in the list" if first else "Hot, but not in the list"
    )
    for group in groups:
        page.prose(_why_not(group, unit))


def _is_hidden(group: Sequence[Hot]) -> bool:
    """Whether it is shown to gain less than it takes; else it is only small."""
    bound = group[0].gain_upper95
    return bound is None or sum(h.own_share for h in group) > bound


def _judged_together(hot: Sequence[Hot]) -> list[list[Hot]]:
    """Functions that share a verdict because they were tested in one node, hottest first."""
    groups: dict[str, list[Hot]] = {}
    for h in hot:
        groups.setdefault(h.judged_as, []).append(h)
    return list(groups.values())


def _why_not(group: Sequence[Hot], unit: str) -> str:
    spent = listed(
        f"{visible(h.target)} ({duration_ns(h.own_cpu_ns_per_unit)}, {about(h.own_share)})"
        for h in group
    )
    verb, free, subject = (
        ("spends", "it", "it is") if len(group) == 1 else (*("spend", "all of them"), "they are")
    )
    text = f"{spent} {verb} much of the CPU time per {unit}, but"
    bound = group[0].gain_upper95
    if bound is None or bound >= UNBOUNDED:
        return f"{text} slowing {free} was shown not to matter."
    others = group[0].judged_with - len(group)
    tested = ""
    if others > 0:
        tested = (
            f" (tested with {counted(others, 'other function')}, {visible(group[0].judged_as)})"
        )
    return (
        f"{text} making {free} free would gain at most {at_most(bound)}{tested}: {subject} hidden "
        "behind something slower."
    )


def _pruned(page: Page, nodes: Sequence[Insensitive]) -> None:
    called = [n for n in nodes if n.reason != "not_called"]
    idle = [n for n in nodes if n.reason == "not_called"]
    if not nodes:
        return
    page.title("Ruled out")
    if called:
        page.rows(
            ("target", "functions", "why", "gain at most"),
            (
                (
                    visible(n.target),
                    str(n.functions),
                    _WHY[n.reason],
                    _bound(n.gain_upper95),
                )
                for n in called[:MOST_PRUNED]
            ),
        )
    rest = called[MOST_PRUNED:]
    if rest:
        n = sum(node.functions for node in rest)
        bounds = [node.gain_upper95 for node in rest if node.gain_upper95 is not None]
        each = f", each of which could gain at most {at_most(max(bounds))}" if bounds else ""
        page.prose(f"and {counted(len(rest), 'more node')} ({counted(n, 'function')}){each}")
    if idle:
        n = sum(node.functions for node in idle)
        names = listed(visible(node.target) for node in idle)
        page.prose(f"Not called while measuring: {counted(n, 'function')} in {names}.")


def _bound(gain: float | None) -> str:
    return "no bound" if gain is None or gain >= UNBOUNDED else at_most(gain)


def _unresolved(page: Page, summary: Summary) -> None:
    if not summary.unresolved:
        return
    page.title("Unresolved: nothing is claimed about these")
    for node in summary.unresolved:
        n = f" ({counted(node.functions, 'function')})" if node.functions != 1 else ""
        page.prose(f"{visible(node.target)}{n}: {visible(node.reason)}")


def _certificate(page: Page, summary: Summary) -> None:
    sentences = certificate_sentences(summary)
    if not sentences:
        return
    page.title("Certificate, from runs the search did not see")
    for sentence in sentences:
        page.prose(f"• {sentence}")


def _cost(page: Page, summary: Summary) -> None:
    cost = summary.cost
    page.title("Cost")
    of = "" if cost.budget_s is None else f" of {clock_s(cost.budget_s)}"
    page.prose(
        f"{clock_s(cost.wall_s)}{of} · {counted_runs(summary, cost.runs)} in "
        f"{counted(cost.experiments, 'experiment')} · {duration_ns(cost.engine_s * 1e9)} to decide"
    )


def _warnings(page: Page, warnings: Sequence[str]) -> None:
    if not warnings:
        return
    page.title("Warnings")
    for warning in warnings:
        page.prose(f"• {visible(warning)}", "yellow")


def _next(page: Page, summary: Summary) -> None:
    if summary.sensitive:
        page.title("See it yourself")
        for finding in summary.sensitive[:3]:
            page.command(visible(finding.reproduce))
        more = len(summary.sensitive) - 3
        if more > 0:
            page.prose(f"and {more} more in the JSON summary, field sensitive[].reproduce")
    if summary.run_directory:
        page.title("Everything measured is in")
        page.command(visible(summary.run_directory))
