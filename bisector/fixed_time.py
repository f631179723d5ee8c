"""Benchmarks that run for a fixed time, seen before their time is believed.

Where time is measured, a run that does what it can in a minute takes a minute however much it is
slowed, and everything would look hidden. What gives it away is the work: slowed code is called less
often.
"""

from __future__ import annotations

from dataclasses import replace

from bisector.lab import BenchmarkBroken, BudgetOver, Lab, Steps
from bisector.statistics import sequence_radius
from bisector.trials import Arm, Trials

FAR = 8.0
"""How many times the dose tells what runs for a fixed time where work varies from run to run."""


def refuse_fixed_time(lab: Lab, trials: Trials, low: Arm, high: Arm) -> Steps:
    """Where time is measured, see that slowed runs do the same work, and not what they can in the
    same time.

    Raises:
        BenchmarkBroken: it runs for a fixed time.
        BudgetOver: its work varies too much to tell.
    """
    if not lab.metric_is_time:
        return
    achieved = "give what it achieves with --metric regex:PATTERN or --metric json:KEY"
    try:
        while (fixed := _is_fixed_time(lab, trials, low, high)) is None:
            if high.dose < FAR * low.dose:  # apart: what lies beyond a slack blurs the rest
                trials, high = lab.trials(), replace(low, dose=FAR * low.dose)
            if lab.is_hopeless(trials, high):
                raise BudgetOver
            yield from lab.run_block(trials, [low, high], "search")
    except BudgetOver:
        lab.note(
            "the run takes the same time whatever the delay, but how much work it does varies too "
            f"much to say whether it runs for a fixed time; {achieved}"
        )
        raise
    if fixed:
        raise BenchmarkBroken(
            "the run takes the same time whatever the delay, but the work it does gets less the "
            f"more it is slowed: it runs for a fixed time, so time says nothing; {achieved}"
        )


def _is_fixed_time(lab: Lab, trials: Trials, low: Arm, high: Arm) -> bool | None:
    """Whether the work lost at the larger dose is what is lost in a fixed time; None while it
    varies too much to tell."""
    lost = trials.work_lost(high, low)
    if lost is None:
        return None
    share = min(lab.own.per_unit_s(lab.everything) / lab.time_per_unit_s, 1.0)
    at_low, at_high = (1.0 + share * trials.dose(arm) for arm in (low, high))
    half = 0.5 * (1.0 - at_low / at_high)
    radius = sequence_radius(lost, 1.0 - lab.settings.confidence, half)
    return None if abs(lost.value - half) < radius else lost.value > half
