"""Discover mode in Python: the twin of ``_core.Observer``. See `injector.tracker.Observer`.

A shadow stack per thread says whose time is running. Time is cut into *segments*: stretches of one
frame's own time between two events. Each event reads the clock when it comes and again before it
goes, so that most of the cost of watching falls between segments; what is left of it is corrected
by the reader, from the counts of calls, callees and events.

**Which state.** A segment under 20 µs was CPU time holding the GIL. From there on the thread's CPU
clock says how much of it was CPU, measured from its last reading, all shorter segments in between
having been CPU. The rest is *waiting* if a native call was running; in pure Python it was the GIL
or the processor that was missing, and is dropped. In code that is not armed nobody knows, and it
counts as waiting. CPU in a native call counts as ``nogil`` where `released` said so, also what was
counted as ``gil`` before it did; what such a call lacked, up to the switch interval, was the GIL on
its way back, and is dropped too. Where native callables are targets, their CPU time is theirs; the
waiting in them stays their caller's, since what it waits for, and since when, is in its code.

**Arming.** Code with 20 µs of own time in one activation, and 1 µs on the average of all so far (so
that one preempted call of a tiny function does not count), is armed: CALL and JUMP are switched on
in it. Code that is never armed has all its time in its entry.

**Which site**, in armed code. CPU goes to the site that *ends* it: the CALL of a Python callee, the
CALL of a native call that takes 20 µs or more, a yield, a return, or any CALL or back-edge once
20 µs have gathered. Before that it runs on. Waiting goes to the *anchor*, the first site at or
after the last significant happening: entry or resume, a Python callee that returned, a back-edge,
20 µs of CPU since the last anchor, if they are a twentieth of the wait, a previous wait. So a delay
sits where something that becomes ready meanwhile will absorb it exactly if it would have absorbed
the wait that it stands for.

Invariant: a frame that was running before the tracker, or whose events were lost, is passed over;
the stack finds its level again at the next event of a frame it knows.
"""

from __future__ import annotations

from _thread import _local, get_ident
from _weakref import ref
from time import monotonic_ns

from .charging import CALLEES, FIRST, LAST, NATIVE, NATIVE_CODE, Charging
from .live import give_way
from .naming import is_python, known_by_id, raised_here
from .shadow import ENTRY, LINES, RESUME, Code, Frame, Thread, own_cpu_clock
from .tracker import SIGNIFICANT_NS, WRAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from .tracker import Look, NativeAnswer, ObserveSpec, Window

_INSIDE = 1
"""Counter of a thread."""


class _Local(_local):
    thread: Thread | None = None


class Observer(Charging):
    """Counts calls and own time by state and site, of everything ``resolve`` names."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], ObserveSpec | None],
        site: Callable[..., int],
        edge: Callable[[int, int], int],
        thread: Callable[[int], int],
        arm: Callable[[CodeType], None] | None,
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
        native: Callable[[object], NativeAnswer] | None = None,
        lines: bool = False,
    ) -> None:
        super().__init__(counters, site, edge, arm, window, native)
        self._lines = lines
        self._resolve = resolve
        self._name_thread = thread
        self._on_error = on_error
        self._disable = disable
        self._codes: dict[int, tuple[ref[CodeType], Code | None]] = {}
        self._local = _Local()
        self._threads: dict[int, Thread] = {}

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
            thread = self._enter(here, ENTRY, now)
            counters = self._counters
            if self._open_ns <= now < self._close_ns:
                base = here.base
                counters[base] += 1
                counters[base + FIRST] = counters[base + FIRST] or now
                counters[base + LAST] = now
                if here.progress:
                    at = here.progress
                    counters[at] += 1
                    counters[at + 3] = (counters[at + 3] + now) % WRAP
                    counters[at + 6] = counters[at + 6] or now
                    counters[at + 7] = now
                if len(thread.stack) > 1:
                    self._count_edge(thread.stack[-2].code, here.slot)
            give_way(counters)
            self._begin(thread, thread.stack[-1], now)
        except Exception as error:
            self._failed(error)
        return None

    def resume(self, code: CodeType, offset: int) -> object:
        """PYRESUME."""
        now = monotonic_ns()
        try:
            known = self._codes.get(id(code))
            here = self._meet(code) if known is None else known[1]
            if here is None:
                return self._disable
            thread = self._enter(here, RESUME, now)
            if self._lines and here.armed:
                self._go_on_in_line(thread.stack[-1], code, offset)
            self._begin(thread, thread.stack[-1], now)
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
            running = self._running(code)
            if running is None:
                return None
            thread, frame = running
            self._close(thread, frame, now)
            site = self._pass(frame, "call", offset, now)
            if frame.pend_gil + frame.pend_nogil >= SIGNIFICANT_NS:
                self._charge(frame, site, now)
            if frame.anchor is None:
                frame.set_anchor(offset)
            elif frame.since >= SIGNIFICANT_NS:
                frame.later = offset
                frame.between += frame.since
                frame.since = 0
            frame.call = site
            frame.native = not is_python(function)
            frame.callee = self._callee(frame, site, function, now) if frame.native else None
            if frame.native and self._open_ns <= now < self._close_ns:
                self._counters[site.base + NATIVE] = NATIVE_CODE
            given_up = self._give_up_call(site, frame.native, now - thread.inside)
            self._begin(thread, frame, now)
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
                frame.call.long += 1
            if frame.callee is None:  # else it is counted as that one's
                self._count_event(frame.code, now)
            frame.rest()
            self._begin(thread, frame, now)
        except Exception as error:
            self._failed(error)

    def jump(self, code: CodeType, offset: int, destination: int) -> object:
        """JUMP."""
        if destination >= offset:
            return self._disable
        now = monotonic_ns()
        try:
            running = self._running(code)
            if running is None:
                return None
            thread, frame = running
            frame.rest()
            wall = self._close(thread, frame, now)
            site = self._pass(frame, "jump", offset, now, destination)
            if frame.pend_gil + frame.pend_nogil >= SIGNIFICANT_NS:
                self._charge(frame, site, now)
            frame.set_anchor(offset)
            given_up = not self._lines and self._give_up_edge(frame.code, site, wall)
            self._begin(thread, frame, now)
            if given_up:
                return self._disable
        except Exception as error:
            self._failed(error)
        return None

    def line(self, code: CodeType, line: int) -> object:
        """LINE."""
        now = monotonic_ns()
        try:
            running = self._running(code)
            if running is None:
                return None
            thread, frame = running
            frame.rest()
            self._close(thread, frame, now)
            if frame.line is not None:  # else it is the way to the first
                self._charge(frame, frame.line, now)
            frame.line = self._pass(frame, "line", LINES - line, now)
            frame.set_anchor(LINES - line)
            self._begin(thread, frame, now)
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
        here = None if known is None else known[1]
        site = None if here is None else here.sites.get(offset)
        if here is not None and site is not None and not site.nogil:
            site.nogil = True
            self._recount(here, site)

    def forked(self, counters: memoryview[int]) -> None:
        """In a forked child."""
        self._counters = counters
        for _, here in self._codes.values():
            for site in here.sites.values() if here is not None else ():
                site.native_ns = 0
        self._threads.clear()
        thread = self._local.thread
        if thread is None:
            return
        self._threads[get_ident()] = thread
        now = monotonic_ns()
        thread.mark(now)
        thread.clock = own_cpu_clock()
        for frame in thread.stack:
            frame.own = frame.pend_gil = frame.pend_nogil = 0
            frame.start = now
        if thread.stack:
            thread.base = 8 * self._name_thread(thread.stack[0].code.slot)

    # The stack.

    def _meet(self, code: CodeType) -> Code | None:
        spec = self._resolve(code, None)
        key = id(code)
        reference = known_by_id(code, self._codes)
        here = None if spec is None else Code(spec, reference)
        here = self._codes.setdefault(key, (reference, here))[1]
        if here is not None and here.armed:
            here.armed = False
            self._arm(here)
        return here

    def _enter(self, here: Code, anchor: int, now: int) -> Thread:
        thread = self._local.thread
        if thread is None:
            thread = self._local.thread = Thread(self._name_thread(here.slot))
            self._threads[get_ident()] = thread
        stack = thread.stack
        if stack:
            caller = stack[-1]
            self._close(thread, caller, now)
            if caller.call is not None:
                self._charge(caller, caller.call, now)
            if self._open_ns <= now < self._close_ns:
                base = caller.code.base if caller.callee is None else caller.callee.native
                self._counters[base + CALLEES] += 1
        else:
            thread.mark(now)
        stack.append(Frame(here, anchor))
        if here.armed:
            self._visit(self._site(here, "entry" if anchor == ENTRY else "resume", anchor), now)
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
            running = self._running(code)
            if running is None:
                return None
            thread, frame = running
            self._close(thread, frame, now)
            if here.armed:
                if at is not None:
                    site = self._pass(frame, at, offset, now)
                else:
                    kind = "entry" if frame.last == ENTRY else "resume"
                    site = self._site(here, kind, frame.last)
                self._charge(frame, site, now)
            stack = thread.stack
            caller = stack[-2] if len(stack) > 1 else None
            if caller is not None:
                caller.anchor = None
                if not caller.native:
                    caller.rest()
                caller.start = now  # before it is the top, for whoever looks from another thread
            stack.pop()
            if caller is not None:
                self._begin(thread, caller, now)
        except Exception as error:
            self._failed(error)
        return None

    def _begin(self, thread: Thread, frame: Frame, since: int) -> None:
        """The event that came at ``since`` is over; the running segment of ``frame`` begins."""
        now = monotonic_ns()
        took = now - since
        thread.inside += took
        if self._open_ns <= now < self._close_ns:
            # More is somebody else's turn: an event is Python code as any other.
            self._counters[thread.base + _INSIDE] += min(took, SIGNIFICANT_NS)
        frame.start = now

    def _running(self, code: CodeType) -> tuple[Thread, Frame] | None:
        """This thread and its frame of ``code``, if it was seen to begin."""
        thread = self._local.thread
        frame = self._top(thread, code)
        return None if thread is None or frame is None else (thread, frame)

    def _top(self, thread: Thread | None, code: CodeType) -> Frame | None:
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

    def _failed(self, error: Exception) -> None:
        if not raised_here(error):
            raise error
        self._on_error(error)
