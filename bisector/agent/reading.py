"""What can be read of a run by calls: branches of its tree, verdicts, source, reports.

Invariant: a pure function of what is known of the run (`Facts`), except `source`, which reads one
file: of a function that the run has seen, and nothing beyond that function.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from bisector.agent.allowed import AGENTS_OPTIONS
from bisector.agent.shapes import Branch, Branches, Source, Text, Verdict, Verdicts
from bisector.census import Census, Judgement, Member
from bisector.discovery import Function
from bisector.hints.source import Sources
from bisector.schema import Summary
from bisector.tree import ROOT, Tree
from bisector.wording import visible

MOST_TEXT = 30_000
"""Characters of a report that are told at once."""


class NothingToRead(ValueError):
    """What was asked for is not there; the message says what is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run. ``summary`` None: it is still going on."""

    run: str
    members: Sequence[Member]
    judgements: Sequence[Judgement]
    time_per_unit_s: float | None
    began: datetime
    summary: Summary | None = None
    headline: str = ""
    cwd: str = ""
    notes: list[str] = field(default_factory=list)

    def judged(self) -> dict[str, Judgement]:
        """Each function's judgement, where it has one."""
        census = Census(members=list(self.members), judgements=list(self.judgements))
        return {member.target: each for member, each in census.judged() if each is not None}


def branches(facts: Facts, node: str, offset: int, limit: int) -> Branches:
    """The children of a node.

    Raises:
        NothingToRead: there is no such node, or nothing is known yet.
    """
    if not facts.members:
        raise NothingToRead("nothing is known of its functions yet; wait until it has looked")
    tree = Tree(_function(member) for member in facts.members)
    shown = {visible(name): name for name in tree.graph}
    if node not in shown:
        raise NothingToRead(f"there is no node {node[:200]!r}; begin with {ROOT!r}")
    children = list(tree.graph.successors(shown[node]))
    by_target = {member.target: member for member in facts.members}
    judged = facts.judged()
    rows = [_branch(tree, child, by_target, judged, facts.time_per_unit_s) for child in children]
    rows.sort(key=lambda row: (-row.own_ms_per_unit, row.node))
    page = rows[offset : offset + limit]
    return Branches(
        run=facts.run,
        node=node,
        children=page,
        total=len(rows),
        next_offset=offset + limit if offset + limit < len(rows) else None,
    )


def verdicts(facts: Facts, offset: int, limit: int) -> Verdicts:
    """What is said of each set, what matters first."""
    order = ("sensitive", "unresolved", "insensitive")
    rows = [
        Verdict(
            target=visible(each.target),
            functions=len(each.functions),
            verdict=each.verdict,
            gain=each.estimated_gain,
            gain_upper95=each.gain_upper95,
            reason=said(each.reason) if each.verdict != "sensitive" else "",
        )
        for each in facts.judgements
    ]
    rows.sort(key=lambda row: (order.index(row.verdict), -(row.gain_upper95 or 0.0), row.target))
    summary = facts.summary
    return Verdicts(
        run=facts.run,
        certified=summary is not None and summary.stop_reason == "certified",
        headline=said(facts.headline),
        verdicts=rows[offset : offset + limit],
        total=len(rows),
        next_offset=offset + limit if offset + limit < len(rows) else None,
        notes=[said(note) for note in facts.notes],
    )


def source(facts: Facts, target: str, most: int) -> Source:
    """The source of a function, at most so many lines.

    Raises:
        NothingToRead: the run has not seen it, or its source cannot be read.
    """
    member = next((m for m in facts.members if target in (m.target, visible(m.target))), None)
    if member is None:
        raise NothingToRead(f"the run has seen no function {target[:200]!r}; tree names those")
    if not member.file or member.line < 1:
        raise NothingToRead(f"{target[:200]!r} has no source file")
    block = Sources(facts.began, Path(facts.cwd)).lines(_function(member))
    if not block:
        raise NothingToRead(
            f"the file of {target[:200]!r} is not there or no longer what was measured: it was "
            "changed since, or has no such function at that line"
        )
    return Source(
        target=visible(member.target),
        file=visible(member.file),
        first_line=member.line,
        text="".join(f"{_plain(line)}\n" for line in block[:most]),
        truncated=len(block) > most,
    )


def page(run: str, text: str, offset: int) -> Text:
    """A part of a text."""
    end = offset + MOST_TEXT
    return Text(run=run, text=text[offset:end], next_offset=end if end < len(text) else None)


def _branch(
    tree: Tree,
    node: str,
    members: dict[str, Member],
    judged: dict[str, Judgement],
    time_per_unit_s: float | None,
) -> Branch:
    below = tree.below(node)
    own_ns = sum(members[t].own_ns_per_unit for t in below)
    waiting_ns = sum(members[t].own_wait_ns_per_unit for t in below)
    of = {id(judged[t]): judged[t] for t in below if t in judged}
    only = next(iter(of.values())) if len(of) == 1 and all(t in judged for t in below) else None
    whole = only if only is not None and len(only.functions) == len(below) else None
    return Branch(
        node=visible(node),
        functions=len(below),
        own_ms_per_unit=own_ns / 1e6,
        waiting_ms_per_unit=waiting_ns / 1e6,
        own_share=own_ns / 1e9 / time_per_unit_s if time_per_unit_s else None,
        calls_per_unit=sum(members[t].calls_per_unit for t in below),
        verdicts=dict(Counter(judged[t].verdict for t in sorted(below) if t in judged)),
        gain=whole.estimated_gain if whole else None,
        gain_upper95=only.gain_upper95 if only else None,
    )


def _function(member: Member) -> Function:
    zeros = 0.0, 0.0, 0.0, 0.0
    return Function(member.target, member.file, member.line, *zeros, kind=member.kind)


def _plain(line: str) -> str:
    return "\t".join(visible(part) for part in line.rstrip("\r\n").split("\t"))


_OPTION = re.compile(rf"--({'|'.join(o.replace('_', '-') for o in AGENTS_OPTIONS)})\b(?!-)")
_RESUME = re.compile(r"`speedbump-bisect resume [^`]*`")


def said(text: str) -> str:
    """A sentence that was written for the command line, in the words of the tools."""
    text = _RESUME.sub("resume", visible(text))
    return _OPTION.sub(lambda found: found[1].replace("-", "_"), text)


def shown(names: Iterable[str], most: int) -> list[str]:
    """The first of some names, printable."""
    return [visible(name) for name in islice(names, most)]
