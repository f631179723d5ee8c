"""External: somebody outside (an agent, a script) decides where to look.

It can be wrong about that, never about what was found. A set is found only if it was itself probed
and judged sensitive; what is claimed and was not is probed first, and what a probe does not confirm
is handed back once, for whoever decides to look elsewhere, and left out then. What nobody looked at
stays open, so that the certificate's test of everything else decides whether it may be.

Where nothing is claimed the answer is the narrowest sets that were judged sensitive. Of a set in
which a narrower one was found nothing more is known, and it stays open too.
"""

from __future__ import annotations

from strategies.bisect import BestFirstBisection
from strategies.decision import MOST_SETS, Decision
from strategies.protocol import Cleared, Found, Open, Outcome, Probe, Problem, Result
from strategies.tasks import BATCH


class External:
    """See the module docstring; implements `strategies.decision.Deciding`."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem = problem
        self._seed = seed
        self._names = frozenset(item.name for item in problem.items)
        self._pending: dict[Probe, None] = {}
        self._told: dict[frozenset[str], Outcome] = {}
        self._claims: tuple[frozenset[str], ...] | None = None
        """None until it was said that the search is done."""
        self._has_objected = False
        self._delegated = False
        self._rest: BestFirstBisection | None = None
        self._over = not problem.items
        self.unconfirmed: tuple[frozenset[str], ...] = ()

    # -- decisions --------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """See `Deciding.waits`."""
        return not (self._over or self._pending or self._delegated)

    def objection(self, decision: Decision) -> str | None:
        """See `Deciding.objection`."""
        if not self.waits:
            return "nothing is to be decided now"
        sets = decision.sets
        if len(sets) > MOST_SETS:
            return f"{len(sets)} sets are too many; name at most {MOST_SETS} at once"
        for items in sets:
            if not items:
                return "a set is empty; name at least one item in each"
            if unknown := items - self._names:
                return f"{min(unknown)!r} is not among the items of this search"
        if decision.kind == "probe":
            return self._objection_to_probes(sets)
        if decision.kind == "delegate":
            return "delegate takes no sets" if sets else None
        seen: set[str] = set()
        for items in sets:
            if both := items & seen:
                return f"two claims share {min(both)!r}; claim it once"
            seen |= items
        return None

    def _objection_to_probes(self, sets: tuple[frozenset[str], ...]) -> str | None:
        if not sets:
            return "nothing was named to probe"
        if all(items in self._told for items in sets):
            known = "; ".join(_said(self._told[items]) for items in sets[:3])
            return f"that was judged already ({known}); probe something else, or look no further"
        return None

    def decide(self, decision: Decision) -> None:
        """See `Deciding.decide`."""
        objection = self.objection(decision)
        if objection is not None:
            raise ValueError(objection)
        if decision.kind == "delegate":
            self._delegate()
            return
        self._pending = {Probe(s): None for s in decision.sets if s not in self._told}
        if decision.kind == "done":
            self._claims = decision.sets
            self._weigh_claims()

    def _weigh_claims(self) -> None:
        """Once all claims are measured: the end, unless some are handed back."""
        if self._claims is None or self._pending:
            return
        self.unconfirmed = tuple(c for c in self._claims if not self._matters(c))
        if self.unconfirmed and not self._has_objected:
            self._has_objected, self._claims = True, None
        else:
            self._over = True

    def _matters(self, items: frozenset[str]) -> bool:
        return items in self._told and self._told[items].judgement == "sensitive"

    # -- probes -----------------------------------------------------------------------------------

    def ask(self) -> tuple[Probe, ...]:
        """See `Strategy.ask`."""
        if self._pending:
            return tuple(self._pending)[:BATCH]
        return self._rest.ask() if self._rest is not None else ()

    def tell(self, outcome: Outcome) -> None:
        """See `Strategy.tell`."""
        if outcome.probe not in self._pending:
            if self._rest is not None:
                self._rest.tell(outcome)
            return
        del self._pending[outcome.probe]
        self._told[outcome.probe.items] = outcome
        if self._delegated:
            self._go_on_with(outcome)
        else:
            self._weigh_claims()

    # -- the default search goes on -------------------------------------------------------------

    def _delegate(self) -> None:
        """Let the default search go on with what is undecided, if that matters as a whole."""
        self._delegated = True
        left = self._undecided()
        if left == self._names:
            self._rest = BestFirstBisection(self.problem, self._seed)
        elif left in self._told:
            self._go_on_with(self._told[left])
        elif left:
            self._pending = {Probe(left): None}

    def _undecided(self) -> frozenset[str]:
        """What is neither a single item that matters nor in a set that does not."""
        single = {
            name
            for items in self._told
            if len(items) == 1 and self._matters(items)
            for name in items
        }
        cleared = (s for s, o in self._told.items() if o.judgement == "insensitive")
        return self._names.difference(single, *cleared)

    def _go_on_with(self, whole: Outcome) -> None:
        if whole.judgement == "sensitive":
            asked, items = self.problem, whole.probe.items
            part = Problem(
                tuple(item for item in asked.items if item.name in items),
                whole.gain,
                max(whole.lo, 0.5 * whole.gain),
                whole.hi,
                asked.threshold,
                asked.resolution,
            )
            self._rest = BestFirstBisection(part, self._seed)

    # -- the answer -------------------------------------------------------------------------------

    def result(self) -> Result:
        """See `Strategy.result`."""
        found = self._found()
        rest = self._rest.result() if self._rest is not None else Result((), (), ())
        taken = frozenset[str]().union(*(f.items for f in (*found, *rest.found)))
        cleared = []
        of_sets = [Cleared(o.probe.items, o.hi) for o in self._of("insensitive")]
        for each in sorted((*of_sets, *rest.cleared), key=lambda c: (c.hi, min(c.items))):
            if left := each.items - taken:
                cleared.append(Cleared(left, each.hi))
                taken |= left
        undecided = []
        for reason, items in (
            *((e.reason, e.items) for e in rest.open),
            *((o.reason or "could not be measured", o.probe.items) for o in self._of("unresolved")),
            *((_unclaimed(o), o.probe.items) for o in self._of("sensitive")),
            ("whoever decided where to look did not look there", self._names),
        ):
            if left := items - taken:
                undecided.append(Open(left, reason))
                taken |= left
        return Result((*found, *rest.found), tuple(cleared), tuple(undecided))

    def _of(self, judgement: str) -> list[Outcome]:
        return [o for o in self._told.values() if o.judgement == judgement]

    def _found(self) -> tuple[Found, ...]:
        """What was claimed and confirmed, or, without claims, the narrowest that matters."""
        claims = self._claims or () if self._over else ()
        sets = [o for o in self._of("sensitive") if not claims or o.probe.items in claims]
        if self._rest is not None:  # which looks for narrower ones
            sets = [o for o in sets if len(o.probe.items) == 1]
        found: list[Found] = []
        taken: frozenset[str] = frozenset()
        for o in sorted(sets, key=lambda o: (len(o.probe.items), -o.gain, min(o.probe.items))):
            if taken.isdisjoint(o.probe.items):
                found.append(Found(o.probe.items, o.gain, o.lo, o.hi))
                taken |= o.probe.items
        return tuple(found)


def _said(outcome: Outcome) -> str:
    names = sorted(outcome.probe.items)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}: {outcome.judgement}, gain {outcome.gain:.1%}"


def _unclaimed(outcome: Outcome) -> str:
    return (
        f"was seen to gain about {outcome.gain:.1%} with others, and nobody looked further or "
        "claimed it"
    )
