"""The result as Markdown for a pull request, a ticket or a chat; read on GitHub and GitLab.

Invariant: nothing that comes from the benchmark is interpreted; see `bisector.markup`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.certificate_text import certificate_sentences
from bisector.hot_text import why_not_hottest
from bisector.markup import block, bullets, code, escaped, hinted, prose, section, table
from bisector.next_steps import next_steps
from bisector.phrases import (
    HINTS,
    SET_HEADS,
    WHY,
    bound,
    co_critical,
    cost,
    measured_by,
    set_legend,
    set_row,
    set_title,
    throughput,
)
from bisector.schema import Insensitive, Summary
from bisector.wording import counted, percent_with_interval, spoken, unit_noun, visible

MOST_PRUNED = 10
MOST_COMMANDS = 3


def markdown(summary: Summary) -> str:
    """The document, ending in a newline."""
    parts = [
        _bold(summary.headline),
        _baseline(summary),
        section("What to do next", bullets(next_steps(summary))),
        _sensitive(summary),
        _hottest(summary),
        _pruned(summary.insensitive),
        section("Unresolved", bullets(_unresolved(summary))),
        section("Certificate", bullets(certificate_sentences(summary))),
        section("Warnings", bullets(summary.warnings)),
        _reproduce(summary),
        _origin(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bold(headline: str) -> str:
    # Not in ** **: whether that holds depends on the signs beside it, and names have many.
    return f"### {prose(headline)}"


def _baseline(summary: Summary) -> str:
    if summary.baseline is None:
        return ""
    text = prose(f"Baseline: {throughput(summary, summary.baseline)}. {measured_by(summary)}")
    if summary.root is not None:
        gain = percent_with_interval(summary.root.estimated_gain)
        text += " " + prose(f"All Python, {summary.root.target}: gain {gain}.")
    return text


def _sensitive(summary: Summary) -> str:
    if not summary.sensitive:
        return ""
    fixed_ns = summary.root.delay_ns if summary.root else None
    what = spoken(summary.benchmark.metric)
    rows = []
    for finding in summary.sensitive:
        name, *cells = set_row(finding, fixed_ns, what)
        target = visible(finding.target)
        rows.append((code(target) + escaped(name.removeprefix(target)), *map(escaped, cells)))
    notes = [*co_critical(summary.sensitive), set_legend(unit_noun(summary.benchmark.metric), what)]
    body = "\n\n".join([table(SET_HEADS, rows), *map(prose, notes)])
    hints = hinted(hint for finding in summary.sensitive for hint in finding.hints)
    if hints:
        body += f"\n\n{HINTS}:\n\n{hints}"
    return section(set_title(summary), body)


def _hottest(summary: Summary) -> str:
    title, paragraphs = why_not_hottest(summary)
    return section(title, "\n\n".join(map(prose, paragraphs)))


def _pruned(nodes: Sequence[Insensitive]) -> str:
    if not nodes:
        return ""
    rows = [
        (code(visible(n.target)), str(n.functions), WHY[n.reason], bound(n.gain_upper95))
        for n in nodes[:MOST_PRUNED]
    ]
    body = table(("target", "functions", "why", "gain at most"), rows)
    rest = nodes[MOST_PRUNED:]
    if rest:
        n = counted(sum(node.functions for node in rest), "function")
        body += f"\n\nand {counted(len(rest), 'more node')} ({n}), none of which could gain more."
    return section("Ruled out", body)


def _unresolved(summary: Summary) -> list[str]:
    return [
        f"{visible(node.target)} ({counted(node.functions, 'function')}): {visible(node.reason)}"
        for node in summary.unresolved
    ]


def _reproduce(summary: Summary) -> str:
    """The commands, as blocks that can be copied."""
    commands = [visible(f.reproduce) for f in summary.sensitive[:MOST_COMMANDS]]
    return section("See it yourself", "\n\n".join(map(block, commands)))


def _origin(summary: Summary) -> str:
    made = f"{summary.tool.name} {summary.tool.version}, {cost(summary)}, run {summary.run_id}"
    return f"<sub>{prose(made)}</sub>"
