"""What a callback costs here: run by the interpreter that will run the benchmark.

``PYTHON -S injector/calibrate.py [--twin]`` prints one JSON object::

    {"python", "backend", "reason", "compiled",
     "event_ns": {"entry", "site", "line", "wide", delay mode: one callback that pays no delay yet
                  "inside", "pay"},
     "discover_ns": {"callee", "caller", "site",   what is left of watching in the own times
                     "line", "wide"}}

``wide``: more for each offset that is above `injector.tracker.SMALL_INT`. ``inside``: what of an
event the tracker's own clock sees; the compiled one does not look at it. ``pay``: what a payment
takes beyond the time it spends. ``discover_ns``: nanoseconds that discovery adds to the own time of
a function per call of it (``callee``), per tracked callee it calls (``caller``), per CALL, JUMP,
native return, yield or return event in it (``site``), per line (``line``; where there is no such
event it is as ``site``), and per large offset of these. Subtract them
times ``calls``, ``callee_calls``, ``events``, and visits of sites far down.

Everything is differences of loops, so that the loop's own cost cancels; each the fastest of a few
short ones (what disturbs a loop only slows it). But processors that others use too are slow for
tenths of a second, and a callback then takes twice as long: so there are several rounds with pauses
between them, and the mean of these is what a callback usually costs. It takes 0.4 s, with the twin
1.4 s.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from time import perf_counter_ns, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Specs: TypeAlias = dict[str, tuple[Any, list[str]]]
    """By function name: its DelaySpec, and the kinds of site it has."""

_ROUNDS = 10
_PAUSE_S = 0.03
_CALLS = 500
_REPEATS = 5
_WATCHED = 5
"""Calls of a loop under watch: fewer than after which the observer gives its back-edges up."""

_SLOT = 8
_DELAYS = (1e-3, 0.0, 0.0, 0.0)
"""Of a visit: a delay that is added up, and too short to be paid."""
_PAID = (2e3, 0.0, 0.0, 0.0)
"""One that is paid at once."""
_DELAYED = 2
"""Counter of a target."""
_WHOLE = (1.0, 1.0, 1.0)
_A_JUMP = {"at": "jump", "offset": 0, "state": "gil", "delay_ns": 1.0}
_PACKAGE = "_speedbump_injector"


def _callee() -> None:
    """What is called."""


def _loop() -> None:
    """Calls and back-edges, one each a turn."""
    for _ in range(_CALLS):
        _callee()


def _turns() -> None:
    """Back-edges only."""
    for _ in range(_CALLS):
        pass


def _far_turns() -> None:
    """The same behind a lot of code (see below)."""


_LONG = "def _far_turns():\n" + "    spare = 0\n" * 300 + "    for _ in range(_CALLS): pass\n"
exec(_LONG)  # writing it out would take three hundred lines


def _fresh() -> None:
    """New code for the loops: local events outlive the tool that set them, at the old code."""
    for function in (_callee, _loop, _turns, _far_turns):
        function.__code__ = function.__code__.replace()


def calibrate(compiled: bool = True, backend: str = "auto") -> dict[str, Any]:
    """Measure in this process. Installs a backend several times, and leaves none."""
    choose = import_module(_PACKAGE + ".backends.choose")
    core, core_reason = import_module(_PACKAGE + ".attach").load_core(compiled)
    probe, reason = choose.choose(backend, core is not None)
    probe.uninstall()
    rounds: list[tuple[float, ...]] = []
    for number in range(_ROUNDS):
        sleep(_PAUSE_S if number else 0.0)
        delays = _delay_costs(choose, probe, core, backend)
        rounds.append((*delays, *_discover_costs(choose, core, backend)))
    entry, site, line, wide, inside, pay, *discover = (
        round(sum(each) / _ROUNDS, 1) for each in zip(*rounds, strict=True)
    )
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "backend": probe.name,
        "reason": f"{reason}; {core_reason}",
        "compiled": core is not None,
        "event_ns": {
            **{"entry": entry, "site": site, "line": line, "wide": wide},
            **{"inside": inside, "pay": pay},
        },
        "discover_ns": dict(
            zip(("callee", "caller", "site", "line", "wide"), (*discover, wide), strict=True)
        ),
    }


def _delay_costs(choose: Any, probe: Any, core: Any, wanted: str) -> tuple[float, ...]:
    """(entry, site, line, wide, inside, pay): what one callback of a target that pays nothing adds
    to a run, each large offset to that, what of it the tracker counts by itself, and what a payment
    takes beyond what it counts, in ns."""
    delayer = core or import_module(_PACKAGE + ".delayer")

    def with_sites(specs: Specs, run: Any) -> tuple[float, float, float]:
        backend, _ = choose.choose(wanted, core is not None)
        counters = _counters()
        _fresh()

        def resolve(code: Any, _: Any) -> Any:
            spec, kinds = specs.get(code.co_name, (None, []))
            if kinds:
                backend.arm(code, kinds)
            return spec

        def counted() -> tuple[float, float]:
            before = counters[_SLOT + _DELAYED]
            return _timed(run), counters[_SLOT + _DELAYED] - before

        plain = _fastest(lambda: _timed(run))
        tracker = delayer.Delayer(counters, resolve, _raise, _disable(), (0, 0), (0, 0, 0, 0))
        if core is None:
            tracker.inside_ns = 0
        backend.install(tracker)
        try:
            run()
            slowed, inside = min(counted() for _ in range(_REPEATS))
        finally:
            backend.uninstall()
        visits = counters[_SLOT] / (1 + _REPEATS)
        return max(0.0, (slowed - plain) / _CALLS), inside / _CALLS, visits / _CALLS

    def at_lines(run: Any) -> float:
        lines = {line: _DELAYS for *_, line in run.__code__.co_lines() if line}
        part = (1, 0, None, lines, _WHOLE)
        spec = (0, 0, 1, False, None, None, None, _WHOLE, (part,))
        took, _, visits = with_sites({run.__name__: (spec, ["line"])}, run)
        return took / visits if visits > 0.5 else 0.0

    def at_jumps(run: Any) -> tuple[float, float, float]:
        sites = dict.fromkeys(range(0, len(run.__code__.co_code), 2), _DELAYS)
        spec = (1, 0, 1, False, None, None, sites)
        return with_sites({run.__name__: (spec, ["jump", "call", "return"])}, run)

    def at_entry(is_fixed: bool, delays: tuple[float, ...]) -> tuple[float, float, float]:
        return with_sites({"_callee": ((1, 0, 1, is_fixed, delays, None, None), [])}, _loop)

    entry, inside, _ = at_entry(False, _DELAYS)
    paid, counted, _ = at_entry(True, _PAID)
    pay = max(0.0, paid - counted - max(0.0, entry - inside))
    if not probe.place(_turns.__code__, [_A_JUMP])[0]:
        # A mechanism without back-edges: its other sites cost what an entry does.
        return entry, entry, entry, 0.0, inside, pay
    site, site_inside, _ = at_jumps(_turns)
    far, *_ = at_jumps(_far_turns)
    wide = max(0.0, far - site) / 2.0
    return entry, site, at_lines(_turns), wide, (inside + site_inside) / 2.0, pay


def _discover_costs(choose: Any, core: Any, wanted: str) -> tuple[float, ...]:
    """(callee, caller, site, line): what discovery leaves in own times, in ns; see the module."""
    observer = core or import_module(_PACKAGE + ".observer")
    plain = _fastest(lambda: _timed(_loop)) / _CALLS
    plain_turn = _fastest(lambda: _timed(_turns)) / _CALLS
    # Of a call of an empty function, about this much is the callee's own.
    own_of_callee = max(0.0, plain - plain_turn) / 3

    def own_times(*kinds: str) -> list[float]:
        return _own_times(observer, choose, core is not None, wanted, kinds)

    callee, loop, turns, _ = own_times()
    *_, with_jumps, jumps = own_times("jump")
    *_, with_lines, both = own_times("jump", "line")
    site = (with_jumps - turns) / jumps if jumps > 0.5 else 0.0
    lines = both - jumps
    return (
        max(0.0, callee - own_of_callee),
        max(0.0, loop - (plain - own_of_callee)),
        max(0.0, site),
        max(0.0, (with_lines - with_jumps) / lines) if lines > 0.5 else max(0.0, site),
    )


def _own_times(
    observer: Any, choose: Any, compiled: bool, wanted: str, kinds: tuple[str, ...]
) -> list[float]:
    """Own ns a turn of `_callee`, `_loop` and `_turns`, and events a turn of `_turns`, which is
    armed with these kinds."""
    armed = ("_turns",) if kinds else ()
    counters = _counters()
    slots = {"_callee": 1, "_loop": 2, "_turns": 3}
    places = [*(slot * _SLOT + 1 for slot in slots.values()), 3 * _SLOT + 5]
    spare = len(counters) // _SLOT - 1
    backend, _ = choose.choose(wanted, compiled)
    _fresh()

    def resolve(code: Any, _: Any) -> Any:
        slot = slots.get(code.co_name)
        return None if slot is None else (slot, 0, code.co_name in armed)

    def arm(code: Any) -> None:
        if code.co_name in armed:
            backend.arm(code, kinds)

    def name(*_: Any) -> int:
        return spare

    tracker = observer.Observer(
        counters, resolve, name, name, name, arm, _raise, _disable(), (0, 0), None, "line" in kinds
    )
    backend.install(tracker)
    rounds = []
    try:
        for _ in range(_WATCHED):
            before = [counters[at] for at in places]
            _loop()
            _turns()
            rounds.append([counters[at] - b for at, b in zip(places, before, strict=True)])
    finally:
        backend.uninstall()
    return [min(column) / _CALLS for column in zip(*rounds, strict=True)]


def _counters() -> memoryview[int]:
    return memoryview(bytearray(64 * _SLOT * 8)).cast("Q")


def _timed(run: Callable[[], None]) -> float:
    begin = perf_counter_ns()
    run()
    return perf_counter_ns() - begin


def _fastest(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(_REPEATS))


def _raise(error: BaseException) -> None:
    raise error


def _disable() -> object:
    monitoring = getattr(sys, "monitoring", None)
    return None if monitoring is None else monitoring.DISABLE


if __name__ == "__main__":
    package: Any = type(sys)(_PACKAGE)
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[_PACKAGE] = package
    print(json.dumps(calibrate(compiled="--twin" not in sys.argv)))
