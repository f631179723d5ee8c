"""Groups that the search found, halved on runs of their own: noise makes groups too.

A run that was too fast makes critical code look hidden, and what it was slowed with look as if it
were needed. So a group is slowed half by half once more, and where one half does all that the group
does, that half takes its place. Parts that only matter together, or are many and small, stay as
they are.
"""

from __future__ import annotations

from bisector.finalists import Finalist
from bisector.lab import Lab, Steps
from bisector.search import ALPHA, kind
from bisector.trials import Arm, Trials
from strategies.bisect import CARRIED

LEAST_RUNS, MOST_RUNS = 3, 8
"""Runs of each half before that is believed, or given up."""


def shrink(lab: Lab, member: Finalist, threshold: float) -> Steps:
    """Make a group smaller for as long as one half of it does all that it does."""
    mass = lab.mass()
    while len(member.functions) > 1 and max(mass[t] for t in member.functions) >= threshold:
        names = lab.tree.ordered(member.functions)
        halves = [frozenset(names[: len(names) // 2]), frozenset(names[len(names) // 2 :])]
        trials = lab.exploratory()
        whole, *parts = (Arm(t, lab.base_dose) for t in (member.functions, *halves))
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


def _carrier(trials: Trials, whole: Arm, parts: list[Arm], threshold: float) -> Arm | None:
    """The half that does all, or the whole where none does; None while it cannot be told."""
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
