"""Which code is delayed, and by how much: the plan, seen from one code object.

Asked once for each code object when it first runs. Exact doses (target and first line) come before
rules. In live mode a dose says what would be delayed at a dose of 1; how much of it is, is switched
while the program runs, and code that is not delayed is not watched either.
"""

from __future__ import annotations

from _weakref import ref

from .naming import is_own, running_in
from .tracker import AS_PLANNED, FLOOR_NS, NOTHING, STATES
from .waits import follows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType
    from typing import Any

    from .backends.contract import Backend
    from .control import Control
    from .ledger import Ledger
    from .naming import Seen
    from .patterns import Patterns
    from .plan import ByState
    from .roles import Role
    from .tracker import DelaySpec, EventNs, Visit


class Doses:
    """The `resolve` of a Delayer."""

    def __init__(
        self,
        plan: dict[str, Any],
        backend: Backend,
        ledger: Ledger,
        role: Role,
        seen: Seen | None = None,
    ) -> None:
        """``plan``: the plan file's JSON object.

        Raises:
            PatternError: a rule is not a pattern.
            KeyError: the plan is malformed.
        """
        self._entries = {
            (dose["target"], dose["line"]): entry for entry, dose in enumerate(plan["doses"])
        }
        self._sites = [dose["sites"] for dose in plan["doses"]]
        self._live = plan["live"]
        self._applied = [NOTHING if self._live else AS_PLANNED] * len(self._sites)
        """By entry: what its delays are multiplied by."""
        self._met: dict[int, list[_Met]] = {}
        self._fresh: set[int] = set()
        """Entries whose code was met since the last switch, which may have come in between."""
        self._seen = seen
        self._rules = _parse(plan["rules"])
        self._every = max(1, int(plan["every"]))
        self._delay_ns = float(plan["delay_ns"])
        self._points = {plan["progress"], plan.get("begins")} - {None}
        """Progress points."""
        self._backend = backend
        self._role = role
        self.ledger = ledger
        """Where targets are announced; a forked child puts its own here."""
        costs = plan["event_ns"]
        entry, site, wide, pay = (
            round(costs.get(kind, 0)) for kind in ("entry", "site", "wide", "pay")
        )
        self.event_ns: EventNs = (entry, site, wide, pay)
        """Whole ns of one callback, as `injector.tracker.Delayer` wants them."""
        self._slots: dict[tuple[str, str, int, str], int] = {}

    @property
    def watches(self) -> bool:
        """Whether there is anything to watch for."""
        return bool(self._sites or self._rules or self._points or self._live)

    def resolve(self, code: CodeType, globals_: dict[str, Any] | None) -> DelaySpec | None:
        """What to do in this code, None for nothing. Exceptions are recorded, and mean nothing."""
        try:
            return self._resolve(code, globals_)
        except Exception as error:
            self.ledger.error(error)
            return None

    def _resolve(self, code: CodeType, globals_: dict[str, Any] | None) -> DelaySpec | None:
        if is_own(code):
            return None
        self._role.look()
        module = self._seen.module_of(code, globals_) if self._seen else running_in(code, globals_)
        target = f"{module}:{code.co_qualname}"
        progress = self._slot("progress", target, code) if target in self._points else 0
        if progress and self._live:
            self._backend.watch(code, ("start",))
        entry = self._entries.get((target, code.co_firstlineno))
        if entry is not None:
            return self._dosed(code, target, entry, progress)
        if self._rules and self._rules.matches(module, code.co_qualname, code.co_filename):
            slot = self._slot("target", target, code)
            visit = (self._delay_ns, 0.0, 0.0, 0.0)
            fixed = self._delay_ns >= FLOOR_NS[0]
            return (slot, progress, self._every, fixed, visit, None, None, AS_PLANNED)
        return (0, progress, 1, False, None, None, None, AS_PLANNED) if progress else None

    def _dosed(self, code: CodeType, target: str, entry: int, progress: int) -> DelaySpec | None:
        slot = self._slot("target", target, code)
        sites, reason = self._backend.place(code, self._sites[entry])
        if reason:
            self.ledger.note("unplaced", target=target, line=code.co_firstlineno, reason=reason)
        visits: dict[tuple[str, int], Visit] = {}
        for site in sites:
            key = (site["at"], site["offset"])
            visits[key] = self._visit(site, visits.get(key, (0.0, 0.0, 0.0, 0.0)))
        inside = {o: v for (at, o), v in visits.items() if at not in ("entry", "resume")}
        begin, resume = visits.get(("entry", -1)), visits.get(("resume", -1))
        kinds = {site["at"] for site in sites} - {"entry"}
        if any(map(follows, visits.values())):
            kinds |= {"return", "yield"}
        if self._live:
            met = _Met(code, frozenset(kinds | {"start"}), progress != 0)
            self._met.setdefault(entry, []).append(met)
            self._fresh.add(entry)
            met.watch(self._backend, self._applied[entry])
        elif kinds:
            self._backend.arm(code, kinds)
        dose = self._applied[entry]
        return (slot, progress, 1, False, begin, resume, inside, dose)

    def switch(self, tracker: Any, control: Control) -> None:
        """Live mode: delay what the page says from now on, and watch only that."""
        fresh, self._fresh = self._fresh, set()
        self.multiply(tracker, control.doses(len(self._sites)), fresh)

    def multiply(
        self,
        tracker: Any,
        wanted: Sequence[ByState],
        fresh: set[int] | frozenset[int] = frozenset(),
    ) -> None:
        """Let the doses be ``wanted``, one for each entry; of ``fresh`` ones whatever they were."""
        changes = []
        for entry, dose in enumerate(wanted):
            if dose == self._applied[entry] and entry not in fresh:
                continue
            self._applied[entry] = dose
            alive = [met for met in self._met.get(entry, ()) if met.code() is not None]
            self._met[entry] = alive
            for met in alive:
                code = met.watch(self._backend, dose)
                if code is not None:
                    changes.append((code, dose))
        tracker.switch(changes)

    def let_go(self, tracker: Any) -> None:
        """Live mode: delay nothing, whatever the page says."""
        self.multiply(tracker, [NOTHING] * len(self._sites))

    @staticmethod
    def _visit(site: dict[str, Any], other: Visit) -> Visit:
        """The visit of a site, together with what other states have at the same place."""
        state = STATES.index(site["state"])
        ns = list(other[:3])
        ns[state] += float(site["delay_ns"])
        return (ns[0], ns[1], ns[2], max(other[3], float(site.get("share", 0.0))))

    def _slot(self, kind: str, target: str, code: CodeType) -> int:
        """The slot to count in; code that is made again and again (``exec``) shares one."""
        key = (kind, target, code.co_firstlineno, code.co_filename)
        return self.ledger.add_once(
            self._slots,
            key,
            kind,
            target=target,
            line=code.co_firstlineno,
            file=code.co_filename,
        )


class _Met:
    """Code of an entry that has been met, and the events it needs while it is slowed."""

    __slots__ = ("code", "kinds", "progress")

    def __init__(self, code: CodeType, kinds: frozenset[str], progress: bool) -> None:
        self.code: ref[CodeType] = ref(code)
        self.kinds = kinds
        self.progress = progress
        """Whether its calls are counted also while it is not slowed."""

    def watch(self, backend: Backend, dose: ByState) -> CodeType | None:
        """Bring the events that this dose needs; returns the code if it still exists."""
        code = self.code()
        if code is not None:
            backend.watch(code, self.kinds if any(dose) else ("start",) if self.progress else ())
        return code


def _parse(rules: list[str]) -> Patterns | None:
    if not rules:
        return None
    from .patterns import parse  # with `re`, which a run without rules need not pay for

    return parse(rules)
