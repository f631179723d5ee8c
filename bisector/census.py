"""Every function that was seen, what it does in a unit of work, and what became of it.

The summary names nodes; which functions a node such as ``37 functions of serving.*:*`` stands for
is known to the engine alone. It is written down beside the summary when a run ends, so that a
report made later shows the whole tree, whichever version of the search it is made with.

Invariant: a pure function of the answer; each function is in it once, in at most one judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bisector.answer import Answer, Finding, Pruned, Unresolved
from bisector.counted import Kind
from bisector.discovery import Function
from bisector.schema import Estimate, Number, Part, Standing, finite

Judged = Finding | Pruned | Unresolved


class Member(Part):
    """One function, native callable or line. Times are summed over lanes."""

    target: str
    kind: Kind
    file: str
    line: int
    calls_per_unit: Number
    own_cpu_ns_per_unit: Number
    own_wait_ns_per_unit: Number

    @property
    def own_ns_per_unit(self) -> float:
        """Own time in all states."""
        return self.own_cpu_ns_per_unit + self.own_wait_ns_per_unit


class Judgement(Part):
    """What was found out about some functions together, that were slowed together.

    ``reason``: why they were ruled out, as the summary says it, or why they are unresolved; of
    sensitive ones the kind. ``functions``: positions in the census.
    """

    target: str
    verdict: Standing
    reason: str
    estimated_gain: Estimate | None
    gain_upper95: Number | None
    functions: list[int]


class Census(Part):
    """See the module docstring."""

    schema_version: Literal[1] = 1
    members: list[Member]
    judgements: list[Judgement]

    def judged(self) -> Iterator[tuple[Member, Judgement | None]]:
        """Each function with the judgement that it is part of, if there is one."""
        of = {number: each for each in self.judgements for number in each.functions}
        for number, member in enumerate(self.members):
            yield member, of.get(number)


def judged(answer: Answer) -> dict[str, Judged]:
    """Whose verdict each function has. Where it was judged more than once, what was shown counts
    more than what was left open, and that it matters more than that it does not."""
    entries: tuple[Judged, ...] = (*answer.unresolved, *answer.insensitive, *answer.sensitive)
    return {name: entry for entry in entries for name in entry.functions}


def take_census(answer: Answer) -> Census:
    """The census of ``answer``; empty where nothing was seen."""
    seen = answer.discovery.functions if answer.discovery else ()
    members = {function.target: _member(function) for function in seen}
    verdicts = judged(answer)
    for target in verdicts:
        members.setdefault(target, _unseen(target))
    entries: dict[int, tuple[Judged, list[int]]] = {}
    for number, target in enumerate(members):
        if target in verdicts:
            entry = verdicts[target]
            entries.setdefault(id(entry), (entry, []))[1].append(number)
    return Census(
        members=list(members.values()),
        judgements=[_judgement(entry, numbers) for entry, numbers in entries.values()],
    )


def _member(function: Function) -> Member:
    return Member(
        target=function.target,
        kind=function.kind,
        file=function.file,
        line=function.line,
        calls_per_unit=finite(function.calls) or 0.0,
        own_cpu_ns_per_unit=finite((function.gil_s + function.nogil_s) * 1e9) or 0.0,
        own_wait_ns_per_unit=finite(function.wait_s * 1e9) or 0.0,
    )


def _unseen(target: str) -> Member:
    return Member(
        target=target,
        kind="function",
        file="",
        line=0,
        calls_per_unit=0.0,
        own_cpu_ns_per_unit=0.0,
        own_wait_ns_per_unit=0.0,
    )


def _judgement(entry: Judged, numbers: list[int]) -> Judgement:
    reason, gain, bound = "", None, None
    match entry:
        case Finding():
            reason, gain = entry.kind, Estimate.of(entry.effect.gain)
            bound = gain.ci95[1] if gain else None
        case Pruned():
            reason, bound = entry.reason, finite(entry.gain_upper95)
        case Unresolved():
            reason = entry.reason
    verdicts: dict[type[Judged], Standing] = {
        Finding: "sensitive",
        Pruned: "insensitive",
        Unresolved: "unresolved",
    }
    return Judgement(
        target=entry.target,
        verdict=verdicts[type(entry)],
        reason=reason,
        estimated_gain=gain,
        gain_upper95=bound,
        functions=numbers,
    )
