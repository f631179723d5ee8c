"""The first question: does slowing all Python lower throughput at all, and from which dose on?

The root is slowed at two doses in every block; a coarse one that exceeds a slack gives way to a
smaller one. If even the bound on its gain is below ``--min-gain`` the answer is `insensitive`, and
larger doses then measure the slack: how much slower Python could be before throughput falls. A
coarse dose alone never makes it sensitive, since a hidden program turns critical once its delay
exceeds the slack; where even the base dose may, a smaller one tells. There is no other question
before this one is answered: it has the whole budget.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace

from bisector.answer import Certificate, Effect, Pruned
from bisector.discovery import Discovery
from bisector.events import EstimateUpdated, NodeJudged
from bisector.fixed_time import refuse_fixed_time
from bisector.lab import BenchmarkBroken, BudgetOver, Lab, Steps
from bisector.observations import RunObserved, RunRequest
from bisector.response import Point, respond
from bisector.statistics import CONTROL
from bisector.tree import ROOT
from bisector.trials import Arm, Trials

MIN_BLOCKS = 2
SURE_RUNS = 8
"""Runs that make a gain hardly above ``--min-gain`` believed: noise that looked small may not be,
and a search for what is not there is dear."""

MARKEDLY, SURE_SHARE = 1.75, 0.3
"""Times ``--min-gain`` at which a gain is not hardly above it; what share of it is sure then."""
PLAINLY = 4.0
"""Times ``--min-gain`` that the coarse dose has to show before that where the small one shows more
than its part of it: undelayed runs, which both are compared with, may have been fast."""

STANDS_OUT, LIKELY_SE, PLAIN_SE = 1.5, 4.0, 6.0
"""Times ``--min-gain``, and standard errors, by which the small dose shows what probably is an
effect, and what is (wrongly once in 100 times): that is searched for, and other runs claim it."""

PLAIN_EFFECT, OFF_LINE = 0.3, 0.5
"""What the coarse dose adds to the time per unit, and how far the gain of the small one is off at
most, that is plain by one run of each."""

VAIN_BLOCKS, VAIN_SE = 8, 3.0
"""Blocks after which a coarse dose that leads nowhere is given up, if it shows so many errors."""

SMALLER = 0.3
"""Share of the small dose that is tried where a slack that it exceeds would explain both."""

SLACK_RUNS = 2
FINEST_ADDED, FIRST_ADDED, MOST_ADDED = 0.1, 0.5, 16.0
"""What Python's work is made longer by in search of the slack, relative to the time per unit: at
least, at first, and at most."""

IMPLAUSIBLE = -0.1
"""A gain that is surely less is not believed: slowed code may free something, but not so much."""


def judge_root(lab: Lab) -> Steps:
    """Decide whether the root is sensitive; leaves ``root``, and a verdict if it is insensitive.

    Raises:
        BudgetOver: the budget went by without an answer, or what may matter cannot be slowed.
        BenchmarkBroken: it cannot be slowed, or it runs for a fixed time whatever happens.
    """
    share = _share(lab, lab.everything)
    if share < lab.settings.min_gain:
        too_little = lab.pruned(lab.everything, "cannot_matter", share, lab.base_dose)
        _refuse_if_unresolved(lab, too_little, "what can be slowed is too little to matter, and")
    both = trials = lab.exploratory()
    low, high = (Arm(lab.everything, dose) for dose in (lab.base_dose, lab.top_dose))
    while True:
        try:
            second = trials.count(low) == 1 and _stands_out(lab, trials, low, LIKELY_SE)
            coarse = trials is both and not second
            yield from lab.run_block(trials, [low, high] if coarse else [low], "search")
        finally:
            _publish(lab, trials, low, (high,))
        if lab.is_hopeless(trials, low):
            raise BenchmarkBroken(
                f"the benchmark works undelayed but fails when slowed by {low.dose:.0%}: "
                f"{trials.failures[low][-1]}"
            )
        fails = trials is both and lab.is_hopeless(both, high)
        if fails:
            lab.warn(
                f"the benchmark fails when slowed by {high.dose:.0%}: {both.failures[high][-1]}"
            )
        _check_delivery(lab, trials, low)
        is_plain = trials.count(low) == 1 and _is_plain(trials, low, high)
        if trials.count(low) < MIN_BLOCKS and not is_plain:
            continue
        verdict = "sensitive" if is_plain else _verdict(lab, trials, both, low, high)
        if verdict == "insensitive":
            yield from refuse_fixed_time(lab, both, low, high)
            gain_hi = _tightest(lab, trials, low, high)
            slowed = lab.everything - _leave_open_what_was_missed(lab, trials, low)
            bounded = lab.pruned(slowed, "measured", gain_hi, _root(lab).dose)
            _refuse_if_unresolved(
                lab, bounded, "slowing everything that can be slowed does not lower throughput, but"
            )
            _certify_insensitive(lab, bounded)
            yield from _measure_slack(lab)
            lab.emit(NodeJudged(ROOT, len(lab.everything), verdict, _root(lab).gain))
            return
        if verdict == "sensitive":
            if low.dose < lab.base_dose and trials.count(high):
                _publish(lab, trials, high, (low,))  # on the same line, and more exact
            lab.emit(NodeJudged(ROOT, len(lab.everything), verdict, _root(lab).gain))
            return
        if trials is both and (fails or _exceeds_slack(lab, both, low, high)):
            # The larger dose exceeds a slack: its runs say no more, and are noisier than the rest.
            trials = lab.trials()
            if 0.5 * high.dose > low.dose:
                both, high = trials, replace(high, dose=0.5 * high.dose)
        elif trials is not both and low.dose == lab.base_dose and _is_sure(lab, trials, low):
            both = trials = lab.trials()
            low, high = replace(low, dose=SMALLER * low.dose), low


def _root(lab: Lab) -> Effect:
    if lab.known.root is None:
        raise BenchmarkBroken("the delays of the root never took effect")
    return lab.known.root


def _publish(lab: Lab, trials: Trials, low: Arm, more: tuple[Arm, ...]) -> None:
    if trials.count(low) == 0:
        return
    effect = trials.effect(low, lab.settings.min_gain, tuple(a for a in more if trials.count(a)))
    if effect is not None:
        lab.know(root=effect)
        lab.emit(EstimateUpdated(ROOT, len(lab.everything), effect.gain, effect.runs))


def _verdict(lab: Lab, trials: Trials, both: Trials, low: Arm, high: Arm) -> str | None:
    """``trials`` for what the small dose shows, ``both`` for the larger one."""
    alpha, least = 1.0 - lab.settings.confidence, lab.settings.min_gain
    at_low = trials.bounds(low, alpha, least)
    at_high = trials.bounds(high, alpha, least) if trials.count(high) else None
    if at_low is None:
        return None
    if at_low.hi < IMPLAUSIBLE:
        lab.warn(
            "slowed runs are faster than undelayed ones: something is carried over from one to the "
            "next, or moves with the delays; nothing is concluded from them"
        )
        return None
    if _tightest(lab, trials, low, high) < least:
        return "insensitive"
    larger = both.points((high,)) if both.count(high) else []
    response = respond([*trials.points((low,)), *larger])
    sure = _is_sure(lab, trials, low)
    hardly = at_high is None or at_high.lo < PLAINLY * least
    if response.shape == "sublinear" and hardly and trials.count(low) < SURE_RUNS:
        return None
    if response.shape == "threshold":
        # Convex: what the small dose shows is an upper bound, so it must be clear by itself, and
        # more than what a hinge inside the small dose would leave of it.
        injected = trials.injected_s(low) * 1e9
        return "sensitive" if sure and response.slack < 0.5 * injected else None
    if sure or (response.shape == "linear" and _stands_out(lab, trials, low, PLAIN_SE)):
        return "sensitive"
    if at_high is not None and at_high.lo > least and response.shape in ("linear", "sublinear"):
        gain = trials.gain(low)
        # The straight line is the better story and the small dose shows its part of it.
        if gain is not None and gain.value > 2.0 * gain.se and gain.value >= least:
            return "sensitive"
    return None


def _is_sure(lab: Lab, trials: Trials, arm: Arm) -> bool:
    """Whether an arm clearly lowers throughput, and by what matters."""
    alpha, least = 1.0 - lab.settings.confidence, lab.settings.min_gain
    bounds = trials.bounds(arm, 2.0 * alpha, least)  # one-sided
    if bounds is None or bounds.estimate < least:
        return False
    if bounds.estimate > MARKEDLY * least:
        least = min(least, SURE_SHARE * bounds.estimate)
    return bounds.lo > (least if trials.count(arm) < SURE_RUNS else 0.0)


def _stands_out(lab: Lab, trials: Trials, arm: Arm, by_se: float) -> bool:
    """Whether an arm shows more than matters, by so many standard errors."""
    gain = trials.gain(arm)
    return gain is not None and gain.value > max(
        by_se * gain.se, STANDS_OUT * lab.settings.min_gain
    )


def _is_plain(trials: Trials, low: Arm, high: Arm) -> bool:
    """Whether one run at each dose shows an effect that noise hardly ever has, on one line."""
    small, coarse = trials.gain(low), trials.gain(high)
    if small is None or coarse is None or trials.fit().effect(high).value < PLAIN_EFFECT:
        return False
    return abs(small.value - coarse.value) < OFF_LINE * coarse.value


def _exceeds_slack(lab: Lab, trials: Trials, low: Arm, high: Arm) -> bool:
    """Whether the small dose does not bear the larger one out, or that one shows too much for a
    bound below ``--min-gain``, and too little for a verdict or what the small one hardly shows at
    all: as where it exceeds a slack now and then, when the processors are slower."""
    if trials.bears_out(low, high) is False:
        return True
    if trials.count(low) >= VAIN_BLOCKS and _is_sure(lab, trials, low):
        return True  # and still there is no verdict: the larger one shows too much
    small, coarse = trials.gain(low), trials.gain(high)
    least = lab.settings.min_gain
    if small is None or coarse is None or trials.count(high) < VAIN_BLOCKS:
        return False
    if coarse.value < max(0.5 * least, VAIN_SE * coarse.se):  # looked at after every block
        return False
    return coarse.value < 1.5 * least or small.value < 0.25 * coarse.value


def _check_delivery(lab: Lab, trials: Trials, low: Arm) -> None:
    if trials.count(low) >= MIN_BLOCKS and trials.dose(low) <= 0.0:
        raise BenchmarkBroken(
            f"{len(lab.everything)} functions were to be slowed but not one call was delayed: the "
            "code that ran in the discovery run was not run again, or nothing could attach"
        )


def _leave_open_what_was_missed(lab: Lab, trials: Trials, arm: Arm) -> frozenset[str]:
    """What computes for long enough to matter, and of which no call was there to be delayed, for
    whatever reason: nothing was seen of it."""
    missed = trials.missed(arm)
    share = lab.computing.per_unit_s(missed) / lab.time_per_unit_s
    if share < lab.settings.min_gain:
        return frozenset()
    lab.leave_open(missed, "not one of its calls was delayed")
    return missed


def _measure_slack(lab: Lab) -> Generator[RunRequest, RunObserved, None]:
    """Make Python's work longer until throughput falls, then once more: two positive doses find
    the hinge.

    Only what the functions compute is slowed, since waits that are lengthened without end stop
    being absorbed by what they wait for: what doses with waits did says nothing about slack. These
    runs are fitted apart: beyond the hinge Python's own noise shows, which would blur the bounds of
    the doses that showed nothing.
    """
    lab.know(root=replace(_root(lab), slack_ns_per_unit=None))
    work_s = lab.computing.per_unit_s(lab.everything)
    if work_s <= 0.0:
        return
    beyond = lab.trials(lab.computing)
    arms: dict[float, Arm] = {}
    """By what is added, relative to the time per unit."""
    try:
        while (added := _next_added({a: _falls(beyond, arms[a]) for a in arms})) is not None:
            arm = Arm(lab.everything, added * lab.time_per_unit_s / work_s, waits=False)
            yield from lab.run_block(beyond, [arm] * SLACK_RUNS, "sweep")
            if beyond.count(arm) == 0:
                break
            arms[added] = arm
    except BudgetOver:
        pass
    root = _root(lab)
    tried = tuple(arms.values())
    if not tried:
        return
    response = respond(
        [
            _as_if_undisturbed(lab.discovery, beyond, arm, point)
            for arm in tried
            for point in beyond.points((arm,))
        ]
    )
    curve = beyond.curve(tried)
    lab.know(root=replace(root, shape=response.shape, curve=curve))
    if response.shape == "none":
        most = max(point.injected_ns_per_unit for point in curve)
        lab.know(root=replace(_root(lab), slack_ns_per_unit=most))
        lab.warn(
            f"no dose tried lowered throughput: the slack is at least {most / 1e6:.3g} ms per unit"
        )
    elif response.slack > 0.0:
        lab.know(root=replace(_root(lab), slack_ns_per_unit=response.slack))


def _falls(trials: Trials, arm: Arm) -> bool:
    effect = trials.fit().effect(arm)
    return effect.value > max(4.0 * effect.se, 0.02)


def _next_added(falls: Mapping[float, bool]) -> float | None:
    """What to add to Python's work next, relative to the time per unit; None when there is enough.

    Args:
        falls: what was added so far, and whether throughput fell by it.
    """
    if not falls:
        return FIRST_ADDED
    least, most, positive = min(falls), max(falls), sum(falls.values())
    if positive < 2:
        more = (1.5 if positive else 2.0) * most
        return more if more <= MOST_ADDED else None
    return 0.5 * least if falls[least] and 0.5 * least >= FINEST_ADDED else None


def _as_if_undisturbed(found: Discovery | None, trials: Trials, arm: Arm, point: Point) -> Point:
    """What a dose did, and how much longer work took in its runs than in undelayed ones.

    In a single lane, slower processors use slack up as delays do.
    """
    here, usual = (trials.measurements.cpu_s(each) for each in (arm, CONTROL))
    if found is None or found.lanes != 1 or not found.is_of_window or None in (here, usual):
        return point
    return replace(point, x=max(point.x + ((here or 0.0) - (usual or 0.0)) * 1e9, 0.0))


def _share(lab: Lab, targets: Iterable[str]) -> float:
    """Own time of ``targets``, relative to the time per unit."""
    functions = lab.discovery.functions if lab.discovery else ()
    wanted = frozenset(targets)
    return sum(f.own_s for f in functions if f.target in wanted) / lab.time_per_unit_s


def _refuse_if_unresolved(lab: Lab, bounded: Pruned, so_far: str) -> None:
    """Code that cannot be slowed may be what matters: then nothing is certified, and what is known
    about the rest (``bounded``) is all there is."""
    reasons = {t: entry.reason for entry in lab.known.unresolved for t in entry.functions}
    share = _share(lab, reasons)
    if share > lab.settings.min_gain:
        most = max(reasons, key=lambda target: _share(lab, (target,)))
        lab.note(
            f"{so_far} {share:.0%} of the time per unit is in code that cannot be, most of it in "
            f"{most}: {reasons[most]}"
        )
        lab.know(insensitive=(bounded,))
        raise BudgetOver


def _tightest(lab: Lab, trials: Trials, *arms: Arm) -> float:
    """The upper bound of the gain by the dose that is known best: where t rises with the dose, any
    bounds it. It is one-sided, and has the whole error for itself."""
    alpha, least = 1.0 - lab.settings.confidence, lab.settings.min_gain
    known = [(gain.se, arm) for arm in arms if (gain := trials.gain(arm)) is not None]
    _, best = min(known, key=lambda each: each[0])
    bounds = trials.bounds(best, 2.0 * alpha, least)
    return bounds.hi if bounds is not None else math.inf


def _certify_insensitive(lab: Lab, bounded: Pruned) -> None:
    """Nothing was selected, so the runs that decided are themselves the certificate."""
    lab.know(
        verdict="insensitive",
        insensitive=(bounded,),
        certificate=Certificate(
            necessary=True,
            sufficient=True,
            explained=None,
            complete=True,
            complement_drop_upper95=bounded.drop_upper95,
            complement_gain_upper95=bounded.gain_upper95,
            dose=_root(lab).dose,
            notes=(
                "The set is empty, so necessary and sufficient hold with nothing to test; "
                "complete is the equivalence test on *:* itself.",
            ),
        ),
    )
