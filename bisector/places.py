"""Where the delays of one code object go, by the time that was charged to its places.

Invariant: each state keeps its total. What is charged to a place that is visited too often, or that
holds too little to be worth a callback, goes to others along the code.
"""

from __future__ import annotations

from typing import TypeAlias

from bisector.discovery import CodeProfile, SiteProfile
from injector.plan import State

NEGLIGIBLE_SHARE = 0.02
"""Sites with less than this share of a code object's own time are folded into its others."""

MINOR_WAIT = 0.1
"""So are waits at sites with less than this share of the longest wait's: now and then a disturbance
makes a wait look as if it began later in the function than it does. And waits at dense sites are
left out: nothing waits that often, but a call that was interrupted looks as if it had waited."""

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


Placed: TypeAlias = dict[State, list[tuple[SiteProfile, float]]]
"""By state: sites that get delays, each with the seconds of its state that it stands for."""


def needs_native_calls(placed: Placed) -> bool:
    """Whether native calls have to be seen for that."""
    return any(site.native for rows in placed.values() for site, _ in rows)


def placed_in(code: CodeProfile, longest_s: float, callback_s: float) -> Placed:
    """Where the delays of one code object go.

    Of a finer target all visits are calls, so that each place which counts them is visited, with a
    delay or without; and what is called natively is delayed where it is called, not elsewhere.
    """
    if code.of and all(site.at == "call" and site.native for site in code.sites):
        return _as_they_are(code)
    placed = _placed_along(code, longest_s, callback_s)
    for site in code.sites if code.of else ():
        if site.at == "line" and not any(site is s for rows in placed.values() for s, _ in rows):
            placed.setdefault("gil", []).append((site, 0.0))
    return placed


def _as_they_are(code: CodeProfile) -> Placed:
    return {
        "gil": [(site, site.gil_s * site.visits) for site in code.sites],
        "nogil": [(s, s.nogil_s * s.visits) for s in code.sites if s.nogil_s > 0.0],
        "wait": [(s, s.wait_s * s.visits) for s in code.sites if s.wait_s > 0.0],
    }


def _placed_along(code: CodeProfile, longest_s: float, callback_s: float) -> Placed:
    """Along the code of a function, or of a line."""
    unwanted = code.slowed > NEGLIGIBLE_SHARE
    spent: Placed = {
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
    placed: Placed = {}
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
    once = ("entry", "return", "line")
    calls = max((site.visits for site, _ in rows if site.at in once), default=1.0)
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
        each = [site for site in usable if 0.5 * calls <= site.visits <= calls]
        heaviest = max(each, key=lambda site: gathered[id(site)], default=None)
        if heaviest is not None and id(heaviest) in minor:
            heaviest = min(each, key=lambda site: site.offset)
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
