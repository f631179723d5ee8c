"""From "slow these functions by a quarter" to delays at places: the plan of one run.

Invariant: at dose r every piece of a targeted function is given r times its own time, in the state
it was spent in, at the site discovery charged it to. One r for all functions, whatever lane they
run in. (`bisector.places` chooses the sites.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bisector.discovery import CodeProfile, Discovery, Function
from bisector.observations import RunRequest
from bisector.places import LONGEST_S, Placed, needs_native_calls, placed_in
from bisector.point import Point
from injector.plan import At, ByState, Dose, Plan, Site

LEAST_DOSE = 1e-3
"""What is left of a dose where watching alone is more: code that is not delayed at all is not
watched, and would be given nothing. What it is given then is counted."""

MINOR_WATCHED = 0.1
"""Share of the CPU time that may be given more than its dose by being watched."""


def plan_for(discovery: Discovery | None, request: RunRequest, event_ns: dict[str, float]) -> Plan:
    """The injector's plan for one request.

    ``event_ns``: what one callback costs, in ns, by kind, as it was measured.
    """
    if request.purpose == "discover":
        return Plan(mode="discover", sites=request.sites, event_ns=event_ns)
    if discovery is not None:
        event_ns = {kind: ns * discovery.callbacks for kind, ns in event_ns.items()}
    if request.delay_ns is not None and request.targets:
        finer = [f for f in _chosen(discovery, request) if f.kind != "function"]
        return Plan(
            doses=tuple(dose for function in finer for dose in _fixed(function, request.delay_ns)),
            rules=tuple(sorted(request.targets - {f.target for f in finer})),
            delay_ns=request.delay_ns,
            event_ns=event_ns,
        )
    if discovery is None or request.dose <= 0.0 or not request.targets:
        return Plan(event_ns=event_ns)
    doses = [
        dose
        for function in _chosen(discovery, request)
        for dose in doses_of(
            function if request.waits else function.computing(),
            request.dose,
            callback_s=discovery.callback_s,
        )
    ]
    return Plan(doses=tuple(doses), event_ns=event_ns)


def _chosen(discovery: Discovery | None, request: RunRequest) -> list[Function]:
    known = discovery.functions if discovery is not None else ()
    return [function for function in known if function.target in request.targets]


def _fixed(function: Function, delay_ns: float) -> list[Dose]:
    """The same delay for every call of a target, at its entry, or where it is."""
    return [
        _dose(function, code, sites)
        for code in function.codes
        if (sites := tuple(Site(*place, "gil", delay_ns) for place in _counting(function, code)))
    ]


def _counting(function: Function, code: CodeProfile) -> list[tuple[At, int]]:
    """The places at which the calls of a target are counted."""
    if function.kind == "function":
        return [("entry", -1)]
    at: At = "call" if function.kind == "native" else "line"
    return [(at, site.offset) for site in code.sites if site.at == at]


def _dose(function: Function, code: CodeProfile, sites: tuple[Site, ...]) -> Dose:
    return Dose(code.of or function.target, code.line, sites, function.target if code.of else "")


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
            for dose, watching in (
                ((dose, 0.0) for dose in _fixed(function, delay_ns))
                if delay_ns
                else _whole_doses(function, longest_s, discovery.callback_s)
            ):
                entries.setdefault(function.target, []).append((len(doses), watching))
                doses.append(dose)
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
    return [
        _dose(function, code, sites)
        for code, placed, slowed in _placed(function, LONGEST_S, callback_s)
        if (sites := _sites(placed, dose, slowed))
    ]


def _whole_doses(
    function: Function, longest_s: float, callback_s: float
) -> Iterator[tuple[Dose, float]]:
    """Its delays at a dose of 1, each with the dose that seeing native calls is by itself."""
    for code, placed, slowed in _placed(function, longest_s, callback_s):
        if sites := _sites(placed, 1.0):
            yield _dose(function, code, sites), max(slowed, 0.0)


def _placed(
    function: Function, longest_s: float, callback_s: float
) -> Iterator[tuple[CodeProfile, Placed, float]]:
    """Where its delays go in each code object, and what watching these places adds by itself."""
    for code in function.codes:
        placed = placed_in(code, longest_s, callback_s)
        yield code, placed, code.slowed if needs_native_calls(placed) else 0.0


def callbacks_of(function: Function, callback_s: float = 0.0) -> float:
    """How often a call of it is called back while it is delayed, on average."""
    visits = 0.0
    for code in function.codes:
        rows = placed_in(code, LONGEST_S, callback_s).values()
        visits += sum({id(site): site.visits for row in rows for site, _ in row}.values())
    return visits / function.calls_total if function.calls_total > 0.0 else 0.0


def _sites(placed: Placed, dose: float, slowed: float = 0.0) -> tuple[Site, ...]:
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
    return needs_native_calls(placed_in(code, longest_s, callback_s))
