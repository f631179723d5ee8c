"""The search: a strategy says where to look, this module measures until it can judge.

Bounds used here are anytime-valid, but the search is exploratory: it ends in *finalists*, which the
sweep looks at again, and what is claimed about those rests on the certificate's fresh runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bisector.answer import Finding, Interval, Kind, Pruned, PruneReason
from bisector.deciding.asking import Asking
from bisector.events import EstimateUpdated, NodeJudged
from bisector.finalists import Finalist
from bisector.guarded import MOST_IN_VAIN, Guarded
from bisector.lab import BudgetOver, Lab, Steps
from bisector.statistics import Estimate, sequence_radius
from bisector.tree import Units
from bisector.trials import Arm, Trials
from strategies.protocol import Judgement, Outcome, Probe, Problem
from strategies.registry import make

ALPHA = 0.15
"""Two-sided error of one judgement in the search: what it gets wrong, the certificate finds out."""

UNLIKELY_RUNS = 3
"""Runs after which what probably does not matter is set aside: the certificate slows all of that
together, and bounds it in far fewer runs than the search could one by one."""

MAX_RUNS = 14
"""Runs of one probe after which noise is taken to have won, in a small budget."""

SOME_DOF = 4.0
"""Degrees of freedom that the noise has soon."""

MASS_MARGIN = 1.25
"""Own times are estimates: a unit is taken to be able to gain this much more than its own time."""

MOST_AMPLIFIED = 4.0
"""The largest dose of a probe of a small set."""

RESERVED_BLOCKS = 3

AMPLIFIED = 1.2
"""A critical fraction surely above this is worth a warning."""


def search(lab: Lab, within: frozenset[str] | None = None) -> Steps:
    """Find the finalists among ``within`` (default: everything); adds them to ``lab.finalists``.

    ``within``: what fresh runs have shown to matter as a whole. What is too small there for a line
    of its own then has one together.
    """
    root = lab.known.root
    if root is None:
        raise BudgetOver
    targets = lab.everything if within is None else within
    threshold = lab.settings.threshold * root.gain.estimate
    mass = {t: m * MASS_MARGIN for t, m in lab.mass().items() if t in targets}
    found, rest = lab.tree.within(targets).units(mass, threshold)
    units = Units(found)
    lab.reopen(targets)
    _note_what_cannot_matter(lab, rest, mass, threshold)
    finalists = lab.finalists
    trials = finalists.trials = finalists.trials or lab.exploratory()
    finalists.dose = choose_dose(lab, threshold)
    finalists.doses.clear()
    problem = Problem(
        tuple(unit.item() for unit in units),
        root.gain.estimate,
        max(root.gain.lo, 0.5 * root.gain.estimate),
        root.gain.hi,
        threshold,
        *_told_by_one_run(lab, trials),
    )
    name, seed = lab.settings.strategy, lab.settings.seed
    strategy = Guarded(name, lambda: make(name, problem, seed), problem)
    asking = Asking(lab, strategy, problem, units)
    try:
        in_vain = 0
        while probes := (yield from asking.probes()):
            before = lab.experiments
            yield from _measure(lab, trials, strategy, probes, units, threshold)
            in_vain = in_vain + 1 if lab.experiments == before else 0
            if in_vain > MOST_IN_VAIN:
                raise strategy.failed("asks for what is known, again and again, and never stops")
    finally:
        _take_over(lab, strategy, units, threshold)
    if within is not None:
        _gather_small_parts(lab, trials, within, threshold)


def choose_dose(lab: Lab, threshold: float) -> float:
    """The smallest dose at which a few runs can tell ``threshold`` from nothing, if it is safe."""
    sigma = lab.baseline.fit().sigma
    root = lab.known.root
    if lab.settings.dose is not None or lab.settings.delay_ns is not None:
        return lab.base_dose
    if root is not None and root.shape == "threshold":
        return lab.base_dose
    return lab.base_dose if 2.0 * sigma <= threshold * lab.base_dose else lab.top_dose


def _told_by_one_run(lab: Lab, trials: Trials) -> tuple[float, float]:
    """The gain that a single run at the search's dose tells from nothing, once there are some, and
    its standard error."""
    fit, dose = trials.fit(), lab.finalists.dose
    one = Estimate(0.0, _noise(lab, trials), max(fit.dof, SOME_DOF))
    return sequence_radius(one, ALPHA, fit.sigma / dose), one.se


def _noise(lab: Lab, trials: Trials) -> float:
    """Standard error of the gain of a single run, next to a single undelayed one."""
    return math.sqrt(2.0) * trials.fit().sigma / lab.finalists.dose


def probe_dose(lab: Lab, targets: frozenset[str]) -> float:
    """Small sets are slowed more, so that a probe injects about as much as slowing everything did.

    Only in the search: what such a probe finds is looked at again at the base dose.
    """
    usual = lab.finalists.dose
    if lab.settings.dose is not None or lab.settings.delay_ns is not None:
        return usual
    known = lab.finalists.doses.get((targets, usual))
    if known is None:
        share = lab.own.per_unit_s(targets) / lab.time_per_unit_s
        known = max(usual, min(MOST_AMPLIFIED, lab.base_dose / max(share, 1e-9)))
        lab.finalists.doses[targets, usual] = known
    return known


def reserve_s(lab: Lab) -> float:
    """Time kept back for sweep and certificate."""
    arms = max(2, len(lab.finalists.members)) + 4
    slowed = 1.0 + 0.5 * lab.finalists.dose
    return RESERVED_BLOCKS * arms * lab.wall_s * slowed


def _measure(
    lab: Lab,
    trials: Trials,
    strategy: Guarded,
    probes: Sequence[Probe],
    units: Units,
    threshold: float,
) -> Steps:
    """Run a block of the probes, unless what is known judges some; tell of those that are."""
    # Nothing is kept back for what is not there yet: then a suspicion is worth more.
    something = lab.finalists.members or strategy.suspects
    lab.deadline_s = lab.settings.budget_s - (reserve_s(lab) if something else 0.0)
    arms = {}
    for probe in probes:
        functions = units.functions(probe.items)
        arms[probe] = Arm(functions, probe_dose(lab, functions))
    if all(_judge(lab, trials, arm, probe, threshold) is None for probe, arm in arms.items()):
        yield from lab.run_block(trials, list(dict.fromkeys(arms.values())), "search")
    noise, dof = _noise(lab, trials), trials.fit().dof
    for probe, arm in arms.items():
        judged = _judge(lab, trials, arm, probe, threshold)
        bounds, gain = trials.bounds(arm, ALPHA, threshold), trials.gain(arm)
        name = lab.tree.name(arm.targets)
        if bounds is not None:
            lab.emit(EstimateUpdated(name, len(arm.targets), bounds, trials.count(arm)))
        if judged is None:
            continue
        judgement, reason = judged
        if judgement != "unresolved" or not probe.runs:
            lab.emit(NodeJudged(name, len(arm.targets), judgement, bounds))
        seen = bounds or Interval(0.0, -math.inf, math.inf)
        se = gain.se if gain is not None else math.inf
        bounded = seen.estimate, seen.lo, seen.hi
        strategy.tell(Outcome(probe, judgement, *bounded, reason, se, noise, dof))


def _judge(
    lab: Lab, trials: Trials, arm: Arm, probe: Probe, threshold: float
) -> tuple[Judgement, str] | None:
    """What the runs of a probe say by now; None while it needs more."""
    if lab.is_hopeless(trials, arm):
        return "unresolved", f"fails when slowed by {arm.dose:.0%}: {trials.failures[arm][-1]}"
    runs = trials.count(arm)
    if runs < max(probe.runs, 1):
        return None
    bounds = trials.bounds(arm, ALPHA, threshold)
    if bounds is None:
        return ("unresolved", "no call of it was delayed") if runs >= 2 else None
    least = max(probe.least, threshold)
    if bounds.hi < threshold:
        return "insensitive", ""
    least_lo = 0.5 * threshold if probe.surely else 0.0
    if bounds.lo > least_lo and bounds.estimate >= max(0.5 * least, threshold):
        return "sensitive", ""
    # In both cases its bound may not be below the threshold: see _take_over.
    if bounds.estimate < least and bounds.hi < 2.0 * least:
        return "insensitive", ""
    if not probe.surely and runs >= UNLIKELY_RUNS and trials.is_unlikely(arm, least):
        return "insensitive", ""
    if probe.runs:
        return "unresolved", f"{runs} runs do not tell"
    if runs >= lab.patience(MAX_RUNS):
        if bounds.lo > 0.0 or (len(arm.targets) > 1 and bounds.estimate > 0.5 * threshold):
            return "sensitive", ""
        return (
            "unresolved",
            f"after {runs} runs its gain is between {bounds.lo:.1%} and {bounds.hi:.1%}",
        )
    return None


def kind(lab: Lab, functions: frozenset[str]) -> Kind:
    """What a set is, to the reader."""
    if len(functions) > 1:
        return "subtree"
    (target,) = functions
    return lab.tree.functions[target].kind


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


def _take_over(lab: Lab, strategy: Guarded, units: Units, threshold: float) -> None:
    """Turn the strategy's partition into finalists, pruned and unresolved nodes."""
    result = strategy.result()
    finalists = lab.finalists
    for found in result.found:
        functions = units.functions(found.items)
        finalists.members.append(
            Finalist(
                lab.tree.name(functions),
                functions,
                kind(lab, functions),
                Interval(found.gain, found.lo, found.hi),
            )
        )
    dose = finalists.dose
    set_aside = [clear for clear in result.cleared if clear.hi >= threshold]
    lab.know(
        insensitive=(
            *lab.known.insensitive,
            *(
                lab.pruned(units.functions(clear.items), "measured", clear.hi, dose)
                for clear in result.cleared
                if clear not in set_aside
            ),
        ),
    )
    for clear in set_aside:
        lab.leave_open(
            units.functions(clear.items),
            f"probably does not matter: at most {max(clear.hi, 0.0):.1%}, by the search alone",
        )
    for entry in result.open:
        lab.leave_open(units.functions(entry.items), entry.reason)
    if finalists.trials is not None:
        publish(lab, finalists.trials)


def _gather_small_parts(lab: Lab, trials: Trials, within: frozenset[str], threshold: float) -> None:
    """One finalist of what nobody looked at, since it is small, and of what was seen to matter, but
    not enough."""
    parts = [
        part
        for part in lab.known.insensitive
        if within.issuperset(part.functions)
        and (
            part.reason in ("cannot_matter", "diffuse_remainder")
            or (part.reason == "measured" and _matters(trials, part, threshold))
        )
    ]
    bound = sum(part.gain_upper95 for part in parts)
    if bound < threshold:
        return
    functions = frozenset(target for part in parts for target in part.functions)
    name = lab.tree.name(functions)
    lab.reopen(functions)
    lab.finalists.members.append(
        Finalist(name, functions, kind(lab, functions), Interval(bound / MASS_MARGIN, 0.0, bound))
    )


def _matters(trials: Trials, part: Pruned, threshold: float) -> bool:
    """Whether slowing it was seen to lower throughput, though by less than ``threshold``."""
    seen = (trials.bounds(arm, ALPHA, threshold) for arm in trials.arms(frozenset(part.functions)))
    return any(bounds is not None and bounds.lo > 0.0 for bounds in seen)


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


def warn_of_amplification(lab: Lab) -> None:
    """Say of which findings a delay costs more than itself."""
    for finding in lab.known.sensitive:
        fraction = finding.effect.critical_fraction
        if fraction is not None and fraction.lo > AMPLIFIED:
            lab.warn(
                f"slowing {finding.target} costs {fraction.estimate:.2f} times the delay it "
                "was given: something amplifies it (a lock, a cache, the cost of watching)"
            )
