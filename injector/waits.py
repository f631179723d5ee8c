"""How long the waits of a thread last, so that each can be made longer by a share of itself.

A delay before a wait stands for a longer wait only if there is one: before a call that finds what
it wants ready it would hold up what was never held up. Many functions wait on some visits only (a
message's header, not its body), or longer in one process than in another, so an average says
little. What a visit will do is foretold from the visits of the same site in the same thread that
came after the same four outcomes (a branch predictor's idea: Yeh and Patt 1991): if the last two
of those waited, the mean of the recent ones times the share is added before it; else nothing.

Until a site has been visited twice in a thread, the plan's delay is used. A wait lasts from the
site's visit (its delay paid) to the next such site of the same function or the function's end,
less the thread's CPU time. The compiled twin is ``core/waits.c``.
"""

from __future__ import annotations

from time import monotonic_ns, thread_time_ns

from .tracker import SIGNIFICANT_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tracker import Visit

LEAST_NS = 5_000.0
"""Delays that are planned smaller than this are not worth two readings of the CPU clock."""

FORGET = 0.25
"""Weight of the newest wait in the mean."""

LONGEST = 8.0
"""A foretold delay is at most this many times the planned one."""


class _Seen:
    """The visits of one kind so far."""

    __slots__ = ("mean_ns", "streak", "visits")

    def __init__(self) -> None:
        self.mean_ns = 0.0
        self.visits = 0
        self.streak = 0
        """How many of the last ones waited."""

    def learn(self, ns: float) -> None:
        self.visits += 1
        if ns < SIGNIFICANT_NS:
            self.streak = 0
        else:
            self.mean_ns += (FORGET if self.mean_ns else 1.0) * (ns - self.mean_ns)
            self.streak += 1


class _History:
    """One site in one thread."""

    __slots__ = ("after", "all", "last")

    def __init__(self) -> None:
        self.all = _Seen()
        self.after = [_Seen() for _ in range(16)]
        self.last = 0
        """Which of the last four visits waited, newest in the lowest bit."""


class Waits:
    """Of one thread. A *visit* is `injector.tracker.Visit`; *key* says which site it is."""

    def __init__(self) -> None:
        self._histories: dict[object, _History] = {}
        self._running: _History | None = None
        self._target: object = None
        self._wall_ns = 0
        self._cpu_ns = 0

    def expect(self, key: object, visit: Visit) -> float:
        """Ns to add before the wait that begins now."""
        planned, share = visit[2:]
        history = self._histories.setdefault(key, _History())
        if history.all.visits < 2:
            return planned
        like_this, needed = history.after[history.last], 2
        if like_this.visits < 2:
            like_this, needed = history.all, min(history.all.visits, 4)
        ns = share * like_this.mean_ns if like_this.streak >= needed else 0.0
        return min(ns, LONGEST * planned)

    def begin(self, key: object, target: object) -> None:
        """The wait begins: from now on until `end` for the same target, what is not CPU time is
        it."""
        self._running = self._histories.setdefault(key, _History())
        self._target = target
        self._wall_ns = monotonic_ns()
        self._cpu_ns = thread_time_ns()

    def end(self, target: object) -> None:
        """It is over, if one of this target is running."""
        history = self._running
        if history is None or self._target is not target:
            return
        ns = monotonic_ns() - self._wall_ns - (thread_time_ns() - self._cpu_ns)
        history.after[history.last].learn(ns)
        history.all.learn(ns)
        history.last = (history.last << 1 | (ns >= SIGNIFICANT_NS)) % 16
        self._running = None

    def drop(self, target: object = None) -> None:
        """Whatever began, for this target or any, is not to be measured after all."""
        if target is None or self._target is target:
            self._running = None


def follows(visit: Visit | None) -> bool:
    """Whether the wait of a visit follows the waits seen; others are what the plan says."""
    return visit is not None and visit[3] > 0.0 and visit[2] >= LEAST_NS
