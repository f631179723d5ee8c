"""Groups that the search found, halved on runs of their own: noise makes groups too.

A run that was too fast makes critical code look hidden, and what it was slowed with look as if it
were needed. So a group is slowed half by half once more, a small one without each of its members,
and where a part does all that the group does, that part takes its place. Parts that only matter
together, or are many and small, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.finalists import Finalist
from bisector.lab import Lab, Steps
from bisector.search import ALPHA, kind
from bisector.trials import Arm, Trials
from strategies.bisect import CARRIED

FEW = 4
"""Members of a group that each may be left out of."""

LEAST_RUNS, MOST_RUNS = 3, 8
"""Runs of each part before that is believed, or given up."""


def shrink(lab: Lab, member: Finalist, threshold: float) -> Steps:
    """Make a group smaller for as long as a part of it does all that it does."""
    mass = lab.mass()
    while len(member.functions) > 1 and max(mass[t] for t in member.functions) >= threshold:
        trials = lab.exploratory()
        smaller = _parts(lab.tree.ordered(member.functions))
        whole, *parts = (Arm(t, lab.base_dose) for t in (member.functions, *smaller))
        while (carrier := _carrier(trials, whole, parts, threshold)) is None:
            yield from lab.run_block(trials, [whole, *parts], "sweep")
            if any(lab.is_hopeless(trials, arm) for arm in (whole, *parts)):
                return
        bounds = trials.bounds(carrier, ALPHA, threshold)
        if carrier == whole or bounds is None:
            return
        lab.leave_open(
            member.functions - carrier.targets, "part of a group of which another does all"
        )
        member.functions, member.gain = carrier.targets, bounds
        member.target, member.kind = lab.tree.name(carrier.targets), kind(lab, carrier.targets)


def _parts(names: Sequence[str]) -> list[frozenset[str]]:
    if len(names) <= FEW:
        return [frozenset(names) - {name} for name in names]
    half = len(names) // 2
    return [frozenset(names[:half]), frozenset(names[half:])]


def _carrier(trials: Trials, whole: Arm, parts: list[Arm], threshold: float) -> Arm | None:
    """The part that does all, or the whole where none does; None while it cannot be told."""
    runs = trials.count(whole)
    if runs < LEAST_RUNS:
        return None
    together = trials.gain(whole)
    if together is None:
        return whole
    for part in parts:
        gain, bounds = trials.gain(part), trials.bounds(part, ALPHA, threshold)
        if gain is None or bounds is None:
            return whole
        is_clear = bounds.lo > 0.5 * together.value or runs >= MOST_RUNS
        if is_clear and gain.value >= CARRIED * together.value:
            return part
    return whole if runs >= MOST_RUNS else None
