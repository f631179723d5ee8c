"""Live mode, from outside: doses switched in running processes, through a page and a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from attached_runs import BOOTSTRAP, PYTHON

from injector.control import Control
from injector.follow import Follower, between, stems
from injector.plan import ByState, Dose, Plan, Site
from injector.records import read_records

pytestmark = pytest.mark.process

SOON_S = 20.0


class Running:
    """A program that runs with a plan, and the tool's side of its page."""

    def __init__(self, folder: Path, source: str, plan: Plan) -> None:
        self.slot = folder / "slot"
        (self.slot / "records").mkdir(parents=True)
        self.control = Control(str(self.slot / "control"), 16, create=True)
        self.epoch = self.control.change({}, 1)
        self.write(plan)
        script = folder / "program.py"
        script.write_text(dedent(source))
        environment = os.environ | {
            "SPEEDBUMP_BISECT": str(self.slot),
            "PYTHONPATH": str(BOOTSTRAP),
        }
        self.process = subprocess.Popen(
            [PYTHON, str(script)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.followers: dict[str, Follower] = {}

    def write(self, plan: Plan) -> None:
        fresh = self.slot / "plan.new"
        fresh.write_text(plan.to_json())
        fresh.replace(self.slot / "plan.json")

    def find(self, count: int, wake: bool = True) -> list[Follower]:
        """So many processes, once they listen (or, not to wake them, once they are there)."""

        def found() -> bool:
            for stem in stems(str(self.slot / "records")):
                if stem not in self.followers:
                    try:
                        self.followers[stem] = Follower(stem)
                    except OSError:
                        continue
            for follower in self.followers.values():
                follower.read_names()
            return sum(not wake or f.wake(self.epoch) for f in self.followers.values()) >= count

        until(found)
        return list(self.followers.values())

    def switch(self, doses: dict[int, float | ByState], plan: int = 1) -> float:
        """Seconds until every process has followed. One dose serves all states."""
        began = time.monotonic()
        self.epoch = self.control.change(
            {e: d if isinstance(d, tuple) else (d, d, d) for e, d in doses.items()}, plan
        )

        def followed() -> bool:
            # One that is just starting listens a moment later.
            late = [f for f in self.followers.values() if f.epoch != self.epoch]
            return not [f.wake(self.epoch) for f in late]

        until(followed)
        return time.monotonic() - began

    def stretch(self, units: int, targets: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
        """Counters of targets per unit of work over a stretch, and ns per unit as ``""``."""
        before = self.moment(targets)
        until(lambda: self.moment(targets)[0][0] - before[0][0] >= units)
        after = self.moment(targets)
        passed = after[0][0] - before[0][0]
        found: dict[str, tuple[float, ...]] = {
            target: tuple(
                (b - a) / passed for a, b in zip(before[1][target], after[1][target], strict=True)
            )
            for target in targets
        }
        found[""] = ((after[0][1] - before[0][1]) / passed,)
        return found

    def moment(
        self, targets: tuple[str, ...]
    ) -> tuple[tuple[int, int], dict[str, tuple[int, ...]]]:
        calls = last = 0
        counted = dict.fromkeys(targets, (0,) * 8)
        for follower in self.followers.values():
            follower.read_names()
            progress = follower.progress("__main__:step")
            calls, last = calls + progress.calls, max(last, progress.last_ns)
            for target, values in follower.counted(targets).items():
                counted[target] = tuple(a + b for a, b in zip(counted[target], values, strict=True))
        return (calls, last), counted

    def let_go(self) -> None:
        for follower in self.followers.values():
            follower.close()
        self.followers.clear()

    def errors(self) -> list[str]:
        return [error for record in read_records(self.slot / "records") for error in record.errors]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not reached():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.001)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[str, Plan], Running]]:
    started: list[Running] = []

    def start(source: str, plan: Plan) -> Running:
        started.append(Running(tmp_path, source, plan))
        return started[-1]

    yield start
    for one in started:
        os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()


LOOP = """
    import time
    def work():
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
    def other():
        pass
    def step():
        work()
        other()
        time.sleep(0.0005)
    while True:
        step()
"""
WORK, OTHER = "__main__:work", "__main__:other"


def entry(target: str, line: int, ms: float = 1.0) -> Dose:
    return Dose(target, line, (Site("entry", -1, "gil", ms * 1e6),))


DOSES = (entry(WORK, 3), entry(OTHER, 7))


def live(compiled: bool, **changes: object) -> Plan:
    return Plan(doses=DOSES, live=True, progress="__main__:step", compiled=compiled, **changes)  # type: ignore[arg-type]


def test_only_what_the_page_says_is_delayed_and_counted(
    running: Callable[..., Running], compiled: bool
) -> None:
    run = running(LOOP, live(compiled))
    run.find(1)
    for doses, expected in (
        ({}, (0.0, 0.0)),
        ({0: 1.0}, (1.0, 0.0)),
        ({1: 0.5}, (0.0, 0.5)),
        ({0: 2.0, 1: 1.0}, (2.0, 1.0)),
        ({0: (0.5, 3.0, 3.0), 1: (1.5, 0.0, 0.0)}, (0.5, 1.5)),
        ({}, (0.0, 0.0)),
    ):
        run.switch(doses)
        run.stretch(3, (WORK, OTHER))
        seen = run.stretch(30, (WORK, OTHER))
        for target, ms in zip((WORK, OTHER), expected, strict=True):
            calls, _, delayed_ns, *_ = seen[target]
            assert calls == pytest.approx(1.0 if ms else 0.0, abs=0.07)
            assert delayed_ns / 1e6 == pytest.approx(ms, rel=0.15, abs=0.001)
    assert run.errors() == []


def test_what_is_counted_in_a_window_belongs_to_it(
    running: Callable[..., Running], compiled: bool
) -> None:
    """Of each unit as many delays as it has, wherever the tool looks at it."""
    run = running(LOOP, live(compiled))
    (follower,) = run.find(1)
    run.switch({0: 1.0, 1: 0.5})
    run.stretch(3, (WORK, OTHER))

    def still(number: int) -> tuple[int, list[int]]:
        follower.want_still(number)
        until(lambda: follower.has_still(number))
        counted = follower.counted((WORK, OTHER), still=True)
        return (
            follower.progress("__main__:step", still=True).calls,
            [n for target in (WORK, OTHER) for n in counted[target][:2]],
        )

    begin, then = still(1)
    for number in range(2, 40):
        end, now = still(number)
        units = end - begin
        assert units > 0
        counted = [b - a for a, b in zip(then, now, strict=True)]
        # The delays of a unit are its own; a debt may pay one later or earlier.
        assert counted[0::2] == [units, units]
        assert counted[1] == pytest.approx(units, abs=1)
        begin, then = end, now
    assert run.errors() == []


def test_a_process_without_its_tool_goes_on_at_full_speed(
    running: Callable[..., Running], compiled: bool
) -> None:
    run = running(LOOP, live(compiled))
    run.find(1)
    run.switch({0: 20.0})
    slow = run.stretch(5, (WORK,))
    run.let_go()
    run.find(1, wake=False)
    until(lambda: run.stretch(1, (WORK,))[WORK][0] == 0.0)
    fast = run.stretch(20, (WORK,))
    assert fast[""][0] < slow[""][0] / 3
    assert run.process.poll() is None
    assert run.errors() == []


FORKING = """
    import multiprocessing, time
    def work():
        pass
    def other():
        pass
    def step():
        work()
        time.sleep(0.001)
    def loop():
        while True:
            step()
    if __name__ == "__main__":
        children = [
            multiprocessing.get_context(method).Process(target=loop, daemon=True)
            for method in ("fork", "spawn") for _ in range(2)
        ]
        for child in children:
            child.start()
        loop()
"""


def test_every_process_of_a_tree_follows(running: Callable[..., Running], compiled: bool) -> None:
    run = running(FORKING, live(compiled))
    run.find(5)
    for doses, ms in (({0: 1.0}, 1.0), ({}, 0.0), ({0: 3.0}, 3.0)):
        run.switch(doses)
        run.stretch(10, (WORK,))
        _, _, delayed_ns, *_ = run.stretch(100, (WORK,))[WORK]
        assert delayed_ns / 1e6 == pytest.approx(ms, rel=0.15, abs=0.001)
    assert run.errors() == []


EVENT_LOOP = """
    import select
    def work():
        sum([n * n for n in range(5_000)])
    def other():
        pass
    def step():
        work()
        select.select([], [], [], 0)
    while True:
        step()
"""


def test_an_event_loop_that_is_never_idle_follows_at_once(
    running: Callable[..., Running], compiled: bool
) -> None:
    """It lets go of the GIL for moments only, so that another thread could wait for seconds."""
    run = running(EVENT_LOOP, live(compiled))
    run.find(1)
    run.stretch(100, ())
    units = []
    for doses in ({0: 0.1}, {}) * 10:
        before = run.moment(())[0][0]
        run.switch(doses)
        units.append(run.moment(())[0][0] - before)
    assert sorted(units)[10] <= 30
    assert max(units) <= 300
    assert run.errors() == []


def test_an_event_loop_that_is_never_idle_is_let_go_at_once(
    running: Callable[..., Running], compiled: bool
) -> None:
    """The core hears that the tool is gone before it has the GIL, and asks for it."""
    if not compiled:
        pytest.skip("the twin waits for the GIL like any thread")
    run = running(EVENT_LOOP, live(compiled))
    run.find(1)
    run.switch({0: 0.1})
    run.stretch(100, ())

    def delayed() -> int:
        return sum(e["delays"] for r in read_records(run.slot / "records") for e in r.of("target"))

    before = delayed()
    run.let_go()
    time.sleep(1.0)
    assert delayed() - before <= 30
    assert run.errors() == []


ONE_CALL = """
    import time
    def work():
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
    def other():
        pass
    def step():
        work()
    def loop():
        while True:
            step()
            other()
    loop()
"""


def test_another_plan_is_followed_by_code_that_runs_already(
    running: Callable[..., Running], compiled: bool
) -> None:
    """Discovery first, then delays, also at a place inside a call that never ends."""
    run = running(ONE_CALL, Plan(mode="discover", live=True, compiled=compiled))
    (follower,) = run.find(1)
    until(lambda: run.moment(())[0][0] > 50)
    before = read_records(run.slot / "records")
    until(lambda: run.moment(())[0][0] > 150)
    records = between(before, read_records(run.slot / "records"))
    functions = {e.fields["target"]: e for e in records[0].of("function")}
    assert functions[WORK]["calls"] == pytest.approx(functions["__main__:step"]["calls"], abs=2)
    assert functions["__main__:loop"]["calls"] == 0
    slot = functions["__main__:loop"].slot
    places = [e for e in records[0].of("site") if e.fields["function"] == slot]
    calls = [e.fields["offset"] for e in places if e.fields["at"] == "call"]
    sites = tuple(Site("call", offset, "gil", 1e6) for offset in calls[:1])
    plans: tuple[Dose, ...] = (entry(WORK, 3),)
    if sites:
        plans = (*plans, Dose("__main__:loop", 11, sites))
    run.write(Plan(doses=plans, live=True, progress="__main__:step", compiled=compiled))
    run.switch({}, plan=2)
    for number, target in enumerate((WORK, "__main__:loop")[: len(plans)]):
        run.switch({number: 1.0}, plan=2)
        run.stretch(3, (target,))
        assert run.stretch(30, (target,))[target][2] / 1e6 == pytest.approx(1.0, rel=0.15)
    assert follower.errors == []
    assert run.errors() == []


def test_the_page_can_be_missing_and_the_program_runs_all_the_same(
    running: Callable[..., Running], compiled: bool, tmp_path: Path
) -> None:
    slot = tmp_path / "slot"
    (slot / "records").mkdir(parents=True)
    (slot / "plan.json").write_text(live(compiled).to_json())
    environment = os.environ | {"SPEEDBUMP_BISECT": str(slot), "PYTHONPATH": str(BOOTSTRAP)}
    done = subprocess.run(
        [PYTHON, "-c", "print('fine')"], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")
    assert any(
        "control" in error for record in read_records(slot / "records") for error in record.errors
    )
