"""The sweep: the search's finalists, looked at twice.

Every finalist is slowed at two doses, so that hidden code which only exceeded its slack is sent
back, and finalists that together do no more than one of them alone are recognised as co-critical.
Like the search it is exploratory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from bisector.events import PhaseBegan
from bisector.finalists import EXPLAINED, Finalist
from bisector.lab import Lab, Steps
from bisector.response import respond
from bisector.search import ALPHA, publish, reserve_s
from bisector.shrink import shrink
from bisector.statistics import Estimate
from bisector.trials import TOLD_APART, Arm, Trials

DOUBTFUL_RUNS = 6
"""A finalist that is unlikely to matter after so many runs at the base dose is let go."""

LIKELY_RUNS = 6
"""Runs at the base dose after which a finalist that is likely to be critical is passed on, or code
that is compared as measured is taken to be known."""

MAX_SWEEP_RUNS = 40
"""Runs at the base dose after which noise is taken to have won, in a small budget."""

CO_CRITICAL, DISTINCT = 0.75, 0.9
"""Together no more than the first share of the sum of their gains, and surely less than the second:
two functions overlap."""

OVERLAP_RUNS = 20
"""Runs of finalists together after which noise is taken to hide whether they overlap, in a small
budget."""


def sweep(lab: Lab) -> Steps:
    """Look at the finalists again; leaves those that stand, with what they do together."""
    root, trials = lab.known.root, lab.finalists.trials
    if root is None or trials is None:
        return
    lab.emit(PhaseBegan("sweep", f"{len(lab.finalists.members)} finalists at other doses"))
    lab.deadline_s = lab.settings.budget_s - 0.7 * reserve_s(lab)
    for member in lab.finalists.members:
        yield from shrink(lab, member, lab.settings.threshold * root.gain.estimate)
    yield from _look_again(lab, trials, root.gain.estimate)
    yield from _overlaps(lab, trials)
    publish(lab, trials)


def _look_again(lab: Lab, trials: Trials, everything: float) -> Steps:
    """Slow each finalist at two doses; keep those that matter at the small one too.

    A hidden function lowers throughput once its delay exceeds its slack, so an effect must be seen
    at the base dose, and where the line through both doses meets zero at a positive dose, at a
    smaller one still. What noise leaves undecided there is unresolved, not sensitive, and is
    given up early where it looks like a leak: the certificate bounds that with all else.
    """
    finalists = lab.finalists
    threshold = lab.settings.threshold * everything
    base, top = lab.base_dose, lab.top_dose
    while True:
        wanted: list[Arm] = []
        for member in finalists.members:
            low, high = Arm(member.functions, base), Arm(member.functions, top)
            wanted += [arm for arm in (low, high) if trials.count(arm) < 2]
            deciding = _deciding(lab, trials, member, threshold)
            if not (
                _is_decided(lab, trials, deciding, threshold)
                or (deciding == low and _is_linear(trials, low, high, threshold))
                or _is_leak(trials, deciding, high, (1.0 - EXPLAINED) * everything)
            ):
                wanted += [deciding, *([high] if trials.leaks(high, everything) else [])]
        wanted = [arm for arm in dict.fromkeys(wanted) if not lab.is_hopeless(trials, arm)]
        if not wanted:
            break
        lab.deadline_s = lab.settings.budget_s - 0.7 * reserve_s(lab)
        yield from lab.run_block(trials, wanted, "sweep")
    kept = []
    for member in finalists.members:
        low, high = Arm(member.functions, base), Arm(member.functions, top)
        deciding = _deciding(lab, trials, member, threshold)
        bounds = trials.bounds(deciding, ALPHA, threshold)
        coarse = trials.bounds(high, ALPHA, threshold)
        if bounds is not None and bounds.lo > 0.0:
            member.gain = bounds
            finalists.linear = finalists.linear and deciding == low
            kept.append(member)
        elif coarse is not None and deciding == low and _is_linear(trials, low, high, threshold):
            member.gain = coarse
            kept.append(member)
        elif bounds is not None and bounds.hi < threshold:
            _send_back(lab, member, bounds.hi, deciding, respond(trials.points((low, high))).slack)
        else:
            lab.leave_open(
                member.functions,
                f"lowers throughput when slowed by more, but not clearly by {deciding.dose:.0%}: "
                "it may be hidden code whose slack the larger dose exceeds",
            )
    lab.exceeds_slack = lab.exceeds_slack or len(kept) < len(finalists.members)
    finalists.members = kept


def _deciding(lab: Lab, trials: Trials, member: Finalist, threshold: float) -> Arm:
    """The arm that decides: the base dose, or a third of it where that shows an effect which the
    larger dose's bends away from."""
    low, high = Arm(member.functions, lab.base_dose), Arm(member.functions, lab.top_dose)
    bounds = trials.bounds(low, ALPHA, threshold) if trials.count(low) >= 2 else None
    if bounds is not None and bounds.lo > 0.0 and _is_bent(trials, low, high):
        return Arm(member.functions, 0.3 * lab.base_dose)
    return low


def _is_decided(lab: Lab, trials: Trials, arm: Arm, threshold: float) -> bool:
    bounds = trials.bounds(arm, ALPHA, threshold)
    if bounds is None:
        return trials.count(arm) >= 2
    if trials.count(arm) >= DOUBTFUL_RUNS and trials.is_unlikely(arm, threshold):
        return True
    given_up = trials.count(arm) >= lab.patience(MAX_SWEEP_RUNS)
    return given_up or bounds.hi < threshold or bounds.lo > 0.0


def _is_leak(trials: Trials, deciding: Arm, coarse: Arm, limit: float) -> bool:
    """Whether what is still undecided is probably hidden code that leaks a little."""
    runs = min(trials.count(deciding), trials.count(coarse))
    return runs >= DOUBTFUL_RUNS and trials.leaks(coarse, limit)


def _is_linear(trials: Trials, low: Arm, high: Arm, threshold: float) -> bool:
    """Whether the coarse dose shows an effect that the small one bears out; after a while, more
    likely than not, which is for the certificate to settle."""
    coarse = trials.bounds(high, ALPHA, threshold)
    apart = TOLD_APART if trials.count(low) < LIKELY_RUNS else math.inf
    return coarse is not None and coarse.lo > 0.0 and trials.bears_out(low, high, apart) is True


def _send_back(lab: Lab, member: Finalist, bound: float, arm: Arm, slack_ns: float) -> None:
    """A finalist that turns out to be hidden."""
    pruned = lab.pruned(member.functions, "measured", bound, arm.dose)
    lab.know(insensitive=(*lab.known.insensitive, pruned))
    if slack_ns > 0.0:
        lab.warn(
            f"{member.target} is hidden: it lowers throughput only once it is more than "
            f"{slack_ns / 1e6:.3g} ms per unit slower"
        )


def _is_bent(trials: Trials, low: Arm, high: Arm) -> bool:
    if not (trials.count(low) and trials.count(high)):
        return False
    return respond(trials.points((low, high))).shape == "threshold"


def _overlaps(lab: Lab, trials: Trials) -> Steps:
    """Find finalists that together do no more than one alone: speeding up one gains nothing."""
    members = sorted(lab.finalists.members, key=lambda m: -m.gain.estimate)
    for member in members:  # where the sweep is repeated, what it said before is no more
        member.co_critical_with = ()
    if len(members) < 2:
        return
    lab.deadline_s = lab.settings.budget_s - 0.7 * reserve_s(lab)
    together = Arm(frozenset().union(*(m.functions for m in members)), lab.base_dose)
    yield from _tell_apart(lab, trials, {together: members})
    if not _is_less(trials, together, members):
        return
    pairs: dict[Arm, Sequence[Finalist]] = {}
    for a, b in combinations(members[:8], 2):
        pairs[Arm(a.functions | b.functions, lab.base_dose)] = (a, b)
    yield from _tell_apart(lab, trials, pairs)
    for arm, (a, b) in pairs.items():
        short = _falls_short(trials, arm, (a, b), CO_CRITICAL)
        if short and short.value > 0.0 and _is_less(trials, arm, (a, b)):
            a.co_critical_with = (*a.co_critical_with, b.target)
            b.co_critical_with = (*b.co_critical_with, a.target)


def _tell_apart(lab: Lab, trials: Trials, sets: Mapping[Arm, Sequence[Finalist]]) -> Steps:
    """Slow finalists together until it is clear whether that does less than the sum of their
    gains."""

    most = lab.patience(OVERLAP_RUNS)

    def is_clear(arm: Arm, members: Sequence[Finalist]) -> bool:
        if trials.count(arm) < 2:
            return lab.is_hopeless(trials, arm)
        if trials.count(arm) < most and not _is_known(lab, trials, arm, members):
            return False
        short = _falls_short(trials, arm, members, CO_CRITICAL)
        if short is None or trials.count(arm) >= most or _is_less(trials, arm, members):
            return True
        return short.value + 2.0 * short.se < 0.0

    for _ in range(most * len(sets)):
        unclear = [arm for arm, members in sets.items() if not is_clear(arm, members)][:5]
        if not unclear:
            return
        for arm in tuple(unclear):  # and those of its members that are known by less
            alone = [Arm(member.functions, arm.dose) for member in sets[arm]]
            unclear += [each for each in alone if trials.count(each) <= trials.count(arm)]
        yield from lab.run_block(trials, list(dict.fromkeys(unclear)), "sweep")


def _is_known(lab: Lab, trials: Trials, arm: Arm, members: Sequence[Finalist]) -> bool:
    """Whether a few runs can tell: not of code whose runs are compared as measured, noise and all,
    beside others out of which it is taken."""
    disturbance = lab.disturbance
    alone = (Arm(member.functions, arm.dose) for member in members)
    return not disturbance.matters or all(
        disturbance.is_same_work(each.targets) or trials.count(each) >= LIKELY_RUNS
        for each in (arm, *alone)
    )


def _is_less(trials: Trials, arm: Arm, members: Sequence[Finalist]) -> bool:
    """Whether members together surely do less than the sum of their gains."""
    short = _falls_short(trials, arm, members, DISTINCT)
    return short is not None and short.value - 2.0 * short.se > 0.0


def _falls_short(
    trials: Trials, arm: Arm, members: Sequence[Finalist], share: float
) -> Estimate | None:
    """By how much the gain of members together is below a ``share`` of the sum of theirs, by what
    is known of both now; None while that is nothing."""
    together = trials.gain(arm)
    if together is None:
        return None
    value, variance = -together.value, together.se**2
    for member in members:
        alone = trials.gain(Arm(member.functions, arm.dose))
        if alone is None:
            return None
        value += share * alone.value
        variance += (share * alone.se) ** 2
    return Estimate(value, math.sqrt(variance), together.dof)
