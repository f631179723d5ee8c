"""What a tracker is: the object that gets the events of running code. One contract, two languages.

A tracker's methods are registered *directly* as `sys.monitoring` callbacks, with no Python in
between, so their signatures are those of the events; the profile backend calls the same methods
with the same arguments. `injector.delayer` and `injector.observer` are the Python twins;
`injector._core` has classes of the same names in C. Both run through the same tests.

What both may rely on, and must keep:

* No exception of the tracker's own reaches the target: it goes to ``on_error``. One that a signal
  handler raised while the tracker was running is the target's, and passes.
* ``counters`` is the ledger's array: slot *i* at index ``8 * i`` (64 bits unsigned), meanings in
  `injector.ledger.COUNTERS`.
* ``window`` is ``(open_ns, close_ns)`` on the monotonic clock, 0 for no bound. Outside it nothing
  is counted and nothing is delayed; the observer keeps its stacks and arms code all the same.
* ``disable`` is what a callback returns to switch its event off at that place
  (``sys.monitoring.DISABLE``, None on 3.11). `throw`, `unwind` and `native_return` cannot be
  switched off and always return None.
* ``resolve(code, globals)`` is called once for each code object, at its first event of any kind
  that starts it, and its answer is cached for the life of the code object. ``globals`` may be None:
  `resolve` then looks for the running frame of ``code`` itself. It switches on the local events
  that the code needs (they take effect in the same activation: measured on 3.12.1 and 3.13.0).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, Protocol, TypeAlias

    from .plan import ByState

    Window: TypeAlias = tuple[int, int]
    EventNs: TypeAlias = tuple[int, int, int, int] | tuple[int, int, int, int, int]
    Visit: TypeAlias = tuple[float, float, float, float]
    """The delays at a site: ns to add to the debts at a dose of 1, in the order of `STATES`, and a
    share. What the callback costs is taken off ``gil`` when it comes, never below zero. With a
    share the ns of a wait follow the waits seen: see `injector.waits`."""
    PartSpec: TypeAlias = tuple[int, int, dict[int, Visit] | None, dict[int, Visit] | None, ByState]
    """A finer target: (slot, number of the native callable or 0, sites by offset, sites by line,
    dose). Sites of a native callable are visited by its own calls only; each of them, and each
    visit of a line, counts as a call."""
    DelaySpec: TypeAlias = tuple[
        int,
        int,
        int,
        bool,
        Visit | None,
        Visit | None,
        dict[int, Visit] | None,
        ByState,
        tuple[PartSpec, ...],
    ]
    """(slot of the target or 0, slot of the progress point or 0, every, fixed, entry, resume,
    sites by offset, dose, parts). ``every``: only each Nth call of the function adds its entry
    visit. ``fixed``: the debt is paid at once, whatever the floor (the classic method). ``dose``:
    what delays are multiplied by, in each state, until `Delayer.switch` says otherwise; this and
    the parts may be left out, and the dose is 1 in all states then."""
    NativeAnswer: TypeAlias = tuple[int, int, DelaySpec | None]
    """What is known of a native callable: (how to remember it, as `injector.natives` says it;
    number, 0 for no target; what it is wherever it is called, or None)."""
    ObserveSpec: TypeAlias = tuple[int, int, bool]
    """(slot of the function, slot of the progress point or 0, armed from the start)."""
    Look: TypeAlias = tuple[int, CodeType, int, int]
    """(CPU clock id of the thread, code of its top frame, ns its running segment has lasted, offset
    of the native call it is in or -1)."""
else:
    Protocol = object

STATES = ("gil", "nogil", "wait")
"""Index = the number of the state in every interface; also the order of the counters."""

NOTHING: ByState = (0.0, 0.0, 0.0)
AS_PLANNED: ByState = (1.0, 1.0, 1.0)
"""What delays are multiplied by, in each state."""

FLOOR_NS = (1_500, 5_000, 100_000)
"""A debt is paid when it reaches this, by state: what spinning and sleeping can deliver exactly."""

PROGRESS_CPU_NS = 50_000
"""The CPU clock is not read more often than this, however often the progress point is called."""

WRAP = 1 << 64
"""Counters are modulo this."""

SMALL_INT = 256
"""The largest offset that is there already when `sys.monitoring` is to tell it."""

SIGNIFICANT_NS = 20_000
"""A stretch of own time from which on it is worth reading the CPU clock, and of being charged."""


class Delayer(Protocol):
    """Delay mode. Built as
    ``Delayer(counters, resolve, on_error, disable, window, event_ns, native, everywhere)``.

    ``native(callable)`` says what a native callable is; None: they are no targets. With
    ``everywhere`` every call in any code is looked at, else only those at sites.

    ``event_ns`` is ``(entry, site, wide, pay[, line])``: what one callback costs, whole ns (at
    a line ``line``, where that is given), and what one payment does beyond what it spends.
    Every callback of a target inside the window (start and resume: entry; at a site: site; and
    wide for each offset above `SMALL_INT`, which the interpreter makes anew each time) adds it
    to ``gil_ns`` and ``delayed_ns``, whether or not it carries a delay; but the entry of a
    progress point, which is watched in any case, adds nothing. `start` counts the call; at a
    progress point it notes when it came, the CPU time of the process, and that of the thread
    without delays, and copies the counters in use where a still is wanted (`injector.ledger`).

    A visit, for each state with ns: ``debt[thread][state] += ns * dose[state]`` (for ``gil``
    less ``event_ns``); when the debt is at least the floor (or ``fixed`` and positive) all of
    it is paid by `injector.spin`, less ``pay``, and ``debt -= delivered``, as measured and with
    ``pay``, so that overshoot evens out. A place where nothing is delayed disables itself while
    other parts of the code are; what its callback costs is counted for the first of those. Each
    payment: delays += 1, ``<state>_ns`` and ``delayed_ns`` += delivered, ``first_ns`` (if 0)
    and ``last_ns`` = now, on the part that pays.
    """

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
    ) -> None: ...

    def start(self, code: CodeType, offset: int) -> object:
        """PY_START: a call. Disables itself for code that is no target (spec None)."""

    def resume(self, code: CodeType, offset: int) -> object:
        """PY_RESUME: the ``resume`` visit."""

    def throw(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_THROW: a resume too."""

    def call(self, code: CodeType, offset: int, function: object, arg0: object) -> object:
        """CALL: the site's visits; disables itself where there is no site."""

    def line(self, code: CodeType, line: int) -> object:
        """LINE: the line's visits; disables itself where there are none."""

    def jump(self, code: CodeType, offset: int, destination: int) -> object:
        """JUMP: as `call`, and only backwards."""

    def yield_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_YIELD: as `call`; stays on where a wait is measured."""

    def return_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_RETURN: as `yield_`."""

    def meet(self, code: CodeType, offset: int = 0) -> object:
        """PY_START where targets are watched one by one: asks what the code is, and disables
        itself."""

    def switch(self, changes: list[tuple[CodeType, int, ByState]]) -> None:
        """Other doses for parts of these targets from now on (part 0 is the function itself, others
        follow as in its spec); all debts are forgiven. Where all are 0 a part is neither delayed
        nor counted; a progress point is counted all the same."""

    def forked(self, counters: memoryview[int]) -> None:
        """In a forked child: other counters from now on, no debts."""


class Observer(Protocol):
    """Discover mode. Built as
    ``Observer(counters, resolve, site, edge, thread, arm, on_error, disable, window, native,
    lines)``.

    Called back, once each, for what must be named: ``site(function slot, at, offset)``, and with
    the slot of a native callable for a place where that is called,
    ``edge(caller slot, callee slot)`` and ``thread(function slot)`` return the slot to count in
    (never 0: what has none is counted in `injector.ledger.SPARE`); ``arm(code)`` switches on CALL
    and JUMP for the code, and LINE if there is to be any; where it is None no code is ever armed.
    ``native`` says what a native callable is, its number being the slot of its own time; None: that
    is its caller's. ``lines``: whether LINE is told. The rules of charging stand in
    `injector.observer`.
    """

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
    ) -> None: ...

    def start(self, code: CodeType, offset: int) -> object:
        """PY_START: push, count the call. Disables itself for code that is not recorded."""

    def resume(self, code: CodeType, offset: int) -> object:
        """PY_RESUME: push; no call."""

    def throw(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_THROW: push; no call."""

    def call(self, code: CodeType, offset: int, function: object, arg0: object) -> object:
        """CALL, on armed code."""

    def native_return(self, code: CodeType, offset: int, function: object, arg0: object) -> None:
        """C_RETURN and C_RAISE, on armed code: a native call is over."""

    def jump(self, code: CodeType, offset: int, destination: int) -> object:
        """JUMP, on armed code; disables itself for jumps forward and for dense inner back-edges."""

    def line(self, code: CodeType, line: int) -> object:
        """LINE, on armed code: the CPU time so far is that of the line before."""

    def yield_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_YIELD: pop."""

    def return_(self, code: CodeType, offset: int, value: object) -> object:
        """PY_RETURN: pop."""

    def unwind(self, code: CodeType, offset: int, error: BaseException) -> None:
        """PY_UNWIND: pop."""

    def look(self) -> list[Look]:
        """What every thread with a frame is doing now; for `injector.gilprobe`."""

    def arm(self, code: CodeType) -> None:
        """Arm code from outside (it has been running long without an event)."""

    def released(self, code: CodeType, offset: int) -> None:
        """The native call at this place was seen computing without the GIL: its CPU is nogil."""

    def forked(self, counters: memoryview[int]) -> None:
        """In a forked child: other counters, this thread's stack only, its segments from now."""
