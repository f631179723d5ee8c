"""The result as a speedscope file: three flame graphs over the module tree, of a unit of work.

What an entry is worth (its gain as time per unit), and beside it where time is spent: own time on
CPU, and waiting. Stacks are paths in the tree, not calls; the width of an entry of a co-critical
group is its share of what the whole group would gain. Speedscope (https://www.speedscope.app, also
offline) shows one of them at a time, chosen at the top.

Invariant: the file obeys https://www.speedscope.app/file-format-schema.json; weights are at least
zero, so that a gain that came out negative is no sample, and a graph without any is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bisector.census import Member
from bisector.evidence import Evidence
from bisector.schema import Sensitive, Summary
from bisector.tree import ROOT, Tree
from bisector.wording import unit_noun, visible

SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Frame = dict[str, str | int]


def speedscope(evidence: Evidence) -> str:
    """The document, ending in a newline."""
    summary = evidence.summary
    members = {m.target: m for m in evidence.census.members} if evidence.census else {}
    names = {*members, *(name for f in summary.sensitive for name in f.members)}
    stacks = Stacks(names, members)
    unit = unit_noun(summary.benchmark.metric)
    profiles = [stacks.profile(f"gain per {unit}", _gains(summary, stacks))]
    for state, field in (("on CPU", "own_cpu_ns_per_unit"), ("waiting", "own_wait_ns_per_unit")):
        own = ((stacks.of(m.target), float(getattr(m, field))) for m in members.values())
        profiles.append(stacks.profile(f"own time {state} per {unit}", own))
    document = {
        "$schema": SCHEMA,
        "name": f"speedbump-bisect {summary.run_id}",
        "exporter": f"{summary.tool.name} {summary.tool.version}",
        "activeProfileIndex": 0,
        "shared": {"frames": stacks.frames},
        "profiles": [profile for profile in profiles if profile["samples"]] or profiles[:1],
    }
    return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"


class Stacks:
    """Frames, each once, and stacks of their numbers."""

    def __init__(self, targets: Iterable[str], members: dict[str, Member]) -> None:
        self.frames: list[Frame] = []
        self._tree = Tree((), beside=sorted(targets))
        self._members = members
        self._numbers: dict[str, int] = {}

    def of(self, target: str) -> list[int]:
        """The stack of a function, from ``*:*`` down to itself."""
        return [self._number(node) for node in self._tree.path(target)]

    def below(self, targets: Iterable[str], name: str) -> list[int]:
        """The stack of several functions that have one entry, called ``name``."""
        paths = [self._tree.path(target) for target in targets]
        shared = [level[0] for level in zip(*paths, strict=False) if len(set(level)) == 1]
        nodes = [*shared, *([] if name in shared else [name])] if paths else [ROOT, name]
        return [self._number(node) for node in nodes]

    def profile(self, name: str, weighed: Iterable[tuple[list[int], float]]) -> dict[str, Any]:
        """A profile of stacks and their weights in nanoseconds; what weighs nothing is left out."""
        heavy = [(stack, weight) for stack, weight in weighed if weight > 0.0]
        return {
            "type": "sampled",
            "name": name,
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": sum(weight for _, weight in heavy),
            "samples": [stack for stack, _ in heavy],
            "weights": [weight for _, weight in heavy],
        }

    def _number(self, node: str) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self.frames)
            self.frames.append(_frame(node, self._members.get(node)))
        return self._numbers[node]


def _frame(node: str, member: Member | None) -> Frame:
    frame: Frame = {"name": visible(node)}
    if member is not None and member.file:
        frame["file"] = visible(member.file)
        if member.line > 0:
            frame["line"] = member.line
    return frame


def _gains(summary: Summary, stacks: Stacks) -> Iterable[tuple[list[int], float]]:
    if summary.baseline is None:
        return
    for finding in summary.sensitive:
        gain = _share(finding) * summary.baseline.time_per_unit_s * 1e9
        if finding.functions == 1 and finding.members:
            yield stacks.of(finding.members[0]), gain
        else:
            yield stacks.below(finding.members, finding.target), gain


def _share(finding: Sensitive) -> float:
    """Its own share of the time per unit: members of a group gain what they gain together."""
    gain = finding.estimated_gain
    return gain.estimate / (1 + len(finding.co_critical_with)) if gain else 0.0
