"""Groups that the search found, halved on runs of their own: noise makes groups too.

A run that was too fast makes critical code look hidden, and what it was slowed with look as if it
were needed. So a group is slowed half by half once more, and without each quarter of it (of a small
one: without each member), and where a part does all that the group does, that part takes its place.
Parts that only matter together, or are many and small, stay as they are.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise

from bisector.answer import Interval
from bisector.finalists import Finalist
from bisector.lab import Lab, Steps
from bisector.observations import RunObserved, RunRequest
from bisector.search import ALPHA, kind
from bisector.trials import Arm, Trials

FEW = 4
"""Parts of a group that are left out one by one."""

LEAST_RUNS, MOST_RUNS = 3, 8
"""Runs of each part before that is believed, or given up."""


def shrink(lab: Lab, member: Finalist, threshold: float) -> Steps:
    """Make a group smaller for as long as a part of it does all that it does."""
    while len(member.functions) > 1 and _largest(lab, member.functions) >= threshold:
        names = lab.tree.ordered(member.functions)
        halves, lacking = _chunks(names, 2), _chunks(names, FEW)
        known = yield from _look_for(lab, member, halves, threshold)
        if known is None and len(names) > 2:
            without = [member.functions - chunk for chunk in lacking]
            known = yield from _look_for(lab, member, without, threshold)
        if known is None:
            return
        part, gain = known
        lab.leave_open(member.functions - part, "part of a group of which another does all")
        member.functions, member.gain = part, gain
        member.target, member.kind = lab.tree.name(part), kind(lab, part)


def _largest(lab: Lab, functions: frozenset[str]) -> float:
    """What one of these can gain at most."""
    own_s = lab.own.by_target()[lab.own.roster.places(functions)]
    return float(own_s.max()) / lab.time_per_unit_s


def _chunks(names: Sequence[str], most: int) -> list[frozenset[str]]:
    """Neighbours, in so many groups of about the same size."""
    cuts = [len(names) * i // min(most, len(names)) for i in range(min(most, len(names)) + 1)]
    return [frozenset(names[first:last]) for first, last in pairwise(cuts)]


def _look_for(
    lab: Lab, member: Finalist, sets: list[frozenset[str]], threshold: float
) -> Generator[RunRequest, RunObserved, tuple[frozenset[str], Interval] | None]:
    """The first of these parts that does all that the group does, with its gain; by fresh runs."""
    trials = lab.exploratory()
    whole, *parts = (Arm(targets, lab.base_dose) for targets in (member.functions, *sets))
    while (carrier := _carrier(trials, whole, parts, threshold)) is None:
        yield from lab.run_block(trials, [whole, *parts], "sweep")
        if any(lab.is_hopeless(trials, arm) for arm in (whole, *parts)):
            return None
    bounds = trials.bounds(carrier, ALPHA, threshold)
    return None if carrier == whole or bounds is None else (carrier.targets, bounds)


def _carrier(trials: Trials, whole: Arm, parts: list[Arm], threshold: float) -> Arm | None:
    """The part that does all, or the whole where none does; None while it cannot be told. All is
    more than half way to it from what the part would do if all members did the same."""
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
        even = len(part.targets) / len(whole.targets)
        is_clear = bounds.lo > even * together.value or runs >= MOST_RUNS
        if is_clear and gain.value >= 0.5 * (1.0 + even) * together.value:
            return part
    return whole if runs >= MOST_RUNS else None
