"""From "slow these functions by a quarter" to delays at places: the plan of one run.

Invariant: at dose r every piece of a targeted function is given r times its own time, in the state
it was spent in, at the site discovery charged it to. One r for all functions, whatever lane they
run in. Sites that hold next to nothing are folded into the others of the same state, so that a
function keeps its total while fewer places need a callback.
"""

from __future__ import annotations

from bisector.discovery import CodeProfile, Discovery, Function
from bisector.observations import RunRequest
from injector.plan import STATES, Dose, Plan, Site, State

NEGLIGIBLE_SHARE = 0.02
"""Sites with less than this share of a code object's own time are folded into its others."""


def plan_for(discovery: Discovery | None, request: RunRequest, event_ns: dict[str, float]) -> Plan:
    """The injector's plan for one request. ``event_ns``: what one callback costs, in ns, by
    kind."""
    if request.purpose == "discover":
        return Plan(mode="discover", event_ns=event_ns)
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
        for dose in doses_of(function, request.dose)
    ]
    return Plan(doses=tuple(doses), event_ns=event_ns)


def doses_of(function: Function, dose: float) -> list[Dose]:
    """The delays of one function at a dose: one entry per code object that has own time."""
    made = []
    for code in function.codes:
        sites = _sites(code, dose)
        if sites:
            made.append(Dose(function.target, code.line, sites))
    return made


def _sites(code: CodeProfile, dose: float) -> tuple[Site, ...]:
    spent = {
        state: [(site, getattr(site, f"{state}_s")) for site in code.sites] for state in STATES
    }
    total = sum(s * site.visits for rows in spent.values() for site, s in rows)
    if total <= 0.0:
        return ()
    sites: list[Site] = []
    for state, rows in spent.items():
        whole = sum(s * site.visits for site, s in rows)
        kept = [(site, s) for site, s in rows if s * site.visits >= NEGLIGIBLE_SHARE * total]
        held = sum(s * site.visits for site, s in kept)
        if held <= 0.0:
            continue
        factor = dose * whole / held * 1e9
        sites += [_site(site.at, site.offset, state, s * factor) for site, s in kept]
    return tuple(sites)


def _site(at: str, offset: int, state: State, delay_ns: float) -> Site:
    return Site(at=at, offset=offset, state=state, delay_ns=delay_ns)  # type: ignore[arg-type]
