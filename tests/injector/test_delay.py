"""Delays: exact counts; delivered is what was asked for, in the state and the place asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attached_runs import Run, version

from injector.plan import Dose, Plan, Site

pytestmark = pytest.mark.process

Attached = Callable[..., Run]

STEPS = """
    import sys, time
    def step():
        return 1
    def other():
        return 2
    begin = time.perf_counter_ns()
    for _ in range({calls}):
        step()
        other()
    print(time.perf_counter_ns() - begin)
"""


def dose(*sites: Site, line: int = 3, target: str = "__main__:step") -> tuple[Dose, ...]:
    return (Dose(target, line, sites),)


@pytest.mark.parametrize(
    ("state", "delay_ns", "calls"),
    [
        ("gil", 300.0, 20_000),  # below the floor: carried as a debt
        ("gil", 20_000.0, 1_000),
        ("gil", 7_000_000.0, 6),  # above the switch interval
        ("nogil", 2_000.0, 5_000),
        ("nogil", 50_000.0, 400),
        ("wait", 10_000.0, 2_000),
        ("wait", 500_000.0, 200),
    ],
)
def test_on_average_exactly_what_was_asked_for_is_delivered(
    attached: Attached, compiled: bool, state: str, delay_ns: float, calls: int
) -> None:
    site = Site("entry", -1, state, delay_ns)  # type: ignore[arg-type]
    run = attached(STEPS.format(calls=calls), Plan(doses=dose(site), compiled=compiled))
    entry = run.one("target", "__main__:step")
    assert entry["calls"] == calls
    assert entry[f"{state}_ns"] == entry["delayed_ns"]
    asked = delay_ns * calls
    # The last debt may be unpaid; the last payment may overshoot, on a busy machine by much.
    assert 0.98 * asked - 100_000 <= entry["delayed_ns"] <= 1.02 * asked + 10e6
    assert int(run.stdout) >= 0.95 * entry["delayed_ns"]
    assert entry["last_ns"] > entry["first_ns"] > run.main.attached_ns


def test_the_cost_of_the_callback_is_part_of_the_delay(attached: Attached, compiled: bool) -> None:
    plan = Plan(
        doses=dose(Site("entry", -1, "gil", 3_000.0)),
        event_ns={"entry": 1_000.0, "site": 50.0},
        compiled=compiled,
    )
    entry = attached(STEPS.format(calls=4_000), plan).one("target", "__main__:step")
    assert entry["delayed_ns"] == pytest.approx(4_000 * 3_000, rel=0.02)
    assert entry["delays"] <= 4_000


def test_a_delay_smaller_than_its_callback_counts_what_it_costs(
    attached: Attached, compiled: bool
) -> None:
    plan = Plan(
        doses=dose(Site("entry", -1, "gil", 300.0)),
        event_ns={"entry": 1_000.0, "site": 50.0},
        compiled=compiled,
    )
    entry = attached(STEPS.format(calls=4_000), plan).one("target", "__main__:step")
    assert entry["delays"] == 0
    assert entry["delayed_ns"] == 4_000 * 1_000


def test_dose_zero_pays_nothing(attached: Attached, compiled: bool) -> None:
    plan = Plan(doses=dose(Site("entry", -1, "gil", 0.0)), compiled=compiled)
    entry = attached(STEPS.format(calls=100), plan).one("target", "__main__:step")
    assert (entry["calls"], entry["delays"], entry["delayed_ns"]) == (100, 0, 0)


def test_only_code_at_the_line_of_the_dose_is_meant(attached: Attached, compiled: bool) -> None:
    plan = Plan(doses=dose(Site("entry", -1, "gil", 1e5), line=4), compiled=compiled)
    assert attached(STEPS.format(calls=10), plan).main.of("target") == []


def test_the_classic_rule_delays_every_call_by_the_same(attached: Attached, compiled: bool) -> None:
    plan = Plan(rules=("__main__:*", "!__main__:other"), delay_ns=10_000, compiled=compiled)
    run = attached(STEPS.format(calls=500), plan)
    entry = run.one("target", "__main__:step")
    assert entry["calls"] == 500
    # A spin that was interrupted has given too much, and the next call less or nothing.
    assert 0 < entry["delays"] <= 500
    assert entry["delayed_ns"] >= 0.99 * 500 * 10_000
    targets = {e.fields["target"] for e in run.main.of("target")}
    assert "__main__:other" not in targets
    assert "__main__:<module>" in targets


def test_every_nth_call_only(attached: Attached, compiled: bool) -> None:
    plan = Plan(rules=("__main__:step",), delay_ns=10_000, every=7, compiled=compiled)
    entry = attached(STEPS.format(calls=500), plan).one("target", "__main__:step")
    assert entry["calls"] == 500
    assert 0 < entry["delays"] <= 500 // 7
    assert entry["delayed_ns"] >= 0.99 * (500 // 7) * 10_000


def test_a_module_that_is_not_the_script_is_found_by_its_name(
    attached: Attached, compiled: bool
) -> None:
    plan = Plan(rules=("json.*:*.encode",), delay_ns=5_000, compiled=compiled)
    run = attached("import json\nfor _ in range(9): json.dumps({})", plan)
    assert run.one("target", "json.encoder:JSONEncoder.encode")["calls"] == 9


def test_a_generator_counts_once_and_pays_each_time_it_resumes(
    attached: Attached, compiled: bool
) -> None:
    source = """
        def numbers():
            yield 1
            yield 2
            yield 3
        for _ in range(2000):
            list(numbers())
    """
    sites = (Site("entry", -1, "gil", 20_000.0), Site("resume", -1, "gil", 10_000.0))
    doses = dose(*sites, line=2, target="__main__:numbers")
    entry = attached(source, Plan(doses=doses, compiled=compiled)).one("target", "__main__:numbers")
    assert entry["calls"] == 2000
    # A spin that was interrupted has given too much, and those after it less or nothing.
    assert 2000 < entry["delays"] <= 2000 + 6000
    asked_ns = 2000 * 20_000 + 6000 * 10_000
    assert 0.99 * asked_ns <= entry["delayed_ns"] < 1.5 * asked_ns


INSIDE = """
    import time
    def inner():
        stamps.append(("inner", time.perf_counter_ns()))
    def step():
        stamps.append(("begin", time.perf_counter_ns()))
        inner()
        x = 0
        for i in range(10):
            x += i
        stamps.append(("looped", time.perf_counter_ns()))
    import dis, sys
    stamps = []
    step()
    step()
    stamps.append(("end", time.perf_counter_ns()))
    last = stamps[-4:]
    for (_, a), (name, b) in zip(last, last[1:]):
        print(name, b - a)
    calls = [i for i in dis.get_instructions(step) if i.opname == "CALL"]
    jumps = [i for i in dis.get_instructions(step) if i.opname == "JUMP_BACKWARD"]
    returns = [i for i in dis.get_instructions(step) if i.opname.startswith("RETURN")]
    print("call", calls[2].offset)
    print("jump", jumps[0].offset)
    print("return", returns[-1].offset)
"""


def test_a_delay_sits_where_the_plan_puts_it(attached: Attached, compiled: bool) -> None:
    plain = dict(line.split() for line in attached(INSIDE, Plan()).stdout.splitlines())
    kinds = {"call": "inner", "return": "end"}
    if version() >= (3, 12):
        kinds["jump"] = "looped"
    for at, late in kinds.items():
        visits = 10 if at == "jump" else 1
        site = Site(at, int(plain[at]), "gil", 3e6 / visits)  # type: ignore[arg-type]
        doses = dose(site, line=5)
        run = attached(INSIDE, Plan(doses=doses, compiled=compiled))
        took = {k: int(v) for k, v in (line.split() for line in run.stdout.splitlines())}
        assert max(("inner", "looped", "end"), key=took.__getitem__) == late
        assert run.main.errors == []
        entry = run.one("target", "__main__:step")
        assert entry["calls"] == 2
        assert entry["delayed_ns"] == pytest.approx(6e6, rel=0.05)


def test_code_that_is_made_again_and_again_leaves_nothing_behind(
    attached: Attached, compiled: bool
) -> None:
    source = """
        import gc, sys
        made = {"__name__": "__main__"}
        for _ in range(300):
            exec("def step(): pass\\nstep()", made)
        met = sys.modules["_speedbump_injector.doses"]._Met
        gc.collect()
        print(sum(type(each) is met for each in gc.get_objects()))
    """
    site = Site("entry", -1, "gil", 0.0)
    run = attached(source, Plan(doses=dose(site, line=1), compiled=compiled))
    assert run.one("target", "__main__:step")["calls"] == 300
    assert int(run.stdout) == 0
