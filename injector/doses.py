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

    from .backends.contract import Backend, SiteFields
    from .control import Control
    from .ledger import Ledger
    from .naming import Seen
    from .natives import Natives
    from .patterns import Patterns
    from .plan import ByState
    from .roles import Role
    from .tracker import DelaySpec, EventNs, PartSpec, Visit


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
        self._entries: dict[tuple[str, int], list[int]] = {}
        for entry, dose in enumerate(plan["doses"]):
            self._entries.setdefault((dose["target"], dose["line"]), []).append(entry)
        self._sites = [dose["sites"] for dose in plan["doses"]]
        self._parts = [dose["part"] for dose in plan["doses"]]
        self._live = plan["live"]
        self._applied = [NOTHING if self._live else AS_PLANNED] * len(self._sites)
        """By entry: what its delays are multiplied by."""
        self._met: dict[int, list[tuple[_Met, int]]] = {}
        """By entry: the code it is in, and which part of it."""
        self._fresh: set[int] = set()
        """Entries whose code was met since the last switch, which may have come in between."""
        self._seen = seen
        self._rules = _parse(plan["rules"])
        self._by_line = bool(self._rules and plan["lines"])
        self.everywhere = bool(self._rules and plan["native"])
        """Whether native callables may be delayed wherever they are called."""
        named = dict.fromkeys(part for part in self._parts if part and "@" not in part)
        self._numbers = {name: number for number, name in enumerate(named, 1)}
        """Of native callables that are delayed at places of the plan."""
        self.native = self._natives() if self._numbers or self.everywhere else None
        """Says what a native callable is; None: they are no targets."""
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
        line = round(costs.get("line", site))
        self.event_ns: EventNs = (entry, site, wide, pay, line)
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
        entries = self._entries.get((target, code.co_firstlineno))
        if entries is not None:
            return self._dosed(code, target, entries, progress)
        slot, visit = 0, None
        parts: tuple[PartSpec, ...] = ()
        if self._rules:
            if self._rules.matches(module, code.co_qualname, code.co_filename):
                slot, visit = self._slot("target", target, code), self._by_hand()
            parts = self._lines(code, module, target, self._rules) if self._by_line else ()
        if slot or parts or progress or self.everywhere:
            return self._rule_spec(slot, progress, visit, parts)
        return None

    def _rule_spec(
        self, slot: int, progress: int, visit: Visit | None, parts: tuple[PartSpec, ...]
    ) -> DelaySpec:
        fixed = self._delay_ns >= FLOOR_NS[0]
        return (slot, progress, self._every, fixed, visit, None, None, AS_PLANNED, parts)

    def _by_hand(self) -> Visit:
        """The delay of the rules."""
        return (self._delay_ns, 0.0, 0.0, 0.0)

    def _natives(self) -> Natives:
        from .natives import Natives

        return Natives(self._describe)

    def _describe(self, name: str) -> tuple[int, DelaySpec | None]:
        """What a native callable is: its number, and what is done wherever it is called."""
        number = self._numbers.get(name, 0)
        if not (self.everywhere and self._rules):
            return number, None
        module, _, qualname = name.rpartition(":")
        if not self._rules.matches(module, qualname):
            return number, None
        return number, self._rule_spec(self._part_slot(name), 0, self._by_hand(), ())

    def _lines(
        self, code: CodeType, module: str, target: str, rules: Patterns
    ) -> tuple[PartSpec, ...]:
        """The lines of code that the rules name."""
        sites = [
            {"at": "line", "offset": line, "delay_ns": self._delay_ns}
            for line in sorted({line for *_, line in code.co_lines() if line})
            if rules.matches(module, f"{code.co_qualname}@{line}", code.co_filename)
        ]
        placed = self._place(code, target, sites)
        if placed:
            self._backend.arm(code, ("line",))
        return tuple(
            (
                self._part_slot(f"{target}@{site['offset']}", site["offset"], code.co_filename),
                *(0, None, {site["offset"]: self._by_hand()}, AS_PLANNED),
            )
            for site in placed
        )

    def _place(self, code: CodeType, target: str, sites: list[SiteFields]) -> list[SiteFields]:
        """Those of the sites that can be had; what is lost is said."""
        placed, reason = self._backend.place(code, sites)
        if reason:
            self.ledger.note("unplaced", target=target, line=code.co_firstlineno, reason=reason)
        return placed

    def _dosed(self, code: CodeType, target: str, entries: list[int], progress: int) -> DelaySpec:
        slot, begin, resume, inside, dose = 0, None, None, None, NOTHING
        parts: list[PartSpec] = []
        met = _Met(code, progress != 0)
        for entry in entries:
            visits, kinds = self._placed(code, target, entry)
            by_offset = {
                o: v for (at, o), v in visits.items() if at not in ("entry", "resume", "line")
            }
            part = self._parts[entry]
            if part:
                by_line = {line: v for (at, line), v in visits.items() if at == "line"}
                line = int(part.rpartition("@")[2]) if "@" in part else 0
                file = code.co_filename if line else ""
                parts.append(
                    (
                        self._part_slot(part, line, file),
                        self._numbers.get(part, 0),
                        by_offset,
                        by_line,
                        self._applied[entry],
                    )
                )
            else:
                slot = self._slot("target", target, code)
                begin, resume = visits.get(("entry", -1)), visits.get(("resume", -1))
                inside, dose = by_offset, self._applied[entry]
                kinds |= {"start"}
            met.add(entry, frozenset(kinds))
            if self._live:
                self._met.setdefault(entry, []).append((met, len(parts) if part else 0))
                self._fresh.add(entry)
        if self._live:
            met.watch(self._backend, self._applied)
        elif met.all_kinds - {"start"}:
            self._backend.arm(code, met.all_kinds - {"start"})
        return (slot, progress, 1, False, begin, resume, inside, dose, tuple(parts))

    def _placed(
        self, code: CodeType, target: str, entry: int
    ) -> tuple[dict[tuple[str, int], Visit], set[str]]:
        """The visits of an entry by place, as far as they can be had, and the events they need."""
        sites = self._place(code, target, self._sites[entry])
        visits: dict[tuple[str, int], Visit] = {}
        for site in sites:
            key = (site["at"], site["offset"])
            visits[key] = self._visit(site, visits.get(key, (0.0, 0.0, 0.0, 0.0)))
        kinds = {site["at"] for site in sites} - {"entry"}
        if any(map(follows, visits.values())):
            kinds |= {"return", "yield"}
        return visits, kinds

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
        changed = [
            entry
            for entry, dose in enumerate(wanted)
            if dose != self._applied[entry] or entry in fresh
        ]
        changes = []
        watched: dict[_Met, CodeType | None] = {}
        for entry in changed:
            self._applied[entry] = wanted[entry]
        for entry in changed:
            alive = [known for known in self._met.get(entry, ()) if known[0].code() is not None]
            self._met[entry] = alive
            for met, part in alive:
                if met not in watched:
                    watched[met] = met.watch(self._backend, self._applied)
                code = watched[met]
                if code is not None:
                    changes.append((code, part, wanted[entry]))
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

    def _part_slot(self, name: str, line: int = 0, file: str = "") -> int:
        """The slot of a finer target: of a native callable the same wherever it is called."""
        key = ("target", name, line, file)
        return self.ledger.add_once(
            self._slots, key, "target", target=name, line=line, file=file, native=line == 0
        )


class _Met:
    """Code of entries that has been met, and the events that each of them needs while it is
    slowed."""

    __slots__ = ("code", "kinds", "progress")

    def __init__(self, code: CodeType, progress: bool) -> None:
        self.code: ref[CodeType] = ref(code)
        self.kinds: dict[int, frozenset[str]] = {}
        self.progress = progress
        """Whether its calls are counted also while it is not slowed."""

    def add(self, entry: int, kinds: frozenset[str]) -> None:
        self.kinds[entry] = kinds

    @property
    def all_kinds(self) -> frozenset[str]:
        return frozenset().union(*self.kinds.values())

    def watch(self, backend: Backend, applied: Sequence[ByState]) -> CodeType | None:
        """Bring the events that these doses need; returns the code if it still exists."""
        code = self.code()
        if code is not None:
            wanted = [kinds for entry, kinds in self.kinds.items() if any(applied[entry])]
            always = frozenset({"start"} if self.progress else ())
            # Places that one part of several did not need switched themselves off.
            backend.watch(code, always.union(*wanted), afresh=len(self.kinds) > 1)
        return code


def _parse(rules: list[str]) -> Patterns | None:
    if not rules:
        return None
    from .patterns import parse  # with `re`, which a run without rules need not pay for

    return parse(rules)
