"""What a real run showed: modules, functions, calls and own time. Plain data, made by the executor.

Invariant: times are already corrected for the cost of watching, per unit of work, and summed over
the lanes (threads) of all processes; so `Function.own_s` over all functions may exceed the time
per unit of a program that overlaps work. The tree, the doses and every prior of the search are
made from this and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from bisector.counted import Kind

SLOWED_BY_SITES = ("frame_eval",)
"""Backends that slow a function's own bytecode down while they find out where its time is spent,
and hardly at all where they are not asked to."""

SLOWED = ("profile",)
"""Backends that always do."""

MOST_DISTURBED = 4.0
"""Times by which processors are slower or faster than usual at most."""

MOST_SLOWED = 5.0
"""Times by which being watched slows bytecode at most: what looks worse is chance."""

DOUBT = 0.25
"""Share of a run's CPU time that watching takes at which what it costs is told as well by the run
as by what was measured beforehand, on processors that were faster or slower then."""

MARKEDLY = 1.1
"""What is slower by more than this is worth a warning."""


@dataclass(frozen=True, slots=True)
class SiteProfile:
    """Own time charged to one place of a function (see `injector.plan.Site` for ``at`` and
    ``offset``).

    Seconds per *visit*, by state. ``given_up``: so dense that it was not watched to the end;
    ``visits`` is then too small by far, and no delay may be placed there.
    """

    at: str
    offset: int
    visits: float
    gil_s: float
    nogil_s: float
    wait_s: float
    given_up: bool = False
    native: bool = False
    """Whether native code has been called there."""
    plain: bool = False
    """Whether all of it only computes and touches nothing but its arguments."""


@dataclass(frozen=True, slots=True)
class CodeProfile:
    """One code object of a function, or of another that a finer target lies in: its first line and
    its sites."""

    line: int
    sites: tuple[SiteProfile, ...]
    of: str = ""
    """The target of that code, where it is not the function itself: a native callable is called in
    other code, and a line is a piece of it."""
    slowed: float = 0.0
    """Share of its CPU time holding the GIL that is added to it while its native calls are seen."""

    @property
    def spent_s(self) -> tuple[float, float, float]:
        """In the whole run, by state: gil, nogil, wait."""
        return (
            sum(site.visits * site.gil_s for site in self.sites),
            sum(site.visits * site.nogil_s for site in self.sites),
            sum(site.visits * site.wait_s for site in self.sites),
        )


@dataclass(frozen=True, slots=True)
class Function:
    """One target: everything that shares ``module:qualname``, over all processes and threads; a
    Python function, or, where they are looked for, a native callable (which has no file) or a line.

    ``calls``, ``gil_s``, ``nogil_s`` and ``wait_s`` are per unit of work, in the measurement
    window.
    """

    target: str
    file: str
    line: int
    calls: float
    gil_s: float
    nogil_s: float
    wait_s: float
    codes: tuple[CodeProfile, ...] = ()
    calls_total: float = 0.0
    """Calls in the whole discovery run, outside the window too (not per unit)."""
    processes: tuple[str, ...] = ()
    """Names of the processes it ran in (``main``, ``child 1`` ...)."""
    kind: Kind = "function"
    unresolved: str | None = None
    """Why its dose cannot be placed faithfully (for example: 3.11 without line events), or None."""

    @property
    def name(self) -> tuple[str, str]:
        """Module and qualified name."""
        module, _, qualname = self.target.rpartition(":")
        return module, qualname

    @property
    def own_per_call_s(self) -> float:
        """Own time of one call, all states, over the whole run: what a dose of 1 adds per call."""
        total = sum(sum(code.spent_s) for code in self.codes)
        if total > 0.0 and self.calls_total > 0.0:
            return total / self.calls_total
        return self.own_s / self.calls if self.calls > 0.0 else 0.0

    @property
    def own_s(self) -> float:
        """Own time per unit, all states."""
        return self.gil_s + self.nogil_s + self.wait_s

    def computing(self) -> Function:
        """The same function with its waiting left out."""
        sites = (site for code in self.codes for site in code.sites)
        if self.wait_s == 0.0 and all(site.wait_s == 0.0 for site in sites):
            return self
        codes = tuple(
            replace(code, sites=tuple(replace(site, wait_s=0.0) for site in code.sites))
            for code in self.codes
        )
        return replace(self, wait_s=0.0, codes=codes)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The module tree's raw material. ``imports``: (importer, imported) pairs, first importer only.

    ``calls_between``: (caller target, callee target, calls per unit). ``window_s`` is the
    measurement window the rates were taken in and ``units`` the units of work in it.
    """

    functions: tuple[Function, ...]
    imports: tuple[tuple[str, str], ...] = ()
    calls_between: tuple[tuple[str, str, float], ...] = ()
    modules: tuple[str, ...] = ()
    window_s: float = 0.0
    units: float = 0.0
    processes: int = 0
    lanes: int = 0
    """Threads in which anything ran, over all processes; 0 where unknown."""
    gil_s: float = 0.0
    nogil_s: float = 0.0
    """Own time of all functions in the whole run, or window, not per unit."""
    watching_s: float = 0.0
    """CPU time that watching itself took, by what its events cost."""
    cpu_units: float = 1.0
    """What that is for, as `bisector.observations.RunObserved.units` counts: one run, or units."""
    usual_cpu_s: float | None = None
    """CPU seconds as `RunObserved.own_cpu_s` says them, while nobody watches, on processors as fast
    as those that own times are for; None where unknown."""
    cores: int = 0
    """Processors the benchmark may use; 0 where unknown."""
    callback_s: float = 0.0
    """What a callback at a place costs by itself while it is delayed; 0 where unknown."""
    callbacks: float = 1.0
    """Times by which callbacks cost what they did when that was measured."""
    backend: str = ""
    compiled: bool = False
    sites: bool = True
    """Whether it says where in functions time is spent; if not, how much is all it says."""
    warnings: tuple[str, ...] = field(default=())

    @property
    def is_of_window(self) -> bool:
        """Whether it is of a part of a run, and not of a whole one."""
        return self.cpu_units != 1.0

    @property
    def time_per_unit_s(self) -> float:
        """While it was made."""
        return self.window_s / max(self.units, 1e-12)


def unwatched(discovery: Discovery, time_per_unit_s: float, cpu_s: float | None) -> Discovery:
    """The same with own CPU times as they are while nobody watches.

    Args:
        time_per_unit_s: of undelayed runs.
        cpu_s: CPU seconds of all processes in an undelayed run (or unit, if discovery was of a
            window); None where unknown.

    Averages leave some of what watching costs in own times, and processors may have been slow. But
    all of them together take no more CPU time than an undelayed run does (or a window, which
    `at_speed` sees to), and one lane spends no more time than passes. Without the compiled part on
    3.11 bytecode itself runs slower, some of it three times and some not at all, so that no one
    factor would be right: there a warning says by how much the sum is too large. CPU time that
    native code alone would fill is not that of all processes, and says nothing.
    """
    cpu_s = None if cpu_s is None else cpu_s * discovery.cpu_units
    functions, excess = discovery.functions, 1.0
    if discovery.backend in SLOWED:
        discovery = replace(discovery, usual_cpu_s=None, warnings=_with_warning(discovery, cpu_s))
    elif discovery.usual_cpu_s is None and cpu_s and cpu_s > discovery.nogil_s:
        excess = max(excess, (discovery.gil_s + discovery.nogil_s) / cpu_s)
    room_s = time_per_unit_s - sum(f.wait_s for f in functions)
    if discovery.lanes == 1 and room_s > 0.0:
        excess = max(excess, sum(f.gil_s + f.nogil_s for f in functions) / room_s)
    faster = 1.0 / min(excess, MOST_DISTURBED)
    usual_cpu_s = discovery.usual_cpu_s and discovery.usual_cpu_s * faster
    return replace(slowed(discovery, faster), usual_cpu_s=usual_cpu_s)


def _with_warning(discovery: Discovery, cpu_s: float | None) -> tuple[str, ...]:
    """The warnings, with how much slower code runs while it is watched, if that is much."""
    if cpu_s is None or cpu_s <= discovery.nogil_s:
        return discovery.warnings
    slower = discovery.gil_s / (cpu_s - discovery.nogil_s)
    if slower <= MARKEDLY:
        return discovery.warnings
    return (
        *discovery.warnings,
        f"code runs {slower:.1f} times slower while it is watched (on average; single functions "
        "between 1 and 3 times): own times and gains of code that computes are too large by as "
        "much, throughput drops are not; a compiler when installing, or Python 3.12 or later, "
        "avoids it",
    )


def callbacks_by(discovery: Discovery, cpu_s: float | None, usual_s: float | None) -> float:
    """Times by which callbacks cost what they did when that was measured, which may have been in a
    moment of slow processors: read from what a discovery run took more than others.

    Args:
        cpu_s: CPU seconds of all processes in the run it was made in; None where unknown.
        usual_s: of runs in which nobody watches; None likewise.
    """
    slows = discovery.backend in (*SLOWED, *SLOWED_BY_SITES)
    if slows or not cpu_s or not usual_s or discovery.watching_s <= 0.0:
        return 1.0
    seen = (cpu_s - usual_s) / discovery.watching_s
    trust = 1.0 / (1.0 + (DOUBT * usual_s / discovery.watching_s) ** 2)
    return min(max(1.0 + trust * (seen - 1.0), 1.0 / MOST_DISTURBED), MOST_DISTURBED)


def at_speed(discovery: Discovery, cpu_s: float | None, usual_s: float | None) -> Discovery:
    """The same with own CPU times as they are when processors are as fast as usual: discovery is
    short, and may fall into a moment when they are not.

    Args:
        cpu_s: CPU seconds of all processes while it was made; None where unknown.
        usual_s: CPU seconds per unit while nobody watches and nothing is delayed; None likewise.
    """
    if cpu_s is None or usual_s is None:
        return discovery
    # What watching costs takes longer on slow processors as well.
    foreseen_s = usual_s * discovery.cpu_units + discovery.watching_s
    factor = foreseen_s / max(cpu_s, 1e-9)
    together_s = discovery.gil_s + discovery.nogil_s
    if together_s > 0.0:  # which is no more than all CPU time
        factor = min(factor, usual_s * discovery.cpu_units / together_s)
    return slowed(discovery, min(max(factor, 1.0 / MOST_DISTURBED), MOST_DISTURBED))


def slowed(discovery: Discovery, slower: float) -> Discovery:
    """The same with own times as they are on processors so many times slower."""
    if slower == 1.0:
        return discovery
    return replace(
        discovery,
        functions=_with_cpu(discovery, lambda target, line: (slower, slower)),
        gil_s=slower * discovery.gil_s,
        nogil_s=slower * discovery.nogil_s,
    )


def needs_bare(found: Discovery) -> bool:
    """Whether a run that does not look for places is to say what it says of times: not where native
    callables are targets, whose time is then their callers'."""
    natives = any(function.kind == "native" for function in found.functions)
    return found.backend in SLOWED_BY_SITES and not natives


def timed_by(placed: Discovery, bare: Discovery) -> Discovery:
    """What one run says of places, with the CPU times of a run that did not look for them.

    Looking slows bytecode. Code that computes without the GIL for most of its time is not slowed by
    it, but the other run may have had faster or slower processors; what of its time holds the GIL
    is timed by the average of the rest.
    """
    known = {function.target: function for function in bare.functions}
    cpu_s: dict[tuple[str, int], float] = {}
    """By the other run, of as many calls."""
    for function in placed.functions:
        other = known.get(function.target)
        if other and other.calls_total > 0.0 and function.calls_total > 0.0:
            calls = function.calls_total / other.calls_total
            cpu_s |= {(other.target, c.line): sum(c.spent_s[:2]) * calls for c in other.codes}
    factors: dict[tuple[str, int], float] = {}
    native: dict[tuple[str, int], tuple[float, float]] = {}
    timed_s, was_s = 0.0, 0.0
    for function in placed.functions:
        for code in function.codes:
            key = function.target, code.line
            gil_s, nogil_s, _ = code.spent_s
            if key in cpu_s and gil_s > nogil_s:
                factor = (cpu_s[key] - nogil_s) / gil_s
                factors[key] = factor = min(1.0, max(1.0 / MOST_SLOWED, factor))
                timed_s += factor * gil_s
                was_s += gil_s
            elif key in cpu_s and nogil_s > 0.0:
                native[key] = gil_s, nogil_s
    average = timed_s / was_s if was_s > 0.0 else 1.0
    speeds = {
        key: min(
            max((cpu_s[key] - average * gil_s) / nogil_s, 1.0 / MOST_DISTURBED), MOST_DISTURBED
        )
        for key, (gil_s, nogil_s) in native.items()
    }
    functions = tuple(
        replace(
            function,
            codes=tuple(
                replace(code, slowed=1.0 / factors.get((function.target, code.line), average) - 1.0)
                for code in function.codes
            ),
        )
        for function in _with_cpu(
            placed, lambda *key: (factors.get(key, average), speeds.get(key, 1.0))
        )
    )
    nogil_s = placed.nogil_s + sum(
        (speeds[key] - 1.0) * was_s for key, (_, was_s) in native.items()
    )
    taken_s = (bare.gil_s + bare.nogil_s) * placed.cpu_units / bare.cpu_units
    return replace(
        placed,
        functions=functions,
        gil_s=max(taken_s - nogil_s, 0.0),
        nogil_s=nogil_s,
        usual_cpu_s=bare.usual_cpu_s,
    )


def _with_cpu(
    discovery: Discovery, factors: Callable[[str, int], tuple[float, float]]
) -> tuple[Function, ...]:
    """The functions with the CPU time of each piece of code, by its target and first line, times
    factors: of what holds the GIL, and of what does not."""
    return tuple(
        _scaled(function, {c.line: factors(function.target, c.line) for c in function.codes})
        for function in discovery.functions
    )


def _scaled(function: Function, factors: dict[int, tuple[float, float]]) -> Function:
    codes = []
    for code in function.codes:
        gil, nogil = factors[code.line]
        sites = (
            replace(site, gil_s=site.gil_s * gil, nogil_s=site.nogil_s * nogil)
            for site in code.sites
        )
        codes.append(replace(code, sites=tuple(sites)))
    return replace(
        function,
        codes=tuple(codes),
        gil_s=function.gil_s * _ratio(codes, function.codes, 0),
        nogil_s=function.nogil_s * _ratio(codes, function.codes, 1),
    )


def _ratio(codes: Iterable[CodeProfile], before: Iterable[CodeProfile], state: int) -> float:
    was_s = sum(code.spent_s[state] for code in before)
    return sum(code.spent_s[state] for code in codes) / was_s if was_s > 0.0 else 1.0
