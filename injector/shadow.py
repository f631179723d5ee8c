"""What an Observer remembers of running code: code objects, their sites, frames, threads.

Invariant: code is known by its ``id`` and a weak reference; being watched keeps none alive.
"""

from __future__ import annotations

from _thread import get_ident
from time import monotonic_ns, thread_time_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _weakref import ref
    from types import CodeType

    from .tracker import ObserveSpec

ENTRY, RESUME, LINES = -1, -2, -16
"""Keys of sites among a code's: of those two, and of a line that much less its number. All others
go by their offset."""


class Site:
    """One place of armed code."""

    __slots__ = (
        *("base", "callees", "destination", "last_ns", "long", "native", "native_ns"),
        *("nogil", "offset", "python", "span_ns", "visits"),
    )

    def __init__(self, slot: int, offset: int, destination: int = -1) -> None:
        self.base = 8 * slot
        self.offset = offset
        self.callees: dict[int, Site] = {}
        """Of a call: the same place as one of each native callable called there, by slot."""
        self.native = 0
        """Of such a one: index of the native callable's counters."""
        self.destination = destination
        """Of a back-edge; -1 for other sites."""
        self.nogil = False
        self.native_ns = 0
        """CPU time inside its native calls that has been counted as gil."""
        self.span_ns = 0
        self.visits = 0
        self.last_ns = 0
        self.long = 0
        """Native calls that were of weight."""
        self.python = False
        """A call that was seen to call Python: never given up."""


class Code:
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
        self.sites: dict[int, Site] = {}
        """By offset; entry and resume under `ENTRY` and `RESUME`."""
        self.edges: dict[int, int] = {}
        """Index of the edge's counter by the callee's slot."""


class Frame:
    """One activation on the shadow stack."""

    __slots__ = (
        "anchor",
        "between",
        "call",
        "callee",
        "code",
        "last",
        "later",
        "line",
        "native",
        "own",
        "pend_gil",
        "pend_nogil",
        "since",
        "start",
    )

    def set_anchor(self, at: int) -> None:
        """Charge the next wait to this place."""
        self.anchor: int | None = at
        """Key in `Code.sites` of the site to charge the next wait to; None: not passed yet."""
        self.later: int | None = None
        self.between = 0
        """A later place for that, and the CPU time in between."""
        self.since = 0
        """CPU time since either was set."""

    def __init__(self, code: Code, anchor: int) -> None:
        self.code = code
        self.set_anchor(anchor)
        self.last = anchor
        """Offset of the site passed last."""
        self.call: Site | None = None
        """The CALL that is being carried out."""
        self.callee: Site | None = None
        """The same as a place of the native callable that is called."""
        self.line: Site | None = None
        """The line that runs, where lines are told and it is known."""
        self.native = False
        """Whether that is a native call."""
        self.own = 0
        self.pend_gil = 0
        self.pend_nogil = 0
        """CPU time that has not met its site yet."""
        self.start = 0
        """When the running segment began; meaningful for the top of the stack."""

    def rest(self) -> None:
        """No call is being carried out."""
        self.call = None
        self.callee = None
        self.native = False


class Thread:
    """One thread's stack and its last readings of both clocks."""

    __slots__ = ("base", "clock", "cpu", "inside", "stack", "wall")

    def __init__(self, slot: int) -> None:
        self.base = 8 * slot
        self.stack: list[Frame] = []
        self.clock = own_cpu_clock()
        self.inside = 0
        """Nanoseconds spent in events so far: a loop is not slow because it is watched."""
        self.mark(monotonic_ns())

    def mark(self, now: int) -> None:
        """Read the CPU clock: from ``now`` on, CPU time is measured against this."""
        self.cpu = thread_time_ns()
        self.wall = now


def own_cpu_clock() -> int:
    """The clock id under which other threads can read this thread's CPU time; 0: none."""
    try:
        from time import pthread_getcpuclockid
    except ImportError:
        return 0
    return pthread_getcpuclockid(get_ident())
