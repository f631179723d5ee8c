"""From "slow these functions by a quarter" to delays at places: the plan of one run.

Invariant: at dose r every piece of a targeted function is given r times its own time, in the state
it was spent in, at the site discovery charged it to. One r for all functions, whatever lane they
run in. Sites that hold next to nothing are folded into the others of the same state, so that a
function keeps its total while fewer places need a callback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from bisector.observations import RunRequest
from bisector.point import Point
from injector.plan import ByState, Dose, Plan, Site, State

NEGLIGIBLE_SHARE = 0.02
"""Sites with less than this share of a code object's own time are folded into its others."""

MINOR_WAIT = 0.1
"""So are waits at sites with less than this share of the longest wait's: now and then a disturbance
makes a wait look as if it began later in the function than it does. And waits at dense sites are
left out: nothing waits that often, but a call that was interrupted looks as if it had waited."""

LEAST_DOSE = 1e-3
"""What is left of a dose where watching alone is more: code that is not delayed at all is not
watched, and would be given nothing. What it is given then is counted."""

MINOR_WATCHED = 0.1
"""Share of the CPU time that may be given more than its dose by being watched."""

WORTH = 4.0
"""Where a callback costs more than a dose of one in so many, CPU time is put to other places. It
costs some 50 ns; without the compiled part more than a microsecond, and small functions would be
given several times their dose by being watched alone."""

DENSE_S, DENSE_NATIVE_S = 10e-6, 40e-6
"""A site visited more often than once in this much of its code's own time is dense; one that calls
native code, in the other.

A watched call costs more than it is counted for, since the interpreter's fast path for that call is
lost, most of all into native code; that must stay far below the dose.
"""

LONGEST_S = 50e-3
"""CPU time is not gathered into pieces longer than this: it would no longer lie where it was
spent."""


def plan_for(discovery: Discovery | None, request: RunRequest, event_ns: dict[str, float]) -> Plan:
    """The injector's plan for one request.

    ``event_ns``: what one callback costs, in ns, by kind, as it was measured.
    """
    if request.purpose == "discover":
        return Plan(mode="discover", sites=request.sites, event_ns=event_ns)
    if discovery is not None:
        event_ns = {kind: ns * discovery.callbacks for kind, ns in event_ns.items()}
    if request.delay_ns is not None and request.targets:
        return Plan(
            rules=tuple(sorted(request.targets)), delay_ns=request.delay_ns, event_ns=event_ns
        )
    if discovery is None or request.dose <= 0.0 or not request.targets:
        return Plan(event_ns=event_ns)
    doses = [
        dose
        for function in discovery.functions
        if function.target in request.targets
        for dose in doses_of(
            function if request.waits else function.computing(),
            request.dose,
            callback_s=discovery.callback_s,
        )
    ]
    return Plan(doses=tuple(doses), event_ns=event_ns)


@dataclass(frozen=True, slots=True)
class Universe:
    """The plan of a living target: all that may be delayed, at a dose of 1, switched later.

    ``entries`` says by target which doses of the plan are its own: (entry, dose that seeing its
    native calls is by itself, of what computes and holds the GIL). ``is_fixed``: its delays are the
    same for every call, and do not depend on the processors' speed.
    """

    plan: Plan
    entries: Mapping[str, tuple[tuple[int, float], ...]]
    is_fixed: bool = False

    @classmethod
    def of(
        cls,
        discovery: Discovery,
        *,
        waits: bool,
        delay_ns: float | None,
        point: Point,
        event_ns: dict[str, float],
        longest_s: float,
    ) -> Universe:
        """Everything that discovery knows how to delay.

        Args:
            waits: whether waiting is lengthened too.
            delay_ns: the same delay for every call instead, at its entry (the classic method).
            point: the progress point.
            longest_s: CPU time is not gathered into longer pieces, which would fall into one
                window and not into the next.
        """
        doses: list[Dose] = []
        entries: dict[str, list[tuple[int, float]]] = {}
        for known in discovery.functions:
            function = known if waits else known.computing()
            for code in function.codes:
                watching = 0.0
                if delay_ns:
                    sites: tuple[Site, ...] = (Site("entry", -1, "gil", delay_ns),)
                else:
                    placed = _placed(code, longest_s, discovery.callback_s)
                    sites = _sites(placed, 1.0)
                    watching = max(code.slowed, 0.0) if _needs_native_calls(placed) else 0.0
                if sites:
                    entries.setdefault(function.target, []).append((len(doses), watching))
                    doses.append(Dose(function.target, code.line, sites))
        plan = Plan(doses=tuple(doses), live=True, event_ns=event_ns, **point.of_plan())
        own = {target: tuple(of_target) for target, of_target in entries.items()}
        return cls(plan, own, bool(delay_ns))

    def doses(self, targets: Iterable[str], dose: float, slower: float = 1.0) -> dict[int, ByState]:
        """What the entries of the plan are multiplied by when these targets get a dose.

        ``slower``: how many times as long the same work takes by now as when it was discovered;
        what waits goes by the clock.
        """
        computing = dose if self.is_fixed else dose * slower
        return {
            entry: (_left_of(computing, watching * slower), computing, dose)
            for target in targets
            for entry, watching in self.entries.get(target, ())
        }


def slowed_by_watching(
    discovery: Discovery | None,
    request: RunRequest,
    longest_s: float = LONGEST_S,
    slower: float = 1.0,
) -> dict[str, float]:
    """What seeing its native calls adds to a call of each target in this run, in seconds.

    It is part of the dose: the plan asks for that much less. ``slower`` as in `Universe.doses`.
    """
    if discovery is None or request.dose <= 0.0 or request.delay_ns is not None:
        return {}
    slowed = {}
    for function in discovery.functions:
        if function.target in request.targets and function.calls_total > 0.0:
            if not request.waits:
                function = function.computing()
            added_s = sum(
                code.slowed * code.spent_s[0]
                for code in function.codes
                if code.slowed > 0.0 and _is_watched(code, longest_s, discovery.callback_s)
            )
            if added_s > 0.0:
                slowed[function.target] = slower * added_s / function.calls_total
    return slowed


def least_dose(discovery: Discovery) -> float:
    """The dose that watching alone is of the code whose native calls have to be seen, on average; 0
    where that is little of what is computed, and at most 1. At smaller doses such code would be
    given more than all other."""
    codes = [code for function in discovery.functions for code in function.codes]
    watched = [
        code
        for code in codes
        if code.slowed > 0.0 and _is_watched(code, LONGEST_S, discovery.callback_s)
    ]
    spent_s = sum(code.spent_s[0] for code in watched)
    if spent_s <= MINOR_WATCHED * sum(code.spent_s[0] for code in codes):
        return 0.0
    return min(sum(code.slowed * code.spent_s[0] for code in watched) / spent_s, 1.0)


def watched_s(discovery: Discovery, longest_s: float = LONGEST_S) -> dict[str, float]:
    """Own CPU time, in seconds per unit, of targets whose native calls have to be seen to delay
    them, as far as it is spent in code with such calls and holds the GIL."""
    spent_s = {
        function.target: sum(
            code.spent_s[0]
            for code in function.codes
            if _is_watched(code, longest_s, discovery.callback_s)
        )
        for function in discovery.functions
    }
    return {target: s / discovery.cpu_units for target, s in spent_s.items() if s > 0.0}


def doses_of(function: Function, dose: float, *, callback_s: float = 0.0) -> list[Dose]:
    """The delays of one function at a dose: one entry per code object that has own time.

    ``callback_s``: what a callback costs.
    """
    made = []
    for code in function.codes:
        placed = _placed(code, LONGEST_S, callback_s)
        slowed = code.slowed if _needs_native_calls(placed) else 0.0
        sites = _sites(placed, dose, slowed)
        if sites:
            made.append(Dose(function.target, code.line, sites))
    return made


def callbacks_of(function: Function, callback_s: float = 0.0) -> float:
    """How often a call of it is called back while it is delayed, on average."""
    visits = 0.0
    for code in function.codes:
        rows = _placed(code, LONGEST_S, callback_s).values()
        visits += sum({id(site): site.visits for row in rows for site, _ in row}.values())
    return visits / function.calls_total if function.calls_total > 0.0 else 0.0


_Placed: TypeAlias = dict[State, list[tuple[SiteProfile, float]]]
"""By state: sites that get delays, each with the seconds of its state that it stands for."""


def _sites(placed: _Placed, dose: float, slowed: float = 0.0) -> tuple[Site, ...]:
    """The sites of one code object, with delays that keep the total of each state; ``slowed`` is
    what watching them adds by itself."""
    return tuple(
        Site(
            site.at,  # type: ignore[arg-type]
            site.offset,
            state,
            seconds / site.visits * 1e9 * (_left_of(dose, slowed) if state == "gil" else dose),
            dose if state == "wait" else 0.0,
        )
        for state, rows in placed.items()
        for site, seconds in rows
    )


def _left_of(dose: float, watching: float) -> float:
    """The dose that is left to delays where watching is some of it by itself."""
    return max(dose - watching, min(dose, LEAST_DOSE))


def _is_watched(code: CodeProfile, longest_s: float, callback_s: float) -> bool:
    """Whether its native calls have to be seen to delay it."""
    return _needs_native_calls(_placed(code, longest_s, callback_s))


def _needs_native_calls(placed: _Placed) -> bool:
    return any(site.native for rows in placed.values() for site, _ in rows)


def _placed(code: CodeProfile, longest_s: float, callback_s: float) -> _Placed:
    unwanted = code.slowed > NEGLIGIBLE_SHARE
    spent: _Placed = {
        "gil": _thinned(
            [(site, site.gil_s * site.visits) for site in code.sites],
            unwanted,
            longest_s,
            WORTH * callback_s,
        ),
        "nogil": [(site, site.nogil_s * site.visits) for site in code.sites],
        "wait": [(site, site.wait_s * site.visits) for site in code.sites],
    }
    total = sum(seconds for rows in spent.values() for _, seconds in rows)
    placed: _Placed = {}
    for state, rows in spent.items():
        least = NEGLIGIBLE_SHARE * total
        if state == "wait":
            rows = [
                (site, seconds)
                for site, seconds in rows
                if site.visits * DENSE_S <= total and not site.given_up
            ]
            least = max(least, MINOR_WAIT * max((seconds for _, seconds in rows), default=0.0))
        kept = [(site, seconds) for site, seconds in rows if seconds >= least and not site.given_up]
        held = sum(seconds for _, seconds in kept)
        if held > 0.0:
            share = sum(seconds for _, seconds in rows) / held
            placed[state] = [(site, seconds * share) for site, seconds in kept]
    return placed


def _thinned(
    rows: list[tuple[SiteProfile, float]], without_plain: bool, longest_s: float, worth_s: float
) -> list[tuple[SiteProfile, float]]:
    """Move CPU time from dense sites, and from those that hold less than ``worth_s`` a visit, to
    the next sparse one along the code, or the last before.

    A sparse site must be visited about as often as the function is called at least (an early
    return that is rarely taken cannot stand for the usual path). Where that would gather more than
    ``longest_s``, a long loop, the loop's sparsest back-edge takes it, dense or not. With
    ``without_plain`` calls of plain native code are no better than dense sites: seeing them slows
    code down, and nothing else begins or ends there.

    In small code all sites are dense. There it is the heaviest that takes what is not worth a
    callback, or the entry where none of them is.
    """
    total = sum(seconds for _, seconds in rows)
    calls = max((site.visits for site, _ in rows if site.at in ("entry", "return")), default=1.0)
    ordered = sorted(rows, key=lambda row: row[0].offset)
    usable = [site for site, _ in ordered if not site.given_up]
    avoided = {
        id(site)
        for site, _ in rows
        if site.visits * (DENSE_NATIVE_S if site.native else DENSE_S) > total
    }
    minor = {id(site) for site, seconds in rows if seconds < worth_s * site.visits}
    minor |= {id(site) for site, _ in rows if site.plain and without_plain}
    avoided |= minor
    sparse = [s for s in usable if 0.5 * calls <= s.visits and id(s) not in avoided]
    edges = [site for site in usable if site.at == "jump"]
    gathered = {id(site): seconds for site, seconds in ordered}
    if not sparse and minor:
        once = [site for site in usable if 0.5 * calls <= site.visits <= calls]
        heaviest = max(once, key=lambda site: gathered[id(site)], default=None)
        if heaviest is not None and id(heaviest) in minor:
            heaviest = min(once, key=lambda site: site.offset)
        sparse, avoided = [heaviest] if heaviest else [], minor
    for site, seconds in ordered:
        if seconds <= 0.0 or not (site.given_up or id(site) in avoided):
            continue
        after = [other for other in sparse if other.offset > site.offset]
        into = after[0] if after else (sparse[-1] if sparse else None)
        if into is None or (gathered[id(into)] + seconds) / into.visits > longest_s:
            into = min(edges, key=lambda edge: edge.visits, default=None)
        if into is not None and into is not site:
            gathered[id(into)] += seconds
            gathered[id(site)] -= seconds
    return [(site, gathered[id(site)]) for site, _ in ordered]
