"""Whose time it was, in which state, at which site: the bookkeeping under an Observer.

The rules stand in `injector.observer`. Invariant: what a function is charged in all states is the
sum of its segments less what was dropped, and its sites are never charged more than it was.
"""

from __future__ import annotations

from .shadow import LINES, RESUME, Code, Frame, Site, Thread
from .tracker import SIGNIFICANT_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from .tracker import NativeAnswer, Window

_NEVER_NS = 1 << 62
GIL, NOGIL, WAIT, CALLEES, EVENTS, FIRST, LAST = range(1, 8)
"""Counters of a function; the first three are those of a site, too."""
_GIVEN_UP, NATIVE = 4, 5
"""Further ones of a site: whether it was given up; what native code it has called."""

NATIVE_CODE = 2
"""Any. (1 is plain native code only, which the core tells apart on 3.11.)"""
_SHORT_CALLS = 8
_SHORT_NS = 50_000_000
"""Own time of a call that need not be cut by its loops."""

_TINY_NS = 1_000
"""Mean own time of an activation below which code is not armed, whatever one activation took."""

_APART = 20
"""CPU time before a wait is something beside it from this part of it on; less is the way to it."""

_SWITCH_NS = 5_500_000
"""A little more than the interpreter's switch interval."""

_DENSE_NS = 1_000
_DENSE_VISITS = 1_024
"""A back-edge this frequent, this often seen, is given up for one around it; so is a call,"""
_LONG = 256
"""unless one of so many takes long: any may, where another thread comes in between."""

_PAUSE_NS = 100_000
"""A longer one between two visits of a call is not its loop's."""


class Charging:
    """Counts segments, visits, events and edges; `injector.observer.Observer` says when."""

    def __init__(
        self,
        counters: memoryview[int],
        site: Callable[..., int],
        edge: Callable[[int, int], int],
        arm: Callable[[CodeType], None] | None,
        window: Window,
        native: Callable[[object], NativeAnswer] | None,
    ) -> None:
        self._natives = native
        self._counters = counters
        self._name_site = site
        self._name_edge = edge
        self._arm_events = arm
        self.dense_ns = _DENSE_NS
        """Back-edges and small native calls closer together than this are given up. Higher where
        to watch each costs more, and stretches a loop by what the tracker cannot see: the way into
        a Python callback."""
        self._open_ns = window[0]
        self._close_ns = window[1] or _NEVER_NS

    def _close(self, thread: Thread, frame: Frame, now: int) -> int:
        """End the running segment: classify it, count it for the function, return its length."""
        wall = max(0, now - frame.start)
        here = frame.code
        gil, nogil, wait = wall, 0, 0
        if wall >= SIGNIFICANT_NS:
            before, since = thread.cpu, thread.wall
            thread.mark(now)
            cpu = min(max(0, thread.cpu - before - (frame.start - since)), wall)
            gil, wait = cpu, wall - cpu
            if frame.native and frame.call is not None:
                if frame.call.nogil:
                    gil, nogil = 0, cpu
                    if wait < _SWITCH_NS:
                        wait = 0
                elif self._open_ns <= now < self._close_ns:
                    (frame.callee or frame.call).native_ns += cpu
            elif here.armed or wait < SIGNIFICANT_NS:
                wait = 0
        if frame.callee is not None:  # the waiting is its caller's
            if self._open_ns <= now < self._close_ns:
                self._count(frame.callee.base, gil, nogil, 0)
                self._count(frame.callee.native, gil, nogil, 0)
                self._count_thread(thread, gil, nogil, 0)
            gil = nogil = 0
        frame.own += gil + nogil + wait
        if here.armed:
            frame.pend_gil += gil
            frame.pend_nogil += nogil
            frame.since += gil + nogil
            if wait:
                self._charge_wait(frame, wait, now)
        else:
            here.own += gil + nogil + wait
            if frame.own >= SIGNIFICANT_NS and here.own >= _TINY_NS * here.activations:
                self._arm(here)
        if self._open_ns <= now < self._close_ns:
            self._count(here.base, gil, nogil, wait)
            self._count_thread(thread, gil, nogil, wait)
        return wall

    def _count(self, base: int, gil: int, nogil: int, wait: int) -> None:
        """Of a function, a native callable, or a site."""
        counters = self._counters
        counters[base + GIL] += gil
        if wait or nogil:
            counters[base + NOGIL] += nogil
            counters[base + WAIT] += wait

    def _count_thread(self, thread: Thread, gil: int, nogil: int, wait: int) -> None:
        counters = self._counters
        counters[thread.base] += gil
        if wait or nogil:
            counters[thread.base + 2] += nogil
            counters[thread.base + 3] += wait

    def _charge(self, frame: Frame, site: Site, now: int) -> None:
        """Give the CPU time that has gathered to ``site``."""
        if self._open_ns <= now < self._close_ns:
            self._counters[site.base + GIL] += frame.pend_gil
            self._counters[site.base + NOGIL] += frame.pend_nogil
        frame.pend_gil = frame.pend_nogil = 0

    def _recount(self, here: Code, site: Site) -> None:
        """Move to nogil what a site's native calls were counted as before it was known better."""
        counters = self._counters
        for base in (site.base, site.native or here.base):
            moved = min(site.native_ns, counters[base + GIL])
            counters[base + GIL] -= moved
            counters[base + NOGIL] += moved
        site.native_ns = 0
        for callee in site.callees.values():
            self._recount(here, callee)

    def _charge_wait(self, frame: Frame, wait: int, now: int) -> None:
        site = frame.call
        if frame.anchor is not None:
            place = frame.anchor
            if frame.later is not None and frame.between * _APART >= wait:
                place = frame.later
            site = self._site(frame.code, "resume" if place == RESUME else "entry", place)
        if site is not None and self._open_ns <= now < self._close_ns:
            self._counters[site.base + WAIT] += wait
        frame.anchor = None

    def _site(self, here: Code, at: str, offset: int, destination: int = -1) -> Site:
        """The site at ``offset``; ``at`` matters only for one not seen before."""
        site = here.sites.get(offset)
        if site is None:
            where = LINES - offset if offset <= LINES else max(offset, -1)
            slot = self._name_site(here.slot, at, where)
            site = here.sites[offset] = Site(slot, offset, destination)
        return site

    def _pass(self, frame: Frame, at: str, offset: int, now: int, destination: int = -1) -> Site:
        """Count a visit of a site inside the function."""
        site = self._site(frame.code, at, offset, destination)
        self._visit(site, now)
        self._count_event(frame.code, now)
        frame.last = offset
        return site

    def _callee(self, frame: Frame, call: Site, function: object, now: int) -> Site | None:
        """The call as a place of the native callable that is called, if that is a target."""
        slot = self._natives(function)[1] if self._natives is not None else 0
        if not slot:
            return None
        callee = call.callees.get(slot)
        if callee is None:
            own = self._name_site(frame.code.slot, "call", call.offset, slot)
            callee = call.callees[slot] = Site(own, call.offset)
            callee.native = 8 * slot
        if self._open_ns <= now < self._close_ns:
            counters, base = self._counters, callee.native
            counters[base] += 1
            counters[base + EVENTS] += 1
            counters[base + FIRST] = counters[base + FIRST] or now
            counters[base + LAST] = now
            counters[callee.base] += 1
            self._count_edge(frame.code, slot)
        return callee

    @staticmethod
    def _go_on_in_line(frame: Frame, code: CodeType, offset: int) -> None:
        """A generator goes on in the middle of a line."""
        line = next((line for begin, end, line in code.co_lines() if begin <= offset < end), None)
        site = frame.code.sites.get(LINES - line) if line is not None else None
        if site is not None:
            frame.line = site
            frame.set_anchor(site.offset)

    def _visit(self, site: Site, now: int) -> None:
        if self._open_ns <= now < self._close_ns:
            self._counters[site.base] += 1

    def _count_event(self, here: Code, now: int) -> None:
        if self._open_ns <= now < self._close_ns:
            self._counters[here.base + EVENTS] += 1

    def _count_edge(self, caller: Code, callee: int) -> None:
        at = caller.edges.get(callee)
        if at is None:
            at = caller.edges[callee] = 8 * self._name_edge(caller.slot, callee)
        self._counters[at] += 1

    def _arm(self, here: Code) -> None:
        code = here.code()
        if not here.armed and code is not None and self._arm_events is not None:
            here.armed = True
            self._arm_events(code)

    def _give_up_edge(self, here: Code, site: Site, wall: int) -> bool:
        """Whether a back-edge is too dense to be a site; its charges go to one around it."""
        site.span_ns += wall
        site.visits += 1
        if site.visits % _DENSE_VISITS or site.span_ns >= self.dense_ns * site.visits:
            return False
        for outer in here.sites.values():
            if outer.offset > site.offset and 0 <= outer.destination <= site.destination:
                counters = self._counters
                for state in (GIL, NOGIL, WAIT):
                    counters[outer.base + state] += counters[site.base + state]
                    counters[site.base + state] = 0
                counters[site.base + _GIVEN_UP] = 1
                return True
        # No loop around it; but a function that is called often and is short has its return.
        calls = self._counters[here.base]
        if calls < _SHORT_CALLS or self._counters[here.base + GIL] >= calls * _SHORT_NS:
            return False
        self._counters[site.base + _GIVEN_UP] = 1
        return True

    def _give_up_call(self, site: Site, native: bool, now: int) -> bool:
        """Whether a call is so dense, and hardly ever of weight, that watching it tells nothing."""
        if site.python or not native:
            site.python = True
            return False
        site.span_ns += min(now - site.last_ns, _PAUSE_NS)
        site.last_ns = now
        site.visits += 1
        if site.visits % _DENSE_VISITS or site.span_ns >= self.dense_ns * site.visits:
            return False
        if site.long * _LONG >= site.visits:
            return False
        for same in (site, *site.callees.values()):
            self._counters[same.base + _GIVEN_UP] = 1
        return True
