"""Delay mode in Python: the twin of ``_core.Delayer``. See `injector.tracker.Delayer`.

One debt per thread and state, shared by all targets: a delay too small to be spun exactly is owed
and paid together with others. A debt per target would be lost whenever the target stops being
called, and with many targets most of the dose goes that way.
"""

from __future__ import annotations

from _thread import _local
from _weakref import ref
from time import monotonic_ns, process_time_ns, thread_time_ns

from . import spin
from .debts import Debts
from .live import give_way
from .naming import is_python, known_by_id, raised_here
from .parts import Part, Target
from .tracker import FLOOR_NS, PROGRESS_CPU_NS, SIGNIFICANT_NS, SMALL_INT, WRAP
from .waits import follows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType
    from typing import Any

    from .parts import Site
    from .plan import ByState
    from .tracker import DelaySpec, EventNs, NativeAnswer, Visit, Window


_GIL = 3
"""Index of ``gil_ns`` among a target's counters; the other states follow."""

_WANTED, _TAKEN = 4, 5
"""Counters of the process: numbers of stills."""


class _Local(_local):
    """Apart from what is in it: each look at a thread's own attributes takes long."""

    def __init__(self) -> None:
        self.debts = Debts()


class Delayer:
    """Delays the targets that ``resolve`` names, and counts what it delivered."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], DelaySpec | None],
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
        event_ns: EventNs,
        native: Callable[[object], NativeAnswer] | None = None,
        everywhere: bool = False,
    ) -> None:
        self._natives = native
        self._everywhere = everywhere
        self._known_natives: dict[int, Target] = {}
        """By slot: those that are delayed wherever they are called."""
        self._counters = counters
        self._resolve = resolve
        self._on_error = on_error
        self._disable = disable
        self._open_ns, self._close_ns = window
        self._entry_ns, self._site_ns, self._wide_ns, self._pay_ns, *line_ns = event_ns
        self._line_ns = line_ns[0] if line_ns else self._site_ns
        self.inside_ns: int | None = None
        """What of ``event_ns`` the tracker's clock sees: where it is known, a callback is counted
        as the rest and what it takes this time. In Python it is not always the same, and a delay
        takes a while to be paid."""
        self._targets: dict[int, tuple[ref[CodeType], Target | None]] = {}
        self._local = _Local()
        self._switches = 0
        self._lowest = self._highest = 0
        """Counters in use: what a still copies."""

    def start(self, code: CodeType, offset: int) -> object:
        """PY_START."""
        since = monotonic_ns()
        try:
            known = self._targets.get(id(code))
            if known is None:
                target = self._meet(code)
            else:
                target = known[1]
            if target is None:
                return self._disable
            own = target.parts[0]
            if not (own.base or target.progress or target.waits):
                return self._disable  # only what it calls, or lines in it, are targets
            if target.waits:
                self._local.debts.waits.drop(target)
            if not self._in_window():
                return None
            if target.progress:
                self._progress(target.progress)
            if own.delayed:
                event_ns = self._entry_ns
                if target.progress:  # its callback comes also while nothing is delayed
                    since, event_ns = monotonic_ns(), self.inside_ns or 0
                self._called(target, event_ns, since)
            give_way(self._counters)
        except Exception as error:
            self._failed(error)
        return None

    def resume(self, code: CodeType, offset: int) -> object:
        """PY_RESUME."""
        since = monotonic_ns()
        try:
            known = self._targets.get(id(code))
            if known is None or known[1] is None or known[1].resume is None:
                return self._disable
            if known[1].waits:
                self._local.debts.waits.drop(known[1])
            own = known[1].parts[0]
            if own.delayed and self._in_window():
                event_ns = self._entry_ns + (offset > SMALL_INT) * self._wide_ns
                self._visit(known[1], own, known[1].resume, event_ns, since)
        except Exception as error:
            self._failed(error)
        return None

    def throw(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_THROW."""
        self.resume(code, offset)

    def call(self, code: CodeType, offset: int, function: object, arg0: object) -> object:
        """CALL."""
        if self._natives is None:
            return self._site(code, offset)
        since = monotonic_ns()
        try:
            known = self._targets.get(id(code))
            target = known[1] if known else self._meet(code) if self._everywhere else None
            there = target.sites.get(offset, ()) if target else ()
            if target is None or not (there or self._everywhere):
                return self._disable
            number = 0
            if not is_python(function):
                number = self._call_native(function, offset, since)
            if there and target.delayed and self._in_window():
                event_ns = self._site_ns + (offset > SMALL_INT) * self._wide_ns
                idle = self._visit_all(target, there, number, event_ns, since)
                return self._disable if idle and not self._everywhere else None
        except Exception as error:
            self._failed(error)
        return None

    def line(self, code: CodeType, line: int) -> object:
        """LINE."""
        since = monotonic_ns()
        try:
            known = self._targets.get(id(code))
            there = known[1].lines.get(line) if known and known[1] else None
            if known is None or known[1] is None or there is None:
                return self._disable
            if known[1].delayed and self._in_window():
                event_ns = self._line_ns + (line > SMALL_INT) * self._wide_ns
                idle = self._visit_all(known[1], there, 0, event_ns, since)
                return self._disable if idle else None
        except Exception as error:
            self._failed(error)
        return None

    def jump(self, code: CodeType, offset: int, destination: int) -> object:
        """JUMP."""
        if destination >= offset:
            return self._disable
        return self._site(code, offset, destination > SMALL_INT)

    def yield_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_YIELD."""
        return self._leave(code, offset)

    def return_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_RETURN."""
        return self._leave(code, offset)

    def meet(self, code: CodeType, offset: int = 0) -> object:
        """Ask what the code is."""
        try:
            if id(code) not in self._targets:
                self._meet(code)
        except Exception as error:
            self._failed(error)
        return self._disable

    def switch(self, changes: list[tuple[CodeType, int, ByState]]) -> None:
        """Other doses."""
        for code, part, dose in changes:
            known = self._targets.get(id(code))
            if known is not None and known[1] is not None:
                known[1].multiply(part, dose)
        self._switches += 1

    def forked(self, counters: memoryview[int]) -> None:
        """In a forked child."""
        self._counters = counters
        self._local = _Local()

    def _leave(self, code: CodeType, offset: int) -> object:
        """The end of a wait, where one is measured, and a site."""
        known = self._targets.get(id(code))
        if known is None or known[1] is None or not known[1].waits:
            return self._site(code, offset)
        try:
            self._current_debts().waits.end(known[1])
        except Exception as error:
            self._failed(error)
        self._site(code, offset)
        return None

    def _site(self, code: CodeType, offset: int, wide: bool = False) -> object:
        """``wide``: whether there is another number to tell than the offset, above `SMALL_INT`."""
        since = monotonic_ns()
        try:
            known = self._targets.get(id(code))
            if known is None or known[1] is None:
                return self._disable
            there = known[1].sites.get(offset)
            if there is None:
                return self._disable
            if known[1].delayed and self._in_window():
                event_ns = self._site_ns + ((offset > SMALL_INT) + wide) * self._wide_ns
                idle = self._visit_all(known[1], there, 0, event_ns, since)
                return self._disable if idle else None
        except Exception as error:
            self._failed(error)
        return None

    def _meet(self, code: CodeType) -> Target | None:
        spec = self._resolve(code, None)
        target = None if spec is None else Target(spec)
        if target is not None:
            for part in target.parts:
                self._use(part.base)
            self._use(target.progress)
        key = id(code)
        known = (known_by_id(code, self._targets), target)
        return self._targets.setdefault(key, known)[1]

    def _use(self, slot: int) -> None:
        if slot:
            self._lowest = min(self._lowest, slot) or slot
            self._highest = max(self._highest, slot)

    def _progress(self, at: int) -> None:
        counters = self._counters
        now = monotonic_ns()
        wanted = counters[_WANTED]
        still = wanted != counters[_TAKEN]
        counters[at] += 1
        counters[at + 3] = (counters[at + 3] + now) % WRAP
        counters[at + 6] = counters[at + 6] or now
        if still or now - counters[at + 2] > PROGRESS_CPU_NS:
            counters[at + 1] = process_time_ns()
            counters[at + 2] = now
        counters[at + 7] = now
        self._count_own(at, now, still)
        if still and counters[_TAKEN] != wanted:
            half, begin, end = len(counters) // 2, self._lowest, self._highest + 8
            if end <= half:
                counters[half + begin : half + end] = counters[begin:end]
                counters[_TAKEN] = wanted

    def _count_own(self, at: int, now: int, still: bool) -> None:
        """The CPU time of this thread since it did the last unit."""
        debts = self._current_debts()
        if still or now - debts.unit_at_ns > PROGRESS_CPU_NS:
            own = thread_time_ns() - debts.spun_ns
            if debts.unit_at_ns:
                counters = self._counters
                counters[at + 4] = (counters[at + 4] + own - debts.unit_own_ns) % WRAP
            debts.unit_at_ns, debts.unit_own_ns = now, own

    def _current_debts(self) -> Debts:
        debts = self._local.debts
        if debts.switches != self._switches:
            debts.forgive(self._switches)
        return debts

    def _called(self, target: Target, event_ns: int, since: int) -> None:
        """A call of the function, or of the native callable, that the target is."""
        own = target.parts[0]
        self._counters[own.base] += 1
        target.seen += 1
        due = target.seen % target.every == 0
        self._visit(target, own, target.entry if due else None, event_ns, since)

    def _call_native(self, function: object, offset: int, since: int) -> int:
        """The number of a native callable; where that is a target by itself, it is called."""
        if self._natives is None:
            return 0
        _, number, spec = self._natives(function)
        if spec is not None:
            target = self._known_natives.get(spec[0])
            if target is None:
                target = self._known_natives[spec[0]] = Target(spec)
                self._use(target.parts[0].base)
            if target.parts[0].delayed and self._in_window():
                event_ns = self._site_ns + (offset > SMALL_INT) * self._wide_ns
                self._called(target, event_ns, since)
        return number

    def _visit_all(
        self, target: Target, there: Sequence[Site], number: int, event_ns: int, since: int
    ) -> bool:
        """All visits of a place that are for a call of the native callable, or for any. Returns
        whether it is of no use while other parts of the code are delayed."""
        for visit, part, counts in there:
            if part.native in (0, number):
                self._counters[part.base] += counts and part.delayed
                self._visit(target, part, visit, event_ns, since)
                event_ns, since = 0, 0  # one callback costs once
        return not any(part.delayed or follows(visit) for visit, part, _ in there)

    def _visit(
        self, target: Target, part: Part, visit: Visit | None, event_ns: int, since: int
    ) -> None:
        debts = self._current_debts()
        paying = 0
        if visit is not None and part.delayed:
            dose = part.dose
            if visit[0] > 0.0:
                paying += self._owe(target, part, 0, max(0.0, visit[0] * dose[0] - event_ns))
            if visit[1] > 0.0:
                paying += self._owe(target, part, 1, visit[1] * dose[1])
            if target.waits and follows(visit):
                debts.waits.end(target)
                expected = debts.waits.expect(id(visit), visit)
                paying += self._owe(target, part, 2, expected * dose[2])
                debts.waits.begin(id(visit), target)
            elif visit[2] > 0.0:
                paying += self._owe(target, part, 2, visit[2] * dose[2])
        elif visit is not None and target.waits and follows(visit):
            debts.waits.end(target)
        if self.inside_ns is not None and since:
            took = monotonic_ns() - since - paying
            # More is somebody else's turn: a callback is Python code as any other.
            event_ns += min(took, SIGNIFICANT_NS) - self.inside_ns
        counters = self._counters
        base = part.base if part.delayed else target.bearer.base
        counters[base + _GIL] += event_ns
        counters[base + 2] += event_ns
        debts.spun_ns += event_ns

    def _owe(self, target: Target, part: Part, state: int, ns: float) -> int:
        """Add to the debt; pay it when it has reached the floor. Returns for how long it paid."""
        debts = self._local.debts
        debts.owed[state] = debt = debts.owed[state] + ns
        if debt < FLOOR_NS[state] and not (target.fixed and debt > 0):
            return 0
        began = monotonic_ns()
        delivered = _PAY[state](max(debt - self._pay_ns, 0.0)) + self._pay_ns
        now = monotonic_ns()
        debts.owed[state] -= delivered
        debts.spun_ns += 0 if state == 2 else delivered
        counters = self._counters
        base = part.base
        counters[base + 1] += 1
        counters[base + 2] += delivered
        counters[base + _GIL + state] += delivered
        counters[base + 6] = counters[base + 6] or now
        counters[base + 7] = now
        return now - began

    def _in_window(self) -> bool:
        if self._open_ns:
            if monotonic_ns() < self._open_ns:
                return False
            self._open_ns = 0
        return not self._close_ns or monotonic_ns() < self._close_ns

    def _failed(self, error: Exception) -> None:
        if not raised_here(error):
            raise error
        self._on_error(error)


_PAY = (spin.spin_gil, spin.spin_nogil, spin.wait)
