"""Times per unit with what other users of the processors added taken out of them."""

from __future__ import annotations

import math
import random

import pytest

from bisector.disturbance import LEAST_RUNS, Disturbance
from bisector.measurements import Measurements
from bisector.statistics import CONTROL, t_quantile

T0, CPU0, UNITS = 1e-3, 0.5, 1000
"""An undisturbed run: 1 ms a unit, of which 0.5 ms on CPU."""


def disturbed(rng: random.Random) -> float:
    """What a run's work takes longer on CPU, in seconds."""
    return rng.choice((0.0, 0.05, 0.2)) * rng.random()


def learnt(
    runs: int = 12, seed: int = 0, depends: float = 1.0, lanes: int = 0, rest_s: float = 3e-3
) -> Disturbance:
    rng, found = random.Random(seed), Disturbance()
    found.lanes = lanes
    for _ in range(runs):
        more = disturbed(rng)
        felt = depends * more + rng.gauss(0.0, rest_s)
        found.learn(0, T0 + felt / UNITS, CPU0 + more)
    return found


def test_undelayed_runs_tell_what_their_cpu_time_does_to_the_time_per_unit() -> None:
    found = learnt()
    assert found.matters
    assert found.slope == pytest.approx(1.0 / UNITS, abs=4.0 * found.slope_se)
    assert found.left < 0.2 * found.noise
    assert f"vary by {found.noise:.1%}" in (found.sentence() or "")


def test_nothing_is_taken_out_where_little_is_known_or_little_explained() -> None:
    assert not learnt(LEAST_RUNS - 1).matters
    assert not learnt(depends=0.05).matters  # hardly any noise
    independent, rng = Disturbance(), random.Random(1)
    for _ in range(30):
        independent.learn(0, T0 * rng.uniform(1.0, 1.2), CPU0 * rng.uniform(1.0, 1.2))
    assert not independent.matters
    silent = Disturbance()
    for _ in range(30):
        silent.learn(0, T0 * rng.uniform(1.0, 1.2), None)
    assert not silent.matters


def test_a_lane_that_is_alone_tells_what_little_its_cpu_time_does() -> None:
    assert learnt(depends=0.2, lanes=1, rest_s=1e-3).matters
    assert not learnt(depends=0.2, lanes=4, rest_s=1e-3).matters


@pytest.mark.parametrize(
    ("lanes", "computing", "matters"), [(1, 1.0, True), (1, 0.9, False), (2, 1.0, False)]
)
def test_in_a_lane_that_computes_all_the_time_a_second_of_cpu_takes_a_second(
    lanes: int, computing: float, matters: bool
) -> None:
    """Also where undelayed windows hardly differ: what callbacks cost is known from nothing else,
    and slowed code would seem to gain twice what it is slowed by."""
    chance, quiet = random.Random(2), Disturbance()
    quiet.lanes = lanes
    for _ in range(20):
        cpu_s = computing * T0 * (1.0 + chance.gauss(0.0, 1e-4))
        quiet.learn(0, T0 * (1.0 + chance.gauss(0.0, 1e-3)), cpu_s, of_lanes=True)
    assert quiet.matters is matters
    assert quiet.slope == float(matters)
    assert quiet.sentence() is None, "there is nothing to speak of"


CODE = frozenset({"m:f", "m:g"})


def slow(
    data: Measurements,
    disturbance: Disturbance | None,
    block: int,
    delay_s: float,
    *,
    name: str = "arm",
    felt: float = 1.0,
    less_work: float = 0.0,
    targets: frozenset[str] = CODE,
    rng: random.Random,
) -> None:
    """One run of an arm, as a lab makes it; without a delay one of the control."""
    more = disturbed(rng)
    time_s, cpu_s = T0 + (more + felt * delay_s) / UNITS, CPU0 + more - less_work
    if delay_s:
        data.add(name, block, time_s, cpu_s, targets)
    else:
        data.add(CONTROL, block, time_s, cpu_s)
    if disturbance is not None:
        each = delay_s / len(targets)
        disturbance.learn(block, time_s, cpu_s, dict.fromkeys(targets, each) if delay_s else None)


def stage(
    disturbance: Disturbance | None,
    *,
    delay_s: float = 0.2,
    felt: float = 1.0,
    less_work: float = 0.0,
    blocks: int = 16,
    seed: int = 3,
) -> Measurements:
    """An arm whose delay is ``felt`` by the time per unit, and takes ``less_work`` off the CPU."""
    rng, data = random.Random(seed), Measurements(disturbance=disturbance)
    for block in range(1, blocks + 1):
        slow(data, disturbance, block, 0.0, rng=rng)
        slow(data, disturbance, block, delay_s, felt=felt, less_work=less_work, rng=rng)
    return data


def test_a_disturbed_arm_is_compared_as_if_nothing_had_disturbed_it() -> None:
    known = learnt()
    plain, clean = stage(None).fit().effect("arm"), stage(known).fit().effect("arm")
    assert clean.se < 0.4 * plain.se
    usual = T0 + (known.usual_s - CPU0) / UNITS
    assert clean.value == pytest.approx(0.2e-3 / usual, abs=4.0 * clean.se)


def test_hidden_code_that_makes_another_lane_poll_less_is_compared_as_measured() -> None:
    plain = stage(None, felt=0.0, less_work=0.2).fit().effect("arm")
    seen = stage(learnt(), felt=0.0, less_work=0.2).fit().effect("arm")
    assert abs(seen.value) < 4.0 * seen.se
    assert seen.se > 0.7 * plain.se


@pytest.mark.parametrize(("lanes", "expected"), [(4, 0.0), (1, -0.012)])
def test_what_slowed_runs_plainly_compute_more_is_taken_out_in_a_single_lane_alone(
    lanes: int, expected: float
) -> None:
    """Among many lanes nothing may wait for it."""
    known = learnt()
    known.lanes = lanes
    effect = stage(known, felt=0.0, less_work=-0.012, blocks=300).fit().effect("arm")
    assert effect.value == pytest.approx(expected, abs=0.004)


def test_what_delays_do_to_cpu_time_is_learnt_from_all_runs_that_slowed_the_code() -> None:
    known, rng = learnt(), random.Random(5)
    stage(known)
    part = frozenset({"m:f"})
    assert known.is_same_work(CODE)
    assert not known.is_same_work(part)  # never slowed without the rest
    data = Measurements(disturbance=known)
    for block in range(100, 104):
        slow(data, known, block, 0.0, rng=rng)
        slow(data, known, block, 0.2, name="part", targets=part, rng=rng)
        slow(data, known, block, 0.01, name="small", targets=part, rng=rng)
    assert known.is_same_work(part)
    assert data.fit().effect("small").se < 0.02


def test_a_part_of_the_delays_that_surely_changes_cpu_time_is_enough_to_compare_as_measured() -> (
    None
):
    known, rng = learnt(), random.Random(4)
    data = Measurements(disturbance=known)
    for block in range(1, 60):
        slow(data, known, block, 0.0, rng=rng)
        slow(data, known, block, 0.2, less_work=0.06, rng=rng)
    assert not known.is_same_work(CODE)


@pytest.mark.parametrize(
    ("lanes", "more_work", "same"), [(1, 0.12, True), (1, -0.12, False), (2, 0.12, False)]
)
def test_what_a_single_lane_computes_more_when_slowed_is_what_slowing_costs(
    lanes: int, more_work: float, same: bool
) -> None:
    """Nobody waits for slowed code there, and so nobody asks more often whether it is done."""
    known, rng = learnt(), random.Random(7)
    known.lanes = lanes
    for block in range(1, 40):
        for delay_s in (0.0, 0.2):
            more = disturbed(rng)
            cpu_s = CPU0 + more + more_work * (delay_s > 0.0)
            delays_s = {"m:f": delay_s} if delay_s else None
            known.learn(block, T0 + (more + delay_s) / UNITS, cpu_s, delays_s, of_lanes=True)
    assert known.is_same_work(frozenset({"m:f"})) is same


def test_code_that_was_never_slowed_is_not_seen_to_do_the_same_work() -> None:
    known = learnt()
    stage(known)
    assert not known.is_same_work(frozenset({"x:y"}))


def test_runs_that_do_not_tell_their_cpu_time_are_compared_as_measured() -> None:
    data = Measurements(disturbance=learnt())
    for block in range(4):
        data.add(CONTROL, block, T0 * (1.0 + 0.01 * block))
        data.add("arm", block, 1.2 * T0 * (1.0 + 0.01 * block))
    assert data.fit().effect("arm").value == pytest.approx(0.2)


def test_what_is_learnt_later_counts_for_earlier_runs_too() -> None:
    known, rng = Disturbance(), random.Random(2)
    data = Measurements(disturbance=known)
    for _ in range(LEAST_RUNS - 1):
        slow(data, known, 0, 0.0, rng=rng)
    before = data.fit().sigma
    known.learn(0, T0 + 0.15 / UNITS, CPU0 + 0.15)
    assert known.matters
    assert data.fit().sigma < 0.5 * before


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        Measurements().add(CONTROL, 0, bad)


@pytest.mark.simulation
@pytest.mark.parametrize(("felt", "less_work"), [(1.0, 0.0), (0.0, 0.0), (0.0, 0.2)])
def test_intervals_cover_what_they_should(felt: float, less_work: float) -> None:
    """200 trials each; at 95 % some 10 miss."""
    missed = 0
    for seed in range(200):
        known = learnt(15, seed)
        fit = stage(known, felt=felt, less_work=less_work, seed=1000 + seed).fit()
        found = fit.effect("arm")
        clean = T0 + (known.usual_s - CPU0) / UNITS
        truth = felt * 0.2e-3 / (clean if known.matters else fit.level(CONTROL).value)
        missed += abs(found.value - truth) > t_quantile(0.025, found.dof) * found.se
    assert missed <= 20


def drifting(total, noise, runs=30):
    chance = random.Random(1)
    data = Measurements()
    for number in range(runs):
        drift = total * number / (runs - 1)
        data.add(CONTROL, number, 0.01 * math.exp(drift + chance.gauss(0.0, noise)))
    return data.trend(CONTROL)


def test_a_rate_that_trends_is_noticed():
    assert drifting(0.4, 0.03) == pytest.approx(math.exp(0.4) - 1.0, rel=0.15)
    assert drifting(-0.3, 0.03) == pytest.approx(math.exp(-0.3) - 1.0, rel=0.15)


@pytest.mark.parametrize(("total", "noise", "runs"), [(0.0, 0.1, 30), (0.05, 0.001, 30), (1, 0, 5)])
def test_noise_a_small_drift_and_a_few_runs_are_no_trend(total, noise, runs):
    assert drifting(total, noise, runs) is None


def test_a_few_runs_that_something_else_disturbed_do_not_hide_what_cpu_time_explains():
    chance = random.Random(3)
    disturbance = Disturbance()
    for block in range(40):
        more_s = disturbed(chance)
        away_s = 0.5 if block % 10 == 9 else 0.0
        time_s = T0 + (more_s + away_s) / UNITS + chance.gauss(0.0, 0.005) * T0
        disturbance.learn(block, time_s, CPU0 + more_s)
    assert disturbance.matters
    assert disturbance.slope == pytest.approx(1.0 / UNITS, rel=0.15)


def test_one_slow_run_that_was_off_its_core_as_well_is_not_the_rule_for_slow_ones() -> None:
    """A lane that computes all the time: of undelayed windows one was slow, and interrupted for
    long. A slowed window that was slow, and not interrupted, looked faster than without delays."""
    chance, disturbance = random.Random(4), Disturbance()
    disturbance.lanes = 1
    data = Measurements(disturbance=disturbance)
    for block, slow_s in enumerate([*(chance.uniform(0.0, 0.08) for _ in range(20)), 0.5, 0.45]):
        last = block == 21
        time_s = cpu_s = T0 * (1.0 + slow_s)
        if block == 20:
            time_s += 0.05 * T0
        delay_s = 0.02 * T0 if last else 0.0
        data.add("arm" if last else CONTROL, block, time_s + delay_s, cpu_s, CODE, delay_s)
        delays_s = dict.fromkeys(CODE, 0.5 * delay_s) if last else None
        disturbance.learn(block, time_s + delay_s, cpu_s, delays_s, of_lanes=True)
    assert disturbance.matters
    assert disturbance.slope == pytest.approx(1.0)
    assert data.fit().level("arm").value > data.fit().level(CONTROL).value
