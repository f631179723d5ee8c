"""Where time is spent against where it matters: what code takes, and what it is worth.

A profiler knows the first alone. Invariant: entries of the sensitive set stand as they are in the
summary; of all other code each function stands for itself, with what was found out about the node
that it was judged in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bisector.census import Census
from bisector.evidence import Evidence
from bisector.schema import UNBOUNDED, Standing, Summary

MOST = 40
"""Other functions that are looked at, those with the most own time,"""
LEAST_SHARE = 0.002
"""if it is at least so much of the time per unit."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One piece of code. ``own_share``: own time, waiting included, over the time per unit; lanes
    add up, so that it may exceed 1. ``gain`` and ``lo`` are None where there is but a bound, ``hi``
    where there is none either."""

    target: str
    verdict: Standing
    own_share: float
    cpu_ns: float
    wait_ns: float
    gain: float | None
    lo: float | None
    hi: float | None
    judged_with: int


def weighed(evidence: Evidence) -> list[Weighed]:
    """What there is to compare, most own time first."""
    summary = evidence.summary
    if summary.baseline is None or not summary.baseline.time_per_unit_s > 0.0:
        return []
    base_ns = summary.baseline.time_per_unit_s * 1e9
    others = _members(evidence.census, base_ns) if evidence.census else _hottest(summary, base_ns)
    known = {name for f in summary.sensitive for name in (f.target, *f.members)}
    rest = sorted((w for w in others if w.target not in known), key=lambda w: -w.own_share)
    rest = [w for w in rest[:MOST] if w.own_share >= LEAST_SHARE]
    return sorted([*_set(summary, base_ns), *rest], key=lambda w: -w.own_share)


def _set(summary: Summary, base_ns: float) -> Iterator[Weighed]:
    for f in summary.sensitive:
        gain = f.estimated_gain
        lo, hi = gain.ci95 if gain else (None, None)
        yield Weighed(
            target=f.target,
            verdict="sensitive",
            own_share=(f.own_cpu_ns_per_unit + f.own_wait_ns_per_unit) / base_ns,
            cpu_ns=f.own_cpu_ns_per_unit,
            wait_ns=f.own_wait_ns_per_unit,
            gain=gain.estimate if gain else None,
            lo=lo,
            hi=hi,
            judged_with=1,
        )


def _members(census: Census, base_ns: float) -> Iterator[Weighed]:
    for member, judgement in census.judged():
        if judgement is not None:
            yield Weighed(
                target=member.target,
                verdict=judgement.verdict,
                own_share=member.own_ns_per_unit / base_ns,
                cpu_ns=member.own_cpu_ns_per_unit,
                wait_ns=member.own_wait_ns_per_unit,
                gain=None,
                lo=None,
                hi=_bound(judgement.gain_upper95),
                judged_with=len(judgement.functions),
            )


def _hottest(summary: Summary, base_ns: float) -> Iterator[Weighed]:
    for h in summary.hottest:
        yield Weighed(
            target=h.target,
            verdict=h.verdict,
            own_share=(h.own_cpu_ns_per_unit + h.own_wait_ns_per_unit) / base_ns,
            cpu_ns=h.own_cpu_ns_per_unit,
            wait_ns=h.own_wait_ns_per_unit,
            gain=None,
            lo=None,
            hi=_bound(h.gain_upper95),
            judged_with=h.judged_with,
        )


def _bound(gain: float | None) -> float | None:
    return None if gain is None or gain >= UNBOUNDED else gain
