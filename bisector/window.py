"""One window of a living target: how long it lasts, what it shows, how that is read off counters.

Two `Moment`s bound it. Where they are stills (`injector.ledger`), each process was inside a call of
the progress point then, so that calls, delays and CPU time belong to whole units of work.
"""

from __future__ import annotations

from dataclasses import dataclass

from bisector.observations import Delivered
from bisector.point import signed, time_on_the_way_ns
from injector.follow import Follower, Progress


class NotMeasured(Exception):
    """The target lives, but this window says nothing; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a window lasts. ``settle``: units that are let pass after a switch first."""

    settle: int
    units: int
    seconds: float
    patience_s: float
    """Without progress for this long a window is given up."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed; ``wall_s`` with switching and settling, ``cpu_s`` of all processes
    (None where unknown). ``time_per_unit_s`` is the mean latency where that is asked for, and else
    as ``time_between_s``, from one unit to the next. ``own_cpu_s`` is the CPU time, without delays,
    of threads that do units, and of processes that do none."""

    time_per_unit_s: float
    units: int
    cpu_s: float | None
    wall_s: float
    delivered: dict[str, Delivered]
    processes: int
    time_between_s: float = 0.0
    own_cpu_s: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What the counters said at one moment, by process: progress, and counters by target."""

    progress: dict[Follower, Progress]
    counted: dict[Follower, dict[str, tuple[int, ...]]]
    begun: dict[Follower, Progress]
    """Calls that begin what those of the progress point end; empty where throughput is wanted."""
    underway: int = 0
    """How many more began than ended in processes that are not looked at any more."""


def between(before: Moment, after: Moment, wall_s: float, processes: int) -> Window:
    """The window between two moments.

    Raises:
        NotMeasured: nothing passed.
    """
    rate, units = _rate(before, after)
    return Window(
        _latency_s(before, after) if after.begun else 1.0 / rate,
        units,
        _cpu_s(before, after),
        wall_s,
        _delivered(before, after),
        processes,
        1.0 / rate,
        _own_cpu_s(before, after),
    )


def longer_by(a: Window, b: Window) -> float:
    """What one takes longer than the other, as a share, as far as the CPU time of its work does not
    explain it: that is longer where the processors are slower."""
    longer = a.time_per_unit_s - b.time_per_unit_s
    if a.own_cpu_s is not None and b.own_cpu_s is not None:
        work = a.own_cpu_s / a.units - b.own_cpu_s / b.units
        longer -= min(max(longer, min(work, 0.0)), max(work, 0.0))
    return longer / b.time_per_unit_s


def _rate(before: Moment, after: Moment) -> tuple[float, int]:
    """(units per second, units): from the last call before to the last call after, which is as
    exact for calls that come in bursts as for single ones.

    Processes that progress side by side have a rate each; where some came or went meanwhile, only
    all of them together have one.

    Raises:
        NotMeasured: nothing passed.
    """
    rates, units, changed = [], 0, False
    for follower, now in after.progress.items():
        then = before.progress.get(follower)
        if now.calls == 0:
            continue
        passed = now.calls - (then.calls if then else 0)
        units += passed
        changed |= passed == 0 or then is None or then.calls == 0
        if then is not None and now.last_ns > then.last_ns:
            rates.append(passed / ((now.last_ns - then.last_ns) / 1e9))
    if rates and not changed:
        return sum(rates), units
    begin_ns = max((then.last_ns for then in before.progress.values()), default=0)
    end_ns = max((now.last_ns for now in after.progress.values()), default=0)
    if not begin_ns or end_ns <= begin_ns:
        raise NotMeasured("the progress point was not called in the window")
    return units / ((end_ns - begin_ns) / 1e9), units


def _latency_s(before: Moment, after: Moment) -> float:
    """What those on their way spent between the last calls, for each that ended (Little 1961).

    Raises:
        NotMeasured: more ended than had begun.
    """
    begun, ended = _passed(before.begun, after.begun), _passed(before.progress, after.progress)
    then_ns, now_ns = (
        max(p.last_ns for p in (*moment.progress.values(), *moment.begun.values()))
        for moment in (before, after)
    )
    underway = before.underway + sum(p.calls for p in before.begun.values())
    underway -= sum(p.calls for p in before.progress.values())
    since_ns = time_on_the_way_ns(begun[0], ended[0], begun[1], ended[1], now_ns)
    total_ns = underway * (now_ns - then_ns) + since_ns
    if total_ns <= 0 or ended[0] <= 0:
        raise NotMeasured("more calls end what is timed than begin it")
    return total_ns / ended[0] / 1e9


def _passed(before: dict[Follower, Progress], after: dict[Follower, Progress]) -> tuple[int, int]:
    """Calls between the two, and the sum of their times."""
    calls = moments_ns = 0
    for follower, now in after.items():
        then = before.get(follower, Progress(0, 0, None))
        calls += now.calls - then.calls
        moments_ns += now.moments_ns - then.moments_ns
    return calls, moments_ns


def _cpu_s(before: Moment, after: Moment) -> float | None:
    """CPU seconds of all processes between the two; None where some came, went, or do not say."""
    total_ns = 0
    for follower, now in after.progress.items():
        then = before.progress.get(follower)
        if then is None or then.cpu_ns is None or now.cpu_ns is None:
            return None
        total_ns += now.cpu_ns - then.cpu_ns
    return total_ns / 1e9


def _own_cpu_s(before: Moment, after: Moment) -> float | None:
    """Of a process that does units the threads that do them say how much that takes: what others
    in it do at a pace of their own says nothing about it."""
    total_ns = 0
    for follower, now in after.progress.items():
        then = before.progress.get(follower)
        if then is None or then.cpu_ns is None or now.cpu_ns is None:
            return None
        own_ns = signed(now.own_ns - then.own_ns)
        if after.begun:
            own_ns += signed(after.begun[follower].own_ns - before.begun[follower].own_ns)
        if not now.own_ns:
            spun = _counted(before, after, follower).values()
            own_ns = now.cpu_ns - then.cpu_ns - round(sum(each.spun_ns or 0.0 for each in spun))
        total_ns += own_ns
    return total_ns / 1e9


def _delivered(before: Moment, after: Moment) -> dict[str, Delivered]:
    """What the injector counted between the two, over all processes."""
    delivered: dict[str, Delivered] = {}
    for follower in after.counted:
        for target, new in _counted(before, after, follower).items():
            delivered[target] = delivered[target].plus(new) if target in delivered else new
    return delivered


def _counted(before: Moment, after: Moment, follower: Follower) -> dict[str, Delivered]:
    """The same in one process."""
    known = before.counted.get(follower, {})
    counted = {}
    for target, counters in after.counted[follower].items():
        calls, delays, delayed_ns, _, _, wait_ns, *_ = (
            now - then for now, then in zip(counters, known.get(target, (0,) * 8), strict=True)
        )
        counted[target] = Delivered(calls, delays, delayed_ns, delayed_ns - wait_ns)
    return counted
