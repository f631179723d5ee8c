"""Lines as targets: exact counts, delays at them, own time by line. Python 3.12 and later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attached_runs import Run, version

from injector.plan import Dose, Plan, Site

pytestmark = pytest.mark.process

Attached = Callable[..., Run]

needs_lines = pytest.mark.skipif(version() < (3, 12), reason="Python 3.11 has no event for lines")

STEPS = """
    import time
    def step(n):
        total = 0
        for i in range(n):
            total += i
            if i % 2:
                total -= 1
        return total
    for _ in range(5):
        step(10)
"""


@needs_lines
def test_by_hand_they_are_counted_exactly(attached: Attached, compiled: bool) -> None:
    rules = ("__main__:step@*", "!__main__:step@9")
    run = attached(STEPS, Plan(rules=rules, lines=True, delay_ns=1.0, compiled=compiled))
    assert (run.returncode, run.main.errors) == (0, [])
    counted = {
        e.fields["target"].partition("@")[2]: (e["calls"], e.fields["line"])
        for e in run.main.of("target")
    }
    # As often as each begins; the first is the function's own, before its body.
    assert counted.pop("3", (0, 3)) == (0, 3)
    assert counted == {"4": (5, 4), "5": (55, 5), "6": (50, 6), "7": (50, 7), "8": (25, 8)}


@needs_lines
def test_a_delay_falls_before_each_time_it_runs(attached: Attached, compiled: bool) -> None:
    rules = ("__main__:step@8",)
    run = attached(STEPS, Plan(rules=rules, lines=True, delay_ns=4e4, compiled=compiled))
    line = run.one("target", "__main__:step@8")
    assert line["calls"] == 25
    assert 0.95 * 25 * 4e4 <= line["delayed_ns"] <= 25 * 4e4 + 10e6  # a busy machine overshoots


@needs_lines
def test_a_plan_delays_a_line_at_its_places(attached: Attached, compiled: bool) -> None:
    doses = (
        Dose("__main__:step", 3, (Site("line", 6, "gil", 3e4),), part="__main__:step@6"),
        Dose("__main__:step", 3, (Site("line", 8, "gil", 0.0),), part="__main__:step@8"),
    )
    run = attached(STEPS, Plan(doses=doses, compiled=compiled))
    six, eight = run.one("target", "__main__:step@6"), run.one("target", "__main__:step@8")
    assert (six["calls"], eight["calls"], eight["delays"]) == (50, 25, 0)
    assert 0.95 * 50 * 3e4 <= six["delayed_ns"] <= 50 * 3e4 + 10e6  # a busy machine overshoots
    assert not any(e.fields["target"] == "__main__:step" for e in run.main.of("target"))


def test_without_such_events_it_is_said(attached: Attached) -> None:
    plan = Plan(rules=("__main__:step@*",), lines=True, delay_ns=1e3, backend="profile")
    run = attached(STEPS, plan)
    assert run.main.of("target") == []
    (said,) = {e.fields["reason"] for e in run.main.of("unplaced")}
    assert "lines" in said


OWN_TIME = """
    import time
    def busy(ms):
        end = time.thread_time() + ms / 1e3
        while time.thread_time() < end:
            pass
    def step():
        x = 0
        busy(1)
        for i in range(20_000): x += i
        for i in range(40_000):
            x += i
        time.sleep(0.003)
        return x
    for _ in range(20):
        step()
"""


@needs_lines
def test_own_time_by_line(attached: Attached, compiled: bool) -> None:
    run = attached(OWN_TIME, Plan(mode="discover", lines=True, compiled=compiled))
    assert run.main.errors == []
    by_line: dict[int | None, list[int]] = {}
    for (at, _), entry in run.sites("__main__:step").items():
        sums = by_line.setdefault(entry.fields["line"], [0, 0, 0])
        sums[0] += entry["visits"] if at == "line" else 0
        sums[1] += entry["gil_ns"]
        sums[2] += entry["wait_ns"]
    # Lines are told once a call was seen to take its time.
    assert all(by_line[line][0] in (19, 20) for line in (9, 13))
    cpu = {line: sums[1] for line, sums in by_line.items()}
    total = sum(cpu.values())
    assert cpu[10] + cpu[11] + cpu[12] > 0.9 * total
    assert cpu[9] < 0.05 * total  # what it calls is not its own
    assert by_line[13][2] >= 0.8 * 19 * 3e6
    assert sum(sums[2] for line, sums in by_line.items() if line != 13) < 0.1 * by_line[13][2]


@needs_lines
def test_a_generator_goes_on_in_its_line(attached: Attached, compiled: bool) -> None:
    source = """
        import time
        def numbers(n):
            for i in range(n):
                yield i; sum(range(20_000))
                pass
        for _ in range(3):
            for i in numbers(30):
                pass
    """
    run = attached(source, Plan(mode="discover", lines=True, compiled=compiled))
    cpu: dict[int | None, int] = {}
    for entry in run.sites("__main__:numbers").values():
        line = entry.fields["line"]
        cpu[line] = cpu.get(line, 0) + entry["gil_ns"]
    assert cpu[5] > 0.8 * sum(cpu.values())


SWITCHED = """
    import sys
    sys.path.insert(0, {root!r})
    import injector.{module} as core
    from injector.backends.monitoring import Monitoring
    def step():
        a = 1
        b = 2
        return a + b
    counters = memoryview(bytearray(8 * 8 * 8)).cast("Q")
    visit = (0.0, 0.0, 0.0, 0.0)
    none, whole = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    first = step.__code__.co_firstlineno + 1
    parts = tuple((n + 1, 0, None, {{first + n: visit}}, none) for n in range(3))
    spec = (0, 0, 1, False, None, None, None, none, parts)
    resolve = lambda code, _: spec if code is step.__code__ else None
    def fail(error):
        raise error
    tracker = core.Delayer(
        counters, resolve, fail, sys.monitoring.DISABLE, (0, 0), (0, 1, 0, 0)
    )
    backend = Monitoring()
    backend.install(tracker, switched=True)
    step()
    for number in (1, 2, 3, 1):
        backend.watch(step.__code__, ("line",), afresh=True)
        tracker.switch([(step.__code__, n, whole if n == number else none) for n in (1, 2, 3)])
        for _ in range(10):
            step()
        print([(counters[8 * n], counters[8 * n + 2]) for n in (1, 2, 3)])
"""


@needs_lines
def test_lines_beside_the_one_that_is_delayed_cost_nothing(
    attached: Attached, compiled: bool
) -> None:
    """What a callback costs (1 ns here) is counted, once for each of the other lines."""
    root = str(Path(__file__).parents[2])
    module = "_core" if compiled else "delayer"
    run = attached(SWITCHED.format(root=root, module=module), Plan())
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "[(10, 12), (0, 0), (0, 0)]",
        "[(10, 12), (10, 12), (0, 0)]",
        "[(10, 12), (10, 12), (10, 12)]",
        "[(20, 24), (10, 12), (10, 12)]",
    ]
