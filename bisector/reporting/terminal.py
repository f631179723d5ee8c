"""The report for a terminal: a page read from top to bottom, the answer first, the evidence after.

Invariant: made from the summary and nothing else, so that `report DIR` shows what the run showed.
A list that is shortened says how many entries it leaves out and what bounds them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bisector.certificate_text import certificate_sentences
from bisector.headline import waits
from bisector.hot_text import why_not_hottest
from bisector.phrases import (
    HINTS,
    SET_HEADS,
    WHY,
    bound,
    co_critical,
    cost,
    counted_members,
    dose,
    hint_place,
    measured_by,
    response,
    set_legend,
    set_row,
    set_title,
    throughput,
    throughput_unit,
)
from bisector.reporting.page import INDENT, Page
from bisector.schema import Insensitive, Sensitive, Summary
from bisector.wording import (
    Spoken,
    at_most,
    counted,
    duration_ns,
    listed,
    number,
    percent_with_interval,
    spoken,
    unit_noun,
    visible,
)

WIDE = 104
"""From this width on the sensitive set is a table; below, a paragraph for each member."""
MOST_PRUNED = 10
_COLOUR = {"sensitive": "bold yellow", "insensitive": "bold green", "inconclusive": "bold magenta"}


def render(summary: Summary, console: Console) -> None:
    """Print the report of ``summary``. The console decides on width and colour."""
    page = Page(console)
    unit = unit_noun(summary.benchmark.metric)
    failed = summary.stop_reason == "failed"
    page.prose(summary.headline, "bold red" if failed else _COLOUR[summary.verdict], indent="")
    _baseline(page, summary, unit)
    _sensitive(page, summary, unit)
    _hottest(page, summary)
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
    page.prose(throughput(summary, summary.baseline))
    page.prose(measured_by(summary), "dim")
    root = summary.root
    if root is None:
        return
    page.title(f"All Python, {root.target}")
    what = spoken(summary.benchmark.metric)
    at_dose = response(root, unit, root.delay_ns, what)
    page.prose(f"Gain {percent_with_interval(root.estimated_gain)} · {at_dose}.")
    if len(root.curve) > 1:
        points = (
            f"{dose(p.dose, root.delay_ns)}: {number(p.throughput)}"
            for p in sorted(root.curve, key=lambda p: p.injected_ns_per_unit)
        )
        per = throughput_unit(summary.benchmark.metric)
        page.prose(f"Throughput by dose, in {per}: {' · '.join(points)}.")


def _sensitive(page: Page, summary: Summary, unit: str) -> None:
    if not summary.sensitive:
        return
    page.title(set_title(summary))
    fixed_ns = summary.root.delay_ns if summary.root else None
    what = spoken(summary.benchmark.metric)
    if page.width >= WIDE:
        page.rows(SET_HEADS, (set_row(f, fixed_ns, what) for f in summary.sensitive), "bold")
    else:
        for rank, finding in enumerate(summary.sensitive, 1):
            _as_paragraph(page, rank, finding, unit, fixed_ns, what)
    for sentence in co_critical(summary.sensitive):
        page.prose(sentence)
    page.prose(set_legend(unit, what), "dim")
    hints = [hint for finding in summary.sensitive for hint in finding.hints]
    if hints:
        page.title(HINTS)
    for hint in hints:
        page.prose(hint_place(hint))
        page.name("  ", visible(hint.source), "dim")


def _as_paragraph(
    page: Page, rank: int, finding: Sensitive, unit: str, fixed_ns: float | None, what: Spoken
) -> None:
    head = f"{rank}. "
    page.name(head, visible(finding.target))
    indent = INDENT + " " * len(head)
    page.prose(f"gain {percent_with_interval(finding.estimated_gain)}", indent=indent)
    own = f"{duration_ns(finding.own_cpu_ns_per_unit)} CPU"
    if finding.own_wait_ns_per_unit > 1e-3 * finding.own_cpu_ns_per_unit:
        own += f", {duration_ns(finding.own_wait_ns_per_unit)} waiting"
    if waits(finding):
        own += " (it waits)"
    of = f"{counted_members(finding)} · " if finding.functions > 1 else ""
    calls = f"{number(finding.calls_per_unit)} calls per {unit}"
    page.prose(f"{of}own time {own} · {calls}", indent=indent)
    page.prose(response(finding, unit, fixed_ns, what), indent=indent)


def _hottest(page: Page, summary: Summary) -> None:
    """Why what a profiler shows first is not in the set."""
    title, paragraphs = why_not_hottest(summary)
    if paragraphs:
        page.title(title)
    for paragraph in paragraphs:
        page.prose(paragraph)


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
                    WHY[n.reason],
                    bound(n.gain_upper95),
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
    page.title("Cost")
    page.prose(cost(summary))


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
