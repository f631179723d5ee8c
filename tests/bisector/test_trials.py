"""Runs read as gains: the dose is what was delivered over what there was to be slowed."""

from __future__ import annotations

import random

import pytest

from bisector.discovery import Discovery, Function
from bisector.disturbance import Disturbance
from bisector.observations import Delivered, RunObserved
from bisector.own_time import OwnTime
from bisector.response import Point
from bisector.root import _as_if_undisturbed
from bisector.trials import Arm, Trials

WORK = Function("m:work", "m.py", 1, 1.0, 2e-3, 0.0, 0.0)
WAIT = Function("m:wait", "m.py", 9, 1.0, 0.0, 0.0, 8e-3)
OWN = OwnTime({f.target: f for f in (WORK, WAIT)})


def dose_of(delayed_s: dict[str, float], asked: float) -> float:
    """The dose of one arm after one run of 100 calls of each target."""
    trials = Trials(OWN)
    arm = Arm(frozenset(delayed_s), asked)
    delivered = {t: Delivered(100, 100, s * 1e9) for t, s in delayed_s.items()}
    trials.add(arm, 1, RunObserved(1, "ok", 1.0, 1.0, delivered=delivered), 0.01)
    return trials.dose(arm)


def test_what_was_counted_is_the_dose() -> None:
    assert dose_of({"m:work": 0.05, "m:wait": 0.2}, 0.25) == pytest.approx(0.25)
    assert dose_of({"m:work": 0.04, "m:wait": 0.2}, 0.25) < 0.25


def test_waits_that_shrank_do_not_make_the_dose_of_the_rest_smaller() -> None:
    assert dose_of({"m:work": 0.05, "m:wait": 0.0}, 0.25) == pytest.approx(0.25)


def test_waits_that_grew_do_not_make_the_dose_of_the_rest_larger() -> None:
    assert dose_of({"m:work": 0.05, "m:wait": 0.4}, 0.25) == pytest.approx(0.25)


def test_code_that_was_interrupted_once_is_not_taken_to_wait_for_what_its_callbacks_cost() -> None:
    tiny = Function("m:tiny", "m.py", 9, 100.0, 0.9e-3, 0.0, 0.1e-3, (), 100.0)
    trials = Trials(OwnTime({f.target: f for f in (WORK, tiny)}))
    arm = Arm(frozenset(("m:work", "m:tiny")), 0.25)
    delivered = {
        "m:work": Delivered(100, 100, 0.05e9, spun_ns=0.05e9),
        "m:tiny": Delivered(10_000, 0, 0.05e9, spun_ns=0.05e9),
    }
    trials.add(arm, 1, RunObserved(1, "ok", 1.0, 1.0, delivered=delivered), 0.01)
    assert trials.dose_of(frozenset(("m:tiny",)), arm) == pytest.approx(0.5)
    assert trials.dose(arm) == pytest.approx(0.1 / 0.29)


def test_what_a_window_was_delayed_by_on_cpu_evens_it_out_and_not_how_long_waits_were() -> None:
    trials, arm = Trials(OWN), Arm(frozenset(("m:work", "m:wait")), 0.25)
    for block, waited_ns in enumerate((1e7, 3e8, 5e7), 1):
        delivered = {
            "m:work": Delivered(100, 100, 5e7, spun_ns=5e7),
            "m:wait": Delivered(100, 100, waited_ns, spun_ns=0.0),
        }
        trials.add(None, block, RunObserved(block, "ok", 1.0, 1.0), 1.0)
        observed = RunObserved(block, "ok", 1.0, 1.0, delivered=delivered)
        trials.add(arm, block, observed, 1.05)
    effect = trials.fit().effect(arm)
    assert effect.value == pytest.approx(0.05)
    assert effect.se < 1e-4


def test_a_wait_alone_has_the_dose_it_was_given() -> None:
    assert dose_of({"m:wait": 0.1}, 0.25) == pytest.approx(0.125)


def test_some_of_an_arm_s_targets_have_a_dose_of_their_own() -> None:
    """Work that was given twice the dose, as if its own time had been seen too large."""
    trials = Trials(OWN)
    arm = Arm(frozenset(("m:work", "m:wait")), 0.25)
    delivered = {"m:work": Delivered(100, 100, 0.1e9), "m:wait": Delivered(100, 100, 0.2e9)}
    for seq in (1, 2):
        observed = RunObserved(seq, "ok", 1.0, 1.0, delivered=delivered)
        trials.add(arm, seq, observed, 0.01)
    assert trials.dose(arm) == pytest.approx(0.3)
    assert trials.dose_of(frozenset(("m:work",)), arm) == pytest.approx(0.5)
    assert trials.dose_of(frozenset(("m:other",)), arm) == 0.0


def test_there_is_no_gain_without_an_undelayed_run_to_compare_with() -> None:
    """A budget may end in the first block of a stage, before its control."""
    trials = Trials(OWN)
    arm = Arm(frozenset(("m:work",)), 0.25)
    delivered = {"m:work": Delivered(100, 100, 0.05e9)}
    trials.add(arm, 1, RunObserved(1, "ok", 1.0, 1.0, delivered=delivered), 0.01)
    assert trials.gain(arm) is None
    assert trials.bounds(arm, 0.05, 0.05) is None
    assert trials.effect(arm, 0.05) is None


@pytest.mark.parametrize(
    ("calls", "lost"),
    [
        ({"m:work": (100, 80), "m:wait": (100, 80)}, 0.2),
        ({"m:work": (100, 100), "m:wait": (100, 50)}, 0.0),
        ({"m:wait": (100, 50)}, 0.5),
    ],
    ids=["all of it", "only looks now and then", "waits are all there is"],
)
def test_work_lost_is_what_larger_doses_leave_undone(
    calls: dict[str, tuple[int, int]], lost: float
) -> None:
    trials = Trials(OWN)
    low, high = (Arm(frozenset(calls), dose) for dose in (0.25, 0.5))
    for block in (1, 2):
        assert trials.work_lost(high, low) is None
        for arm, which in ((low, 0), (high, 1)):
            delivered = {t: Delivered(n[which], n[which], 1e9) for t, n in calls.items()}
            trials.add(arm, block, RunObserved(1, "ok", 1.0, 1.0, delivered=delivered), 0.01)
    found = trials.work_lost(high, low)
    assert found is not None
    assert found.value == pytest.approx(lost, abs=0.03)


@pytest.mark.parametrize("tiny_dose", [0.25, 1.0], ids=["as asked", "four times as much"])
def test_a_share_does_not_depend_on_what_the_rest_was_given_too_much_of(tiny_dose: float) -> None:
    """A callback costs more than the dose of a tiny function; work is 80 % of what matters."""
    tiny = Function("m:tiny", "m.py", 5, 1.0, 0.5e-3, 0.0, 0.0)
    trials = Trials(OwnTime({f.target: f for f in (WORK, tiny)}))
    part, whole = Arm(frozenset(("m:work",)), 0.25), Arm(frozenset(("m:work", "m:tiny")), 0.25)
    work, rest = (Delivered(100, 100, ns) for ns in (0.05e9, 0.05e9 * tiny_dose))
    for block in (1, 2, 3):
        noise = 1e-6 * block
        trials.add(None, block, RunObserved(1, "ok", 1.0, 1.0), 0.01 + noise)
        observed = RunObserved(1, "ok", 1.0, 1.0, delivered={"m:work": work})
        trials.add(part, block, observed, 0.0105 - noise)
        observed = RunObserved(1, "ok", 1.0, 1.0, delivered={"m:work": work, "m:tiny": rest})
        trials.add(whole, block, observed, 0.0105 + 0.0005 * tiny_dose + noise)
    assert trials.share(part, whole).estimate == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("usual_cpu_s", "is_window", "slower"),
    [(0.002, True, 1.5), (0.006, True, 0.5), (0.006, False, 1.0), (None, True, 1.0)],
    ids=["slower by now", "faster by now", "a watched run polls more", "not known"],
)
def test_own_times_are_those_of_the_processors_as_they_are(
    usual_cpu_s: float | None, is_window: bool, slower: float
) -> None:
    """Work takes longer than when it was measured, and the same delay is less of it; waits do
    not."""
    own = OwnTime({f.target: f for f in (WORK, WAIT)})
    units = 50.0 if is_window else 1.0
    found = Discovery((WORK, WAIT), cpu_units=units, usual_cpu_s=usual_cpu_s)
    trials = Trials(own)
    work, wait = (Arm(frozenset((f.target,)), 0.25) for f in (WORK, WAIT))
    for arm, delayed_ns in ((work, 0.05e9), (wait, 0.2e9)):
        delivered = dict.fromkeys(arm.targets, Delivered(100, 100, delayed_ns))
        trials.add(arm, 1, RunObserved(1, "ok", 1.0, 1.0, delivered=delivered), 0.01)
    assert (trials.dose(work), trials.dose(wait)) == pytest.approx((0.25, 0.25))
    own.judge_speed(found, 0.003)
    assert (trials.dose(work), trials.dose(wait)) == pytest.approx((0.25 / slower, 0.25))
    assert trials.injected_s(work) == pytest.approx(0.5e-3), "what was injected is what was counted"


@pytest.mark.parametrize(("computing_s", "slower"), [(2e-3, 1.0), (4e-3, 0.75)])
def test_a_program_does_not_compute_for_longer_than_its_cpu_time(
    computing_s: float, slower: float
) -> None:
    """A discovery run took 6 ms of CPU and the usual one 3: some of it was polling, or all of it
    was slow."""
    own = OwnTime({WORK.target: WORK})
    own.judge_speed(Discovery((WORK,), gil_s=computing_s, usual_cpu_s=0.006), 0.003)
    assert own.per_unit_s(frozenset((WORK.target,))) == pytest.approx(slower * WORK.gil_s)


@pytest.mark.parametrize(("lanes", "x_ns"), [(1, 7e6), (2, 5e6)])
def test_slower_processors_use_up_slack_as_delays_do(lanes: int, x_ns: float) -> None:
    """In a window of a single lane: its delays of 5 ms, and 2 ms more work than usual."""
    found = Discovery((WORK,), cpu_units=50.0, lanes=lanes)
    trials = Trials(OWN)
    arm = Arm(frozenset(("m:work",)), 2.5)
    trials.add(None, 1, RunObserved(1, "ok", 1.0, 1.0, cpu_s=0.03, units=10), 0.01)
    delivered = {"m:work": Delivered(10, 10, 50e6, 50e6)}
    slowed = RunObserved(2, "ok", 1.0, 1.0, cpu_s=0.1, units=10, delivered=delivered)
    trials.add(arm, 1, slowed, 0.01)
    assert _as_if_undisturbed(found, trials, arm, Point(5e6, 0.1, 0.01)).x == pytest.approx(x_ns)


@pytest.mark.parametrize(
    ("more_s", "dose", "drop"), [(0.0, 0.5, 1.0 / 11.0), (1e-3, 1.0, 2.0 / 12.0)]
)
def test_what_callbacks_cost_beyond_what_is_counted_is_part_of_the_dose_and_of_the_drop(
    more_s: float, dose: float, drop: float
) -> None:
    """A single lane of 10 ms a unit; of its windows 1 ms is counted, and more is spent on CPU."""
    rng, disturbance = random.Random(5), Disturbance()
    disturbance.lanes = 1
    trials, arm = Trials(OWN, disturbance=disturbance), Arm(frozenset(("m:work",)), 0.5)
    delivered = {"m:work": Delivered(10, 10, 10e6, 10e6)}
    for block in range(1, 17):
        for delay_s in (0.0, 1e-3):
            added_s = more_s if delay_s else 0.0
            cpu_s = rng.uniform(10e-3, 10.2e-3) + added_s
            time_s = cpu_s + delay_s + rng.gauss(0.0, 1e-5)
            disturbance.learn(block, time_s, cpu_s, {"m:work": delay_s} if delay_s else None, True)
            observed = RunObserved(
                block,
                "ok",
                1.0,
                1.0,
                lane_cpu_s=10 * cpu_s,
                units=10.0,
                delivered=delivered if delay_s else {},
            )
            trials.add(arm if delay_s else None, block, observed, time_s)
    effect = trials.effect(arm, 0.05)
    assert effect is not None
    assert effect.critical_fraction is not None
    assert effect.critical_fraction.estimate == pytest.approx(1.0, abs=0.1)
    assert effect.counted_dose == pytest.approx(0.5)
    assert effect.dose == pytest.approx(dose, abs=0.05)
    assert effect.drop.estimate == pytest.approx(drop, abs=0.01)
    assert effect.drop.lo <= drop <= effect.drop.hi


@pytest.mark.parametrize(("of_window", "critical_fraction"), [(True, 1.0), (False, 1.2)])
def test_in_windows_what_is_injected_is_what_was_counted_in_them(
    of_window: bool, critical_fraction: float
) -> None:
    """A program whose work grows: by now a unit makes 1.2 of the calls that it made at first."""
    found = Discovery((WORK,), cpu_units=30.0 if of_window else 1.0)
    trials = Trials(OwnTime({WORK.target: WORK}, found=found))
    arm = Arm(frozenset(("m:work",)), 0.5)
    delivered = {"m:work": Delivered(12, 12, 12e6, 12e6)}
    for block in (1, 2, 3):
        trials.add(None, block, RunObserved(block, "ok", 1.0, 1.0, units=10.0), 10e-3)
        slowed = RunObserved(block, "ok", 1.0, 1.0, units=10.0, delivered=delivered)
        trials.add(arm, block, slowed, 11.2e-3)
    effect = trials.effect(arm, 0.05)
    assert effect is not None
    assert effect.critical_fraction is not None
    assert effect.critical_fraction.estimate == pytest.approx(critical_fraction)


@pytest.mark.simulation
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_shares_that_are_looked_at_after_every_block_keep_their_error(share: float) -> None:
    """200 trials of 10 blocks, noise of 5 %: the interval never excludes what is right in 95 %."""
    wrong, rng = 0, random.Random(11)
    part, whole = (Arm(frozenset(each), 1.0) for each in (("m:work",), ("m:work", "m:wait")))
    delivered = {
        part: {"m:work": Delivered(1, 1, 2e6)},
        whole: {"m:work": Delivered(1, 1, 2e6), "m:wait": Delivered(1, 1, 8e6)},
    }
    for _ in range(200):
        trials, outside = Trials(OWN), False
        for block in range(1, 11):
            times = {None: 1.0, part: 1.0 + 0.4 * share, whole: 1.4}
            for arm, usual_s in times.items():
                time_s = usual_s * rng.lognormvariate(0.0, 0.05)
                counted = {} if arm is None else delivered[arm]
                observed = RunObserved(block, "ok", 1.0, 1.0, delivered=counted)
                trials.add(arm, block, observed, time_s)
            if block >= 2:
                seen = trials.share(part, whole)
                outside |= not seen.lo <= share <= seen.hi
        wrong += outside
    assert wrong <= 16  # of 200, at 5 %: 10
