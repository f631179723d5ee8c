"""Discover mode in Python: the twin of ``_core.Observer``. See `injector.tracker.Observer`.

A shadow stack per thread says whose time is running. Time is cut into *segments*: stretches of one
frame's own time between two events. Each event reads the clock when it comes and again before it
goes, so that most of the cost of watching falls between segments; what is left of it is corrected
by the reader, from the counts of calls, callees and events.

**Which state.** A segment under 20 µs was CPU time holding the GIL. From there on the thread's CPU
clock says how much of it was CPU, measured from its last reading, all shorter segments in between
having been CPU. The rest is *waiting* if a native call was running; in pure Python it was the GIL
or the processor that was missing, and is dropped. In code that is not armed nobody knows, and it
counts as waiting. CPU in a native call counts as ``nogil`` where `released` said so; what such a
call lacked, up to the switch interval, was the GIL on its way back, and is dropped too.

**Arming.** Code with 20 µs of own time in one activation, and 1 µs on the average of all so far (so
that one preempted call of a tiny function does not count), is armed: CALL and JUMP are switched on
in it. Code that is never armed has all its time in its entry.

**Which site**, in armed code. CPU goes to the site that *ends* it: the CALL of a Python callee, the
CALL of a native call that takes 20 µs or more, a yield, a return, or any CALL or back-edge once
20 µs have gathered. Before that it runs on. Waiting goes to the *anchor*, the first site at or
after the last significant happening: entry or resume, a Python callee that returned, a back-edge,
20 µs of CPU charged, a previous wait. So a delay sits where something that becomes ready meanwhile
will absorb it exactly if it would have absorbed the wait that the delay stands for.

Invariant: a frame that was running before the tracker, or whose events were lost, is passed over;
the stack finds its level again at the next event of a frame it knows.
"""

from __future__ import annotations

from _thread import _local, get_ident
from _weakref import ref
from time import monotonic_ns, thread_time_ns
from types import FunctionType, MethodType

from .delayer import raised_here
from .tracker import SIGNIFICANT_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .tracker import Look, ObserveSpec, Window

_PYTHON_CALLABLES = (FunctionType, MethodType)
_NEVER_NS = 1 << 62
_GIL, _NOGIL, _WAIT, _CALLEES, _EVENTS, _FIRST, _LAST = range(1, 8)

_TINY_NS = 1_000
"""Mean own time of an activation below which code is not armed, whatever one activation took."""

_SWITCH_NS = 5_500_000
"""A little more than the interpreter's switch interval."""

_DENSE_NS = 1_000
_DENSE_VISITS = 1_024
_PAUSE_NS = 100_000
"""A longer one between two visits of a call is not its loop's."""
_GIVEN_UP = 4
"""A back-edge this frequent, this often seen, is given up for one around it."""


class _Site:
    """One place of armed code."""

    __slots__ = (
        *("base", "destination", "keeps", "last_ns"),
        *("nogil", "offset", "span_ns", "visits"),
    )

    def __init__(self, slot: int, offset: int, destination: int = -1) -> None:
        self.base = 8 * slot
        self.offset = offset
        self.destination = destination
        """Of a back-edge; -1 for other sites."""
        self.nogil = False
        self.span_ns = 0
        self.visits = 0
        self.last_ns = 0
        self.keeps = False
        """A call that was seen to take long, or to call Python: never given up."""


class _Code:
    """What is known about one code object."""

    __slots__ = (
        *("activations", "armed", "base", "code", "edges", "own"),
        *("progress", "sites", "slot"),
    )

    def __init__(self, spec: ObserveSpec, code: ref[CodeType]) -> None:
        self.slot, progress, self.armed = spec
        self.base = 8 * self.slot
        self.progress = 8 * progress
        self.activations = 0
        self.own = 0
        """Own time so far, all threads, inside the window or not; no longer kept once armed."""
        self.code = code
        self.sites: dict[int, _Site] = {}
        """By offset; entry and resume under `_ENTRY` and `_RESUME`."""
        self.edges: dict[int, int] = {}
        """Index of the edge's counter by the callee's slot."""


_ENTRY, _RESUME = -1, -2


class _Frame:
    """One activation on the shadow stack."""

    __slots__ = (
        "anchor",
        "call",
        "code",
        "last",
        "native",
        "own",
        "pend_gil",
        "pend_nogil",
        "start",
    )

    def __init__(self, code: _Code, anchor: int) -> None:
        self.code = code
        self.anchor: int | None = anchor
        """Key in `_Code.sites` of the site to charge the next wait to; None: not passed yet."""
        self.last = anchor
        """Offset of the site passed last."""
        self.call: _Site | None = None
        """The CALL that is being carried out."""
        self.native = False
        """Whether that is a native call."""
        self.own = 0
        self.pend_gil = 0
        self.pend_nogil = 0
        """CPU time that has not met its site yet."""
        self.start = 0
        """When the running segment began; meaningful for the top of the stack."""


class _Thread:
    """One thread's stack and its last readings of both clocks."""

    __slots__ = ("base", "clock", "cpu", "stack", "wall")

    def __init__(self, slot: int) -> None:
        self.base = 8 * slot
        self.stack: list[_Frame] = []
        self.clock = _own_cpu_clock()
        self.mark(monotonic_ns())

    def mark(self, now: int) -> None:
        """Read the CPU clock: from ``now`` on, CPU time is measured against this."""
        self.cpu = thread_time_ns()
        self.wall = now


class _Local(_local):
    thread: _Thread | None = None


class Observer:
    """Counts calls and own time by state and site, of everything ``resolve`` names."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], ObserveSpec | None],
        site: Callable[[int, str, int], int],
        edge: Callable[[int, int], int],
        thread: Callable[[int], int],
        arm: Callable[[CodeType], None],
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
    ) -> None:
        self._counters = counters
        self._resolve = resolve
        self._name_site = site
        self._name_edge = edge
        self._name_thread = thread
        self._arm_events = arm
        self._on_error = on_error
        self._disable = disable
        self._open_ns = window[0]
        self._close_ns = window[1] or _NEVER_NS
        self._codes: dict[int, tuple[ref[CodeType], _Code | None]] = {}
        self._local = _Local()
        self._threads: dict[int, _Thread] = {}

    # The events.

    def start(self, code: CodeType, offset: int) -> object:
        """PY_START."""
        now = monotonic_ns()
        try:
            known = self._codes.get(id(code))
            here = self._meet(code) if known is None else known[1]
            if here is None:
                return self._disable
            here.activations += 1
            thread = self._enter(here, _ENTRY, now)
            counters = self._counters
            if self._open_ns <= now < self._close_ns:
                base = here.base
                counters[base] += 1
                counters[base + _FIRST] = counters[base + _FIRST] or now
                counters[base + _LAST] = now
                if here.progress:
                    at = here.progress
                    counters[at] += 1
                    counters[at + 6] = counters[at + 6] or now
                    counters[at + 7] = now
                if len(thread.stack) > 1:
                    self._count_edge(thread.stack[-2].code, here.slot)
            thread.stack[-1].start = monotonic_ns()
        except Exception as error:
            self._failed(error)
        return None

    def resume(self, code: CodeType, offset: int) -> object:
        """PY_RESUME."""
        now = monotonic_ns()
        try:
            known = self._codes.get(id(code))
            here = self._meet(code) if known is None else known[1]
            if here is None:
                return self._disable
            thread = self._enter(here, _RESUME, now)
            thread.stack[-1].start = monotonic_ns()
        except Exception as error:
            self._failed(error)
        return None

    def throw(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_THROW."""
        self.resume(code, offset)

    def call(self, code: CodeType, offset: int, function: object, arg0: object) -> object:
        """CALL."""
        now = monotonic_ns()
        try:
            thread = self._local.thread
            frame = self._top(thread, code)
            if thread is None or frame is None:
                return None
            self._close(thread, frame, now)
            site = self._pass(frame, "call", offset, now)
            if frame.pend_gil + frame.pend_nogil >= SIGNIFICANT_NS:
                self._charge(frame, site, now)
                frame.anchor = None
            if frame.anchor is None:
                frame.anchor = offset
            frame.call = site
            frame.native = type(function) not in _PYTHON_CALLABLES
            given_up = self._give_up_call(site, frame.native, now)
            frame.start = monotonic_ns()
            if given_up:
                return self._disable
        except Exception as error:
            self._failed(error)
        return None

    def native_return(self, code: CodeType, offset: int, function: object, arg0: object) -> None:
        """C_RETURN and C_RAISE."""
        now = monotonic_ns()
        try:
            thread = self._local.thread
            frame = self._top(thread, code)
            if thread is None or frame is None or frame.call is None:
                return
            if self._close(thread, frame, now) >= SIGNIFICANT_NS:
                self._charge(frame, frame.call, now)
                frame.anchor = None
                frame.call.keeps = True
            frame.call = None
            frame.native = False
            self._count_event(frame.code, now)
            frame.start = monotonic_ns()
        except Exception as error:
            self._failed(error)

    def jump(self, code: CodeType, offset: int, destination: int) -> object:
        """JUMP."""
        if destination >= offset:
            return self._disable
        now = monotonic_ns()
        try:
            thread = self._local.thread
            frame = self._top(thread, code)
            if thread is None or frame is None:
                return None
            frame.call = None
            frame.native = False
            wall = self._close(thread, frame, now)
            site = self._pass(frame, "jump", offset, now, destination)
            if frame.pend_gil + frame.pend_nogil >= SIGNIFICANT_NS:
                self._charge(frame, site, now)
            frame.anchor = offset
            site.span_ns += wall
            site.visits += 1
            if site.visits % _DENSE_VISITS == 0 and self._give_up(frame.code, site):
                frame.start = monotonic_ns()
                return self._disable
            frame.start = monotonic_ns()
        except Exception as error:
            self._failed(error)
        return None

    def yield_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_YIELD."""
        return self._leave(code, "yield", offset)

    def return_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_RETURN."""
        return self._leave(code, "return", offset)

    def unwind(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_UNWIND."""
        self._leave(code, None, offset)

    # Asked from outside.

    def look(self) -> list[Look]:
        """What every thread with a frame is doing now."""
        now = monotonic_ns()
        looks = []
        for thread in list(self._threads.values()):
            frame = thread.stack[-1] if thread.stack else None
            code = None if frame is None else frame.code.code()
            if frame is not None and code is not None and frame.start:
                call = frame.call
                offset = call.offset if call is not None and frame.native else -1
                looks.append((thread.clock, code, now - frame.start, offset))
        return looks

    def arm(self, code: CodeType) -> None:
        """Arm code from outside."""
        known = self._codes.get(id(code))
        if known is not None and known[1] is not None:
            self._arm(known[1])

    def released(self, code: CodeType, offset: int) -> None:
        """The native call at this place computes without the GIL."""
        known = self._codes.get(id(code))
        site = known[1].sites.get(offset) if known is not None and known[1] is not None else None
        if site is not None:
            site.nogil = True

    def forked(self, counters: memoryview[int]) -> None:
        """In a forked child."""
        self._counters = counters
        self._threads.clear()
        thread = self._local.thread
        if thread is None:
            return
        self._threads[get_ident()] = thread
        now = monotonic_ns()
        thread.mark(now)
        thread.clock = _own_cpu_clock()
        for frame in thread.stack:
            frame.own = frame.pend_gil = frame.pend_nogil = 0
            frame.start = now
        if thread.stack:
            thread.base = 8 * self._name_thread(thread.stack[0].code.slot)

    # The stack.

    def _meet(self, code: CodeType) -> _Code | None:
        spec = self._resolve(code, None)
        key = id(code)
        # The code must not be kept alive by being known, and its id not outlive it.
        forget = self._codes.pop
        reference = ref(code, lambda _: forget(key, None) and None)
        here = None if spec is None else _Code(spec, reference)
        self._codes[key] = (reference, here)
        if here is not None and here.armed:
            self._arm_events(code)
        return here

    def _enter(self, here: _Code, anchor: int, now: int) -> _Thread:
        thread = self._local.thread
        if thread is None:
            thread = self._local.thread = _Thread(self._name_thread(here.slot))
            self._threads[get_ident()] = thread
        stack = thread.stack
        if stack:
            caller = stack[-1]
            self._close(thread, caller, now)
            if caller.call is not None:
                self._charge(caller, caller.call, now)
            if self._open_ns <= now < self._close_ns:
                self._counters[caller.code.base + _CALLEES] += 1
        else:
            thread.mark(now)
        stack.append(_Frame(here, anchor))
        if here.armed:
            self._visit(self._site(here, "entry" if anchor == _ENTRY else "resume", anchor), now)
        return thread

    def _leave(self, code: CodeType, at: str | None, offset: int) -> object:
        """Close and pop the frame; ``at`` None is an exception that leaves it."""
        now = monotonic_ns()
        try:
            known = self._codes.get(id(code))
            if known is None:
                return None
            here = known[1]
            if here is None:
                return self._disable if at is not None else None
            thread = self._local.thread
            frame = self._top(thread, code)
            if thread is None or frame is None:
                return None
            self._close(thread, frame, now)
            if here.armed:
                if at is not None:
                    site = self._pass(frame, at, offset, now)
                else:
                    kind = "entry" if frame.last == _ENTRY else "resume"
                    site = self._site(here, kind, frame.last)
                self._charge(frame, site, now)
            stack = thread.stack
            caller = stack[-2] if len(stack) > 1 else None
            if caller is not None:
                caller.anchor = None
                if not caller.native:
                    caller.call = None
                caller.start = now  # before it is the top, for whoever looks from another thread
            stack.pop()
            if caller is not None:
                caller.start = monotonic_ns()
        except Exception as error:
            self._failed(error)
        return None

    def _top(self, thread: _Thread | None, code: CodeType) -> _Frame | None:
        """This thread's frame of ``code``; frames above it whose end was not seen are dropped."""
        if thread is None or not thread.stack:
            return None
        stack = thread.stack
        if stack[-1].code.code() is code:
            return stack[-1]
        for at in range(len(stack) - 2, -1, -1):
            if stack[at].code.code() is code:
                del stack[at + 1 :]
                stack[at].start = monotonic_ns()
                thread.mark(stack[at].start)
                return stack[at]
        return None

    # Time.

    def _close(self, thread: _Thread, frame: _Frame, now: int) -> int:
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
            elif here.armed or wait < SIGNIFICANT_NS:
                wait = 0
        frame.own += gil + nogil + wait
        if here.armed:
            frame.pend_gil += gil
            frame.pend_nogil += nogil
            if wait:
                self._charge_wait(frame, wait, now)
        else:
            here.own += gil + nogil + wait
            if frame.own >= SIGNIFICANT_NS and here.own >= _TINY_NS * here.activations:
                self._arm(here)
        if self._open_ns <= now < self._close_ns:
            counters = self._counters
            counters[here.base + _GIL] += gil
            counters[thread.base] += gil
            if wait or nogil:
                counters[here.base + _NOGIL] += nogil
                counters[here.base + _WAIT] += wait
                counters[thread.base + 2] += nogil
                counters[thread.base + 3] += wait
        return wall

    def _charge(self, frame: _Frame, site: _Site, now: int) -> None:
        """Give the CPU time that has gathered to ``site``."""
        if self._open_ns <= now < self._close_ns:
            self._counters[site.base + _GIL] += frame.pend_gil
            self._counters[site.base + _NOGIL] += frame.pend_nogil
        frame.pend_gil = frame.pend_nogil = 0

    def _charge_wait(self, frame: _Frame, wait: int, now: int) -> None:
        site = frame.call
        if frame.anchor is not None:
            kind = "resume" if frame.anchor == _RESUME else "entry"
            site = self._site(frame.code, kind, frame.anchor)
        if site is not None and self._open_ns <= now < self._close_ns:
            self._counters[site.base + _WAIT] += wait
        frame.anchor = None

    # Sites and counts.

    def _site(self, here: _Code, at: str, offset: int, destination: int = -1) -> _Site:
        """The site at ``offset``; ``at`` matters only for one not seen before."""
        site = here.sites.get(offset)
        if site is None:
            slot = self._name_site(here.slot, at, max(offset, -1))
            site = here.sites[offset] = _Site(slot, offset, destination)
        return site

    def _pass(self, frame: _Frame, at: str, offset: int, now: int, destination: int = -1) -> _Site:
        """Count a visit of a site inside the function."""
        site = self._site(frame.code, at, offset, destination)
        self._visit(site, now)
        self._count_event(frame.code, now)
        frame.last = offset
        return site

    def _visit(self, site: _Site, now: int) -> None:
        if self._open_ns <= now < self._close_ns:
            self._counters[site.base] += 1

    def _count_event(self, here: _Code, now: int) -> None:
        if self._open_ns <= now < self._close_ns:
            self._counters[here.base + _EVENTS] += 1

    def _count_edge(self, caller: _Code, callee: int) -> None:
        at = caller.edges.get(callee)
        if at is None:
            at = caller.edges[callee] = 8 * self._name_edge(caller.slot, callee)
        self._counters[at] += 1

    def _arm(self, here: _Code) -> None:
        code = here.code()
        if not here.armed and code is not None:
            here.armed = True
            self._arm_events(code)

    def _give_up(self, here: _Code, site: _Site) -> bool:
        """Whether a back-edge is too dense to be a site; its charges go to one around it."""
        if site.span_ns >= _DENSE_NS * site.visits:
            return False
        for outer in here.sites.values():
            if outer.offset > site.offset and 0 <= outer.destination <= site.destination:
                counters = self._counters
                for state in (_GIL, _NOGIL, _WAIT):
                    counters[outer.base + state] += counters[site.base + state]
                    counters[site.base + state] = 0
                counters[site.base + _GIVEN_UP] = 1
                return True
        return False

    def _give_up_call(self, site: _Site, native: bool, now: int) -> bool:
        """Whether a call is so dense, and never of weight, that watching it tells nothing."""
        if site.keeps or not native:
            site.keeps = True
            return False
        site.span_ns += min(now - site.last_ns, _PAUSE_NS)
        site.last_ns = now
        site.visits += 1
        if site.visits % _DENSE_VISITS or site.span_ns >= _DENSE_NS * site.visits:
            return False
        self._counters[site.base + _GIVEN_UP] = 1
        return True

    def _failed(self, error: Exception) -> None:
        if not raised_here(error):
            raise error
        self._on_error(error)


def _own_cpu_clock() -> int:
    """The clock id under which other threads can read this thread's CPU time; 0: none."""
    try:
        from time import pthread_getcpuclockid
    except ImportError:
        return 0
    return pthread_getcpuclockid(get_ident())
