"""The certificate: what is claimed rests on fresh runs that the search did not see.

Each block slows, next to an undelayed run, every member of the set alone (necessary), the set
(sufficient), everything (what there is to explain) and everything but the set (complete). The
dose is the base dose, or, of sets, a coarse one where noise would hide the effect of that; a member
that is alone is the set. Everything else always begins with the coarse one, since no effect there
bounds all below. What looks as if a coarse dose exceeded the slack of hidden code is slowed less.
Bounds are anytime-valid, so it may stop as soon as all is clear; members share the error by Holm's
method. A member that these runs do not show is let go, and the smaller set is tested. What fails is
said, and looked for in everything else; what is necessary then has its own share of the error in
each of these retries.
"""

from __future__ import annotations

import math
from dataclasses import replace

from bisector.answer import Certificate, Effect, Finding
from bisector.events import PhaseBegan
from bisector.finalists import EXPLAINED, Finalist
from bisector.lab import BudgetOver, Lab, Steps
from bisector.search import MASS_MARGIN, publish, search, warn_of_amplification
from bisector.statistics import CONTROL, holm, sequence_p_value
from bisector.sweep import sweep
from bisector.trials import Arm, Trials

ATTEMPTS = (0.75, 0.15, 0.07, 0.03)
"""What share of the error of *necessary* each of them has."""

EXPLAINED_LEAST = 0.7
"""What the lower bound of the explained share must reach; *complete* bounds the rest closely."""
MIN_BLOCKS, MAX_BLOCKS = 2, 200
NOISE_DOF = 12.0
"""Degrees of freedom that what earlier runs say of the noise has at most."""

QUIET = 0.06
"""Noise of one run, relative to an effect at the base dose, that needs no larger one: three blocks
then tell a ratio of two effects to about 0.05."""

DOUBTFUL_RUNS = 12
"""A member that is unlikely to reach the threshold after this many runs is let go."""

UNCLEAR_RUNS = 6
"""What is not clear at a coarse dose by now may be slack that is exceeded: a smaller one is next
(for everything else only if twice the runs would not do)."""


def certify(lab: Lab) -> Steps:
    """Test the finalists on fresh runs; leaves findings, certificate and verdict in ``lab``."""
    lab.deadline_s = lab.settings.budget_s
    alpha = 1.0 - lab.settings.confidence
    for share in ATTEMPTS:
        if not lab.finalists.members:
            lab.note("slowing everything lowers throughput, but no part of it was found that does")
            raise BudgetOver
        trial = _Attempt(lab, list(lab.finalists.members), share * alpha)
        try:
            yield from trial.run()
        finally:
            warn_of_amplification(lab)
        if trial.certified:
            lab.know(verdict="sensitive", stop_reason="certified")
            return
        if share == ATTEMPTS[-1] or not trial.complement_matters:
            break
        lab.emit(PhaseBegan("retry", "; ".join(lab.known.certificate.notes)))
        yield from search(lab, within=trial.complement)
        yield from sweep(lab)
        lab.deadline_s = lab.settings.budget_s
    lab.know(verdict="inconclusive", stop_reason="budget")


class _Attempt:
    """One certificate: its arms, its runs and what they show so far."""

    def __init__(self, lab: Lab, members: list[Finalist], alpha: float) -> None:
        self.lab = lab
        self.members = members
        self.refuted: set[str] = set()
        """Targets that fresh runs did not show to be necessary: no longer members."""
        self.alpha = alpha
        self.noise, dof = _noise(lab)
        self.trials = Trials(lab.own, (self.noise, dof), lab.disturbance)
        self.most: dict[frozenset[str], float] = {}
        """The largest dose of a set, where that is less than the coarse one."""
        self.shown: set[Arm] = set()
        """Members that lower throughput for certain: they need no more runs."""
        self.sufficient: bool | None = None
        self.complete: bool | None = None
        self.certified = False
        self.complement_matters = False
        self.alone: list[Arm] = []
        self._split()
        self._choose_doses()

    def _split(self) -> None:
        """Everything in the functions of all members, and the rest."""
        self.set = frozenset[str]().union(*(m.functions for m in self.members))
        self.complement = self.lab.everything - self.set

    def _choose_doses(self) -> None:
        """Arms for what is still open, by what is known of noise and slack."""
        if self.sufficient is None:
            self.dose = self._dose(self.set, _gain(self.lab))
            self.everything = Arm(self.lab.everything, self.dose)
            self.chosen = Arm(self.set, self.dose)
        self.alone = [Arm(m.functions, self.lab.base_dose) for m in self.members]
        if len(self.members) == 1:
            self.alone = [self.chosen]
        self.rest = Arm(self.complement, self.most.get(self.complement, self.lab.top_dose))

    def _dose(self, targets: frozenset[str], gain: float) -> float:
        """The base dose, since a coarse one could exceed the slack of hidden code; the coarse one
        where noise is too much of the effect and nothing bends."""
        noise, disturbance = self.noise, self.lab.disturbance
        if disturbance.matters and not disturbance.is_same_work(targets):
            noise = max(noise, disturbance.noise)  # nothing is taken out of its runs
        is_quiet = noise <= QUIET * self.lab.base_dose * gain
        if is_quiet or not self.lab.finalists.linear:
            return self.lab.base_dose
        return self.most.get(targets, self.lab.top_dose)

    def _slow_by(self, dose: float, targets: frozenset[str]) -> None:
        """Slow these targets by no more from now on, nor by less than the base dose."""
        self.most[targets] = max(self.lab.base_dose, dose)
        self._choose_doses()

    def run(self) -> Steps:
        """Blocks of all arms until all is clear; only of what is not, once most of it is."""
        try:
            for done in range(1, MAX_BLOCKS + 1):
                yield from self.lab.run_block(self.trials, self._wanted(), "certificate")
                if done >= MIN_BLOCKS and self.judge():
                    return
        except BudgetOver:
            self.judge()
            self.lab.know(verdict="inconclusive", stop_reason="budget")
            raise

    def _wanted(self) -> list[Arm]:
        arms = [arm for arm in self.alone if arm not in self.shown]
        if self.sufficient is None:
            arms += [self.chosen, self.everything]
        if self.complete is None:
            arms.append(self.rest)
        return [arm for arm in dict.fromkeys(arms) if arm.targets]

    def judge(self) -> bool:
        """Read the runs so far; True when every question has an answer."""
        lab, trials = self.lab, self.trials
        if lab.is_hopeless(trials, self.everything) and self.dose > lab.base_dose:
            self._slow_by(0.5 * self.dose, self.set)
        if trials.count(CONTROL):
            self.noise = max(self.noise, trials.fit().sigma)
        self._choose_doses()
        p_values = [self._p_value(arm) for arm in self.alone]
        adjusted = holm([*p_values, *(1.0 for _ in self.refuted)])[: len(p_values)]
        necessary = all(p <= self.alpha for p in adjusted)
        self.shown = {
            arm
            for arm, p in zip(self.alone, p_values, strict=True)
            if p <= self.alpha / (len(self.alone) + len(self.refuted))
        }
        self.complete, rest_gain_hi, rest_drop_hi = self._complete()
        if any(trials.count(arm) < 2 for arm in (*self.alone, self.chosen, self.everything)):
            return any(lab.is_hopeless(trials, arm) for arm in (*self.alone, self.everything))
        explained = trials.share(self.chosen, self.everything)
        least = trials.share(self.chosen, self.everything, 0.1).lo  # one-sided
        sufficient: bool | None = None
        if least >= EXPLAINED_LEAST:
            sufficient = explained.estimate >= EXPLAINED or explained.hi >= EXPLAINED
        elif explained.hi < EXPLAINED and trials.count(self.chosen) >= UNCLEAR_RUNS:
            sufficient = False
        doubtful = explained.estimate < EXPLAINED and trials.count(self.chosen) >= UNCLEAR_RUNS
        lacking = sufficient is False or (sufficient is None and doubtful)
        if lacking and self.dose > lab.base_dose:
            # What the set lacks may be hidden code whose slack the coarse dose exceeds.
            self._slow_by(0.5 * self.dose, self.set)
            return False
        self.sufficient = sufficient
        if self._let_go():
            self.complement_matters = not self.members
            return not self.members
        notes = self._notes()
        self._publish(
            adjusted,
            Certificate(
                necessary=necessary or None,
                necessary_p_values=tuple(
                    (m.target, p) for m, p in zip(self.members, adjusted, strict=True)
                ),
                sufficient=sufficient,
                explained=explained,
                complete=self.complete,
                complement_drop_upper95=rest_drop_hi,
                complement_gain_upper95=rest_gain_hi,
                dose=self.dose,
                notes=notes,
            ),
        )
        if self.complete and rest_gain_hi is not None:
            self._bound_the_rest(rest_gain_hi)
        self.certified = bool(necessary and sufficient and self.complete)
        self.complement_matters = not self.complete and False in (self.complete, sufficient)
        return self.certified or self.complete is False or sufficient is False

    def _let_go(self) -> bool:
        """Leave out members that fresh runs put below the threshold, and, once all else is shown,
        those that they cannot show and that look like leaks. The smaller set is then tested."""
        lab, trials = self.lab, self.trials
        pairs = zip(self.members, self.alone, strict=True)
        unshown = [(member, arm) for member, arm in pairs if arm not in self.shown]
        gone = [(member, arm) for member, arm in unshown if self._is_refuted(arm)]
        if not gone and self.sufficient and self.complete:
            limit = (1.0 - EXPLAINED) * _gain(lab)
            gone = [(member, arm) for member, arm in unshown if self._is_leak(arm, limit)]
        if not gone:
            return False
        doses = self.dose, self.rest.dose
        for member, arm in gone:
            bounds = trials.bounds(arm, 0.05, lab.settings.threshold)
            seen = f"gain {bounds.lo:.1%} to {bounds.hi:.1%}" if bounds else "no call was delayed"
            lab.leave_open(member.functions, f"fresh runs did not confirm that it matters ({seen})")
            self.members.remove(member)
            lab.finalists.members.remove(member)
            self.refuted.add(member.target)
        for member in self.members:
            others = (t for t in member.co_critical_with if t not in self.refuted)
            member.co_critical_with = tuple(others)
        left = tuple(f for f in lab.known.sensitive if f.target not in self.refuted)
        lab.know(sensitive=left)
        self.sufficient = self.complete = None
        self._split()
        self.most |= zip((self.set, self.complement), doses, strict=True)
        self._choose_doses()
        return True

    def _is_leak(self, arm: Arm, limit: float) -> bool:
        return self.trials.count(arm) >= UNCLEAR_RUNS and self.trials.leaks(arm, limit)

    def _p_value(self, arm: Arm) -> float:
        """Against the hypothesis that slowing a member does nothing."""
        if self.trials.count(arm) < 2:
            return 1.0
        scale = self.trials.scale(arm, self.lab.settings.threshold)
        return sequence_p_value(self.trials.fit().effect(arm), scale)

    def _is_refuted(self, arm: Arm) -> bool:
        """Whether fresh runs put a member below the threshold, or show next to nothing of it."""
        least = self.lab.settings.threshold * _gain(self.lab)
        bounds = self.trials.bounds(arm, self.alpha, least)
        if bounds is None:
            return True
        doubtful = self.trials.count(arm) >= DOUBTFUL_RUNS
        return bounds.hi < least or (doubtful and self.trials.is_unlikely(arm, least))

    def _complete(self) -> tuple[bool | None, float | None, float | None]:
        lab, trials = self.lab, self.trials
        whole = trials.gain(self.everything)
        if not self.complement:
            return True, 0.0, 0.0
        if lab.is_hopeless(trials, self.rest):
            return False, None, None
        if whole is None or trials.count(self.rest) == 0:
            return None, None, None
        bounds = trials.bounds(self.rest, 0.1, lab.settings.threshold)
        if bounds is None:
            return True, 0.0, 0.0
        # Code cannot gain more than the time it takes, whatever noise leaves possible.
        own = MASS_MARGIN * lab.own.per_unit_s(self.complement) / lab.time_per_unit_s
        hi = min(bounds.hi, own)
        effect_hi = max(hi, 0.0) * trials.dose(self.rest)
        limit = (1.0 - EXPLAINED) * whole.value
        complete = False if bounds.lo > limit else (True if hi < limit else None)
        room = limit - bounds.estimate
        far = bounds.hi - bounds.estimate > 2.0**0.5 * room  # widths shrink with the root of runs
        unclear = room < 0.0 or (trials.count(self.rest) >= UNCLEAR_RUNS and far)
        settled = complete is True or (complete is False and self.rest.dose == lab.base_dose)
        if unclear and not settled:
            dose = self._clearest(limit, shows_effect=bounds.lo > 0.0)
            if dose != self.rest.dose:
                self._slow_by(dose, self.complement)
                complete = None
        near = bounds.lo > 0.5 * limit and bounds.estimate > 0.85 * limit
        if complete is None and near and trials.count(self.rest) >= DOUBTFUL_RUNS:
            complete = False  # something is there, about as much as may be left out
        return complete, hi, effect_hi / (1.0 + effect_hi)

    def _clearest(self, limit: float, *, shows_effect: bool) -> float:
        """The dose at which everything else is soonest told from ``limit``.

        An effect may be slack that a coarse dose exceeds: then a smaller one is tried. Of those
        tried, the one that leaves most room for noise.
        """
        doses = [arm.dose for arm in self.trials.arms(self.complement)]
        if shows_effect and min(doses) > self.lab.base_dose:
            return 0.5 * min(doses)

        def room(dose: float) -> float:
            gain = self.trials.gain(Arm(self.complement, dose))
            return dose * (limit - gain.value) if gain is not None else -math.inf

        return max(doses, key=room)

    def _bound_the_rest(self, gain_hi: float) -> None:
        """Everything else was slowed together: no part of it can gain more than all of it, be it
        left open by the search or pruned by a weaker bound."""
        known, dose, inside = self.lab.known, self.rest.dose, self.complement.issuperset
        is_open = [u for u in known.unresolved if inside(u.functions)]
        weak = [p for p in known.insensitive if p.gain_upper95 > gain_hi and inside(p.functions)]
        bounded = [self.lab.pruned(p.functions, p.reason, gain_hi, dose) for p in weak]
        bounded += [self.lab.pruned(u.functions, "measured", gain_hi, dose) for u in is_open]
        self.lab.know(
            unresolved=tuple(u for u in known.unresolved if u not in is_open),
            insensitive=(*(p for p in known.insensitive if p not in weak), *bounded),
        )

    def _publish(self, adjusted: list[float], certificate: Certificate) -> None:
        """Fresh effects replace the search's; shape, slack and curve come from its sweep."""
        lab = self.lab
        if lab.finalists.trials is not None:
            publish(lab, lab.finalists.trials)
        explored = {f.target: f for f in lab.known.sensitive}
        findings = []
        for member, arm, p in zip(self.members, self.alone, adjusted, strict=True):
            effect = self.trials.effect(arm, lab.settings.threshold)
            before = explored.get(member.target)
            if effect is None:
                continue
            if before is not None:
                # Where the budget cut the fresh runs short, what the search saw says more.
                cut_short = before.effect.gain.width < 0.5 * effect.gain.width
                effect = before.effect if cut_short else _with_response(effect, before.effect)
            findings.append(
                Finding(
                    member.target,
                    member.kind,
                    tuple(sorted(member.functions)),
                    effect,
                    p,
                    member.co_critical_with,
                )
            )
        root, old = self.trials.effect(self.everything, lab.settings.threshold), lab.known.root
        if root is not None and old is not None and root.gain.width < 2.0 * old.gain.width:
            lab.know(root=_with_response(root, old))
        lab.know(
            sensitive=tuple(sorted(findings, key=lambda f: -f.effect.gain.estimate)),
            certificate=certificate,
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self.sufficient is False:
            notes.append("slowing only the set does not reproduce the drop of *:*")
        if self.complete is False:
            notes.append("everything outside the set still lowers throughput by a tenth or more")
        return tuple(notes)


def _with_response(effect: Effect, sweep: Effect) -> Effect:
    """A fresh effect with the shape, slack and curve that a sweep showed."""
    return replace(
        effect, shape=sweep.shape, slack_ns_per_unit=sweep.slack_ns_per_unit, curve=sweep.curve
    )


def _noise(lab: Lab) -> tuple[float, float]:
    """Noise of one run, by undelayed and by slowed ones, and its degrees of freedom."""
    fits = [lab.baseline.fit()]
    slowed = lab.finalists.trials
    if slowed and slowed.count(CONTROL):
        fits.append(slowed.fit())
    return max(fit.sigma for fit in fits), min(max(fit.dof for fit in fits), NOISE_DOF)


def _gain(lab: Lab) -> float:
    return lab.known.root.gain.estimate if lab.known.root is not None else 0.0
