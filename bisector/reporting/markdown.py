"""The result as Markdown for a pull request, a ticket or a chat; read on GitHub and GitLab.

Invariant: nothing that comes from the benchmark is interpreted. Names are code; every other word is
plain (`bisector.reporting.prose`), and the few signs of ours that Markdown knows are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bisector.reporting.certificate_text import certificate_sentences
from bisector.reporting.hot_text import why_not_hottest
from bisector.reporting.next_steps import next_steps
from bisector.reporting.phrases import (
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
from bisector.reporting.prose import spans
from bisector.schema import Insensitive, Summary
from bisector.wording import counted, percent_with_interval, spoken, unit_noun, visible

MOST_PRUNED = 10
MOST_COMMANDS = 3


def markdown(summary: Summary) -> str:
    """The document, ending in a newline."""
    parts = [
        _bold(summary.headline),
        _baseline(summary),
        _section("What to do next", _bullets(next_steps(summary))),
        _sensitive(summary),
        _hottest(summary),
        _pruned(summary.insensitive),
        _section("Unresolved", _bullets(_unresolved(summary))),
        _section("Certificate", _bullets(certificate_sentences(summary))),
        _section("Warnings", _bullets(summary.warnings)),
        _reproduce(summary),
        _origin(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(sentence: str) -> str:
    """A sentence in which nothing is interpreted and names are code."""
    text = "".join(
        code(span.text) if span.is_name else _escaped(span.text)
        for span in spans(visible(sentence.strip()))
    )
    return re.sub(r"^([0-9]+)([.)])", r"\1\\\2", text)  # no numbered list


def code(name: str) -> str:
    """A name as code, in a table as well."""
    if "`" in name or "|" in name or name != name.strip():
        return f"<code>{''.join(map(_entity, name))}</code>"
    return f"`{name}`"


def _entity(character: str) -> str:
    return character if character.isalnum() else f"&#{ord(character)};"


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]!])", r"\\\1", text)


def _bold(headline: str) -> str:
    # Not in ** **: whether that holds depends on the signs beside it, and names have many.
    return f"### {prose(headline)}"


def _section(title: str, body: str) -> str:
    return f"#### {title}\n\n{body}" if body else ""


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {prose(sentence)}" for sentence in sentences)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        rows.append((code(target) + _escaped(name.removeprefix(target)), *map(_escaped, cells)))
    notes = [*co_critical(summary.sensitive), set_legend(unit_noun(summary.benchmark.metric), what)]
    body = "\n\n".join([_table(SET_HEADS, rows), *map(prose, notes)])
    return _section(set_title(summary), body)


def _hottest(summary: Summary) -> str:
    title, paragraphs = why_not_hottest(summary)
    return _section(title, "\n\n".join(map(prose, paragraphs)))


def _pruned(nodes: Sequence[Insensitive]) -> str:
    if not nodes:
        return ""
    rows = [
        (code(visible(n.target)), str(n.functions), WHY[n.reason], bound(n.gain_upper95))
        for n in nodes[:MOST_PRUNED]
    ]
    body = _table(("target", "functions", "why", "gain at most"), rows)
    rest = nodes[MOST_PRUNED:]
    if rest:
        n = counted(sum(node.functions for node in rest), "function")
        body += f"\n\nand {counted(len(rest), 'more node')} ({n}), none of which could gain more."
    return _section("Ruled out", body)


def _unresolved(summary: Summary) -> list[str]:
    return [
        f"{visible(node.target)} ({counted(node.functions, 'function')}): {visible(node.reason)}"
        for node in summary.unresolved
    ]


def _reproduce(summary: Summary) -> str:
    """The commands, as blocks that can be copied."""
    commands = [visible(f.reproduce) for f in summary.sensitive[:MOST_COMMANDS]]
    return _section("See it yourself", "\n\n".join(map(_block, commands)))


def _block(command: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return f"{fence}sh\n{command}\n{fence}"


def _origin(summary: Summary) -> str:
    made = f"{summary.tool.name} {summary.tool.version}, {cost(summary)}, run {summary.run_id}"
    return f"<sub>{prose(made)}</sub>"
