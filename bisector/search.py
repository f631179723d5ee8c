"""The search: a strategy says where to look, this module measures until it can judge, then looks
twice.

Bounds used here are anytime-valid, but the search is exploratory: it ends in *finalists*, and what
is claimed about those rests on the certificate's fresh runs. Before that every finalist is slowed
at two doses, so that hidden code which only exceeded its slack is sent back, and finalists that
together do no more than one of them alone are recognised as co-critical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from bisector.answer import Finding, Interval, Pruned, PruneReason
from bisector.events import EstimateUpdated, NodeJudged, PhaseBegan
from bisector.finalists import Finalist
from bisector.lab import BudgetOver, Lab, Steps
from bisector.response import respond
from bisector.tree import Unit
from bisector.trials import TOLD_APART, Arm, Trials
from strategies.protocol import Judgement, Outcome, Probe, Problem, Strategy
from strategies.registry import make

ALPHA = 0.15
"""Two-sided error of one judgement in the search: what it gets wrong, the certificate finds out."""

POSITIVE_RUNS = 2
"""Runs before anything is taken to matter: one may have been disturbed from outside."""

UNLIKELY_RUNS = 3
"""Runs after which what probably does not matter is set aside: the certificate slows all of that
together, and bounds it in far fewer runs than the search could one by one."""

MAX_RUNS = 14
"""Runs of one probe after which noise is taken to have won, in a small budget."""

MASS_MARGIN = 1.25
"""Own times are estimates: a unit is taken to be able to gain this much more than its own time."""

DOUBTFUL_RUNS = 6
"""A finalist that is unlikely to matter after so many runs at the base dose is let go."""

LIKELY_RUNS = 6
"""Runs at the base dose after which a finalist that is likely to be critical is passed on."""

MAX_SWEEP_RUNS = 40
"""The same for a finalist at the small dose, where its effect is smaller."""

MOST_AMPLIFIED = 4.0
"""The largest dose of a probe of a small set."""

RESERVED_BLOCKS = 3
CO_CRITICAL = 0.75
"""Together no more than this share of the sum of their gains: two functions overlap."""


def search(lab: Lab, within: frozenset[str] | None = None) -> Steps:
    """Find the finalists among ``within`` (default: everything); adds them to ``lab.finalists``."""
    root = lab.known.root
    if root is None:
        raise BudgetOver
    targets = lab.everything if within is None else within
    threshold = lab.settings.threshold * root.gain.estimate
    mass = {t: m * MASS_MARGIN for t, m in lab.mass().items() if t in targets}
    units, rest = lab.tree.units(mass, threshold)
    units = [unit for unit in units if set(unit.functions) <= targets]
    lab.reopen(targets)
    _note_what_cannot_matter(lab, [t for t in rest if t in targets], mass, threshold)
    finalists = lab.finalists
    trials = finalists.trials = finalists.trials or lab.trials()
    finalists.dose = choose_dose(lab, threshold)
    by_name = {unit.name: unit for unit in units}
    strategy = make(
        lab.settings.strategy,
        Problem(
            tuple(unit.item() for unit in units),
            root.gain.estimate,
            max(root.gain.lo, 0.5 * root.gain.estimate),
            root.gain.hi,
            threshold,
        ),
        lab.settings.seed,
    )
    try:
        while probes := strategy.ask():
            yield from _measure(lab, trials, strategy, probes, by_name, threshold)
    finally:
        _take_over(lab, strategy, by_name, threshold)
    lab.emit(PhaseBegan("sweep", f"{len(finalists.members)} finalists at other doses"))
    yield from _sweep(lab, trials, threshold)
    yield from _overlaps(lab, trials)
    publish(lab, trials)


def choose_dose(lab: Lab, threshold: float) -> float:
    """The smallest dose at which a few runs can tell ``threshold`` from nothing, if it is safe."""
    sigma = lab.baseline.fit().sigma
    root = lab.known.root
    if lab.settings.dose is not None or lab.settings.delay_ns is not None:
        return lab.base_dose
    if root is not None and root.shape == "threshold":
        return lab.base_dose
    return lab.base_dose if 2.0 * sigma <= threshold * lab.base_dose else lab.top_dose


def probe_dose(lab: Lab, targets: frozenset[str]) -> float:
    """Small sets are slowed more, so that a probe injects about as much as slowing everything did.

    Only in the search: what such a probe finds is looked at again at the base dose.
    """
    usual = lab.finalists.dose
    if lab.settings.dose is not None or lab.settings.delay_ns is not None:
        return usual
    share = lab.own.per_unit_s(targets) / lab.time_per_unit_s
    return max(usual, min(MOST_AMPLIFIED, lab.base_dose / max(share, 1e-9)))


def reserve_s(lab: Lab) -> float:
    """Time kept back for sweep and certificate."""
    arms = max(2, len(lab.finalists.members)) + 4
    slowed = 1.0 + 0.5 * lab.finalists.dose
    return RESERVED_BLOCKS * arms * lab.wall_s * slowed


def _measure(
    lab: Lab,
    trials: Trials,
    strategy: Strategy,
    probes: Sequence[Probe],
    by_name: dict[str, Unit],
    threshold: float,
) -> Steps:
    """Run blocks until each probe of the batch is judged."""
    arms = {}
    for probe in probes:
        functions = _functions(probe, by_name)
        arms[probe] = Arm(functions, probe_dose(lab, functions))
    waiting = list(probes)
    while waiting:
        lab.deadline_s = lab.settings.budget_s - reserve_s(lab)
        fresh = [arms[p] for p in waiting if not _judge(lab, trials, arms[p], threshold)]
        if fresh:
            yield from lab.run_block(trials, fresh, "search")
        still = []
        for probe in waiting:
            arm = arms[probe]
            judged = _judge(lab, trials, arm, threshold)
            bounds = trials.bounds(arm, ALPHA, threshold)
            name = lab.tree.name(arm.targets)
            if bounds is not None:
                lab.emit(EstimateUpdated(name, len(arm.targets), bounds, trials.count(arm)))
            if judged is None:
                still.append(probe)
                continue
            judgement, reason = judged
            lab.emit(NodeJudged(name, len(arm.targets), judgement, bounds))
            seen = bounds or Interval(0.0, -math.inf, math.inf)
            strategy.tell(Outcome(probe, judgement, seen.estimate, seen.lo, seen.hi, reason))
        waiting = still


def _judge(lab: Lab, trials: Trials, arm: Arm, threshold: float) -> tuple[Judgement, str] | None:
    if lab.is_hopeless(trials, arm):
        return "unresolved", f"fails when slowed by {arm.dose:.0%}: {trials.failures[arm][-1]}"
    runs = trials.count(arm)
    if runs == 0:
        return None
    bounds = trials.bounds(arm, ALPHA, threshold)
    if bounds is None:
        return ("unresolved", "no call of it was delayed") if runs >= 2 else None
    if bounds.hi < threshold:
        return "insensitive", ""
    if bounds.lo > 0.0 and bounds.estimate >= threshold and runs >= POSITIVE_RUNS:
        return "sensitive", ""
    if runs >= UNLIKELY_RUNS and trials.is_unlikely(arm, threshold):
        return "insensitive", ""  # its bound is not below the threshold: see _take_over
    if runs >= lab.patience(MAX_RUNS):
        if bounds.lo > 0.0 or (len(arm.targets) > 1 and bounds.estimate > 0.5 * threshold):
            return "sensitive", ""
        return (
            "unresolved",
            f"after {runs} runs its gain is between {bounds.lo:.1%} and {bounds.hi:.1%}",
        )
    return None


def _functions(probe: Probe, by_name: dict[str, Unit]) -> frozenset[str]:
    return frozenset(t for name in probe.items for t in by_name[name].functions)


def _note_what_cannot_matter(
    lab: Lab, rest: list[str], mass: dict[str, float], threshold: float
) -> None:
    """Functions too small to matter alone; scattered ones that may together are a remainder."""
    idle = [t for t in rest if mass.get(t, 0.0) == 0.0]
    small = [t for t in rest if mass.get(t, 0.0) > 0.0]
    added: list[Pruned] = []
    dose = lab.base_dose
    if small:
        bound = sum(mass[t] for t in small)
        reason: PruneReason = "cannot_matter" if bound < threshold else "diffuse_remainder"
        added.append(lab.pruned(small, reason, bound, dose))
    if idle:
        added.append(lab.pruned(idle, "not_called", 0.0, dose))
    lab.know(insensitive=(*lab.known.insensitive, *added))


def _take_over(lab: Lab, strategy: Strategy, by_name: dict[str, Unit], threshold: float) -> None:
    """Turn the strategy's partition into finalists, pruned and unresolved nodes."""
    result = strategy.result()
    finalists = lab.finalists
    for found in result.found:
        functions = _functions(Probe(found.items), by_name)
        finalists.members.append(
            Finalist(
                lab.tree.name(functions),
                functions,
                "function" if len(functions) == 1 else "subtree",
                Interval(found.gain, found.lo, found.hi),
            )
        )
    dose = finalists.dose
    set_aside = [clear for clear in result.cleared if clear.hi >= threshold]
    lab.know(
        insensitive=(
            *lab.known.insensitive,
            *(
                lab.pruned(_functions(Probe(clear.items), by_name), "measured", clear.hi, dose)
                for clear in result.cleared
                if clear not in set_aside
            ),
        ),
    )
    for clear in set_aside:
        lab.leave_open(
            _functions(Probe(clear.items), by_name),
            f"probably does not matter: at most {max(clear.hi, 0.0):.1%}, by the search alone",
        )
    for entry in result.open:
        lab.leave_open(_functions(Probe(entry.items), by_name), entry.reason)
    if finalists.trials is not None:
        publish(lab, finalists.trials)


def _sweep(lab: Lab, trials: Trials, threshold: float) -> Steps:
    """Slow each finalist at two doses; keep those that matter at the small one too.

    A hidden function lowers throughput once its delay exceeds its slack, so an effect must be seen
    at the base dose, and where the line through both doses meets zero at a positive dose, at a
    smaller one still. What noise leaves undecided there is unresolved, not sensitive.
    """
    finalists = lab.finalists
    base, top = lab.base_dose, lab.top_dose
    while True:
        wanted: list[Arm] = []
        for member in finalists.members:
            low, high = Arm(member.functions, base), Arm(member.functions, top)
            wanted += [arm for arm in (low, high) if trials.count(arm) < 2]
            deciding = _deciding(lab, trials, member, threshold)
            if not (
                _is_decided(lab, trials, deciding, threshold)
                or _is_linear(trials, low, high, threshold)
            ):
                wanted.append(deciding)
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
    root = lab.known.root
    if len(members) < 2 or root is None:
        return
    together = Arm(frozenset().union(*(m.functions for m in members)), lab.base_dose)
    lab.deadline_s = lab.settings.budget_s - 0.7 * reserve_s(lab)
    while trials.count(together) < 2 and not lab.is_hopeless(trials, together):
        yield from lab.run_block(trials, [together], "sweep")
    joint = trials.gain(together)
    total = sum(m.gain.estimate for m in members)
    if joint is None or joint.value + 2.0 * joint.se >= 0.9 * total:
        return
    pairs = {}
    for a, b in combinations(members[:8], 2):
        arm = Arm(a.functions | b.functions, lab.base_dose)
        pairs[arm] = (a, b)
    for _ in range(2):
        wanted = [arm for arm in pairs if trials.count(arm) < 2]
        for start in range(0, len(wanted), 5):
            yield from lab.run_block(trials, wanted[start : start + 5], "sweep")
    for arm, (a, b) in pairs.items():
        gain = trials.gain(arm)
        if gain is None:
            continue
        both = a.gain.estimate + b.gain.estimate
        if gain.value < CO_CRITICAL * both and gain.value + 2.0 * gain.se < 0.9 * both:
            a.co_critical_with = (*a.co_critical_with, b.target)
            b.co_critical_with = (*b.co_critical_with, a.target)


def publish(lab: Lab, trials: Trials) -> None:
    """Make the finalists the answer so far, with the search's own (exploratory) effects."""
    threshold = lab.settings.threshold
    base = lab.base_dose
    findings = []
    for member in lab.finalists.members:
        ladder = [Arm(member.functions, r * base) for r in (0.3, 1.0, 2.0, 4.0)]
        measured = tuple(arm for arm in ladder if trials.count(arm))
        if not measured:
            continue
        main = Arm(member.functions, base)
        effect = trials.effect(main if main in measured else measured[-1], threshold, measured)
        if effect is None:
            continue
        findings.append(
            Finding(
                member.target,
                member.kind,
                tuple(sorted(member.functions)),
                effect,
                effect.p_value,
                member.co_critical_with,
            )
        )
    lab.know(sensitive=tuple(sorted(findings, key=lambda f: -f.effect.gain.estimate)))
