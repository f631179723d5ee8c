"""Which code is delayed, and by how much: the plan, seen from one code object.

Asked once for each code object when it first runs. Exact doses (target and first line) come before
rules. Every delay is handed on less the cost of the callback that carries it, never below zero, so
that what is delivered, callback included, is what the plan asks for.
"""

from __future__ import annotations

from .naming import frame_of, is_own, module_of
from .tracker import FLOOR_NS, STATES
from .waits import follows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .backends.contract import Backend
    from .ledger import Ledger
    from .patterns import Patterns
    from .roles import Role
    from .tracker import DelaySpec, Visit


class Doses:
    """The `resolve` of a Delayer."""

    def __init__(self, plan: dict[str, Any], backend: Backend, ledger: Ledger, role: Role) -> None:
        """``plan``: the plan file's JSON object.

        Raises:
            PatternError: a rule is not a pattern.
            KeyError: the plan is malformed.
        """
        self._doses = {(dose["target"], dose["line"]): dose["sites"] for dose in plan["doses"]}
        self._rules = _parse(plan["rules"])
        self._every = max(1, int(plan["every"]))
        self._delay_ns = float(plan["delay_ns"])
        self._progress = plan["progress"]
        self._backend = backend
        self._role = role
        self.ledger = ledger
        """Where targets are announced; a forked child puts its own here."""
        costs = plan["event_ns"]
        self.event_ns = (round(costs.get("entry", 0)), round(costs.get("site", 0)))
        """Whole ns of one callback: (entry, site)."""
        self._slots: dict[tuple[str, str, int, str], int] = {}

    @property
    def watches(self) -> bool:
        """Whether there is anything to watch for."""
        return bool(self._doses or self._rules or self._progress)

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
        if globals_ is None:
            frame = frame_of(code)
            globals_ = None if frame is None else frame.f_globals
        module = module_of(globals_)
        target = f"{module}:{code.co_qualname}"
        progress = self._slot("progress", target, code) if target == self._progress else 0
        sites = self._doses.get((target, code.co_firstlineno))
        if sites is not None:
            return self._dosed(code, target, sites, progress)
        if self._rules and self._rules.matches(module, code.co_qualname, code.co_filename):
            slot = self._slot("target", target, code)
            entry = (max(0.0, self._delay_ns - self.event_ns[0]), 0.0, 0.0, 0.0)
            fixed = self._delay_ns >= FLOOR_NS[0]
            return (slot, progress, self._every, fixed, entry, None, None)
        return (0, progress, 1, False, None, None, None) if progress else None

    def _dosed(
        self, code: CodeType, target: str, sites: list[dict[str, Any]], progress: int
    ) -> DelaySpec | None:
        slot = self._slot("target", target, code)
        sites, reason = self._backend.place(code, sites)
        if reason:
            self.ledger.note("unplaced", target=target, line=code.co_firstlineno, reason=reason)
        visits: dict[tuple[str, int], Visit] = {}
        for site in sites:
            key = (site["at"], site["offset"])
            visits[key] = self._visit(site, visits.get(key, (0.0, 0.0, 0.0, 0.0)))
        inside = {o: v for (at, o), v in visits.items() if at not in ("entry", "resume")}
        entry, resume = visits.get(("entry", -1)), visits.get(("resume", -1))
        kinds = {site["at"] for site in sites} - {"entry"}
        if any(map(follows, visits.values())):
            kinds |= {"return", "yield"}
        if kinds:
            self._backend.arm(code, kinds)
        return (slot, progress, 1, False, entry, resume, inside)

    def _visit(self, site: dict[str, Any], other: Visit) -> Visit:
        """The visit of a site, together with what other states have at the same place."""
        state = STATES.index(site["state"])
        cost = self.event_ns[0 if site["at"] in ("entry", "resume") else 1]
        ns = list(other[:3])
        ns[state] += max(0.0, float(site["delay_ns"]) - (cost if state == 0 else 0))
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


def _parse(rules: list[str]) -> Patterns | None:
    if not rules:
        return None
    from .patterns import parse  # with `re`, which a run without rules need not pay for

    return parse(rules)
