"""What callbacks cost beyond what was counted: each arm's own, weighed against the others'."""

from __future__ import annotations

import random

import pytest

from bisector.statistics import Estimate
from bisector.uncounted import weighed

DOF = 200.0
SEEN_UNEVEN = 0.42
"""Standard deviation of prices in `richards`, as a share of their average."""


def test_an_arm_that_is_alone_costs_what_it_shows() -> None:
    seen = {"a": Estimate(0.1, 0.02, DOF), "idle": Estimate(0.0, 0.02, DOF)}
    assert weighed(seen, {"a": 1000.0, "idle": 0.0}, "a") == seen["a"]


def test_noise_is_not_taken_for_what_callbacks_cost() -> None:
    """Four functions of a thousand calls cost a tenth each; one of a single call seems to."""
    seen = {name: Estimate(0.1, 0.01, DOF) for name in "abcd"} | {"main": Estimate(0.1, 0.04, DOF)}
    calls = dict.fromkeys("abcd", 1000.0) | {"main": 1.0}
    once = weighed(seen, calls, "main")
    assert once.value == pytest.approx(0.0, abs=1e-3)
    assert once.se < 1e-3


def test_what_an_arm_shows_plainly_is_its_own() -> None:
    seen = {name: Estimate(0.1, 0.01, DOF) for name in "abcd"}
    plain = weighed(
        seen | {"dear": Estimate(0.2, 0.005, DOF)}, dict.fromkeys([*"abcd", "dear"], 1e3), "dear"
    )
    assert plain.value == pytest.approx(0.2, abs=0.005)
    noisy = weighed(
        seen | {"dear": Estimate(0.2, 0.2, DOF)}, dict.fromkeys([*"abcd", "dear"], 1e3), "dear"
    )
    assert noisy.value == pytest.approx(0.1, abs=0.02)
    assert noisy.se < 0.06


@pytest.mark.parametrize("noise", [0.005, 0.05, 0.2])
def test_intervals_cover_what_callbacks_really_cost(noise: float) -> None:
    chance, covered, trials = random.Random(int(1e3 * noise)), 0, 1000
    for _ in range(trials):
        calls = {name: 10.0 ** chance.uniform(0.0, 4.0) for name in range(10)}
        truth = {n: 1e-5 * calls[n] * chance.gauss(1.0, SEEN_UNEVEN) for n in calls}
        seen = {n: Estimate(chance.gauss(truth[n], noise), noise, DOF) for n in calls}
        found = weighed(seen, calls, 0)
        covered += abs(found.value - truth[0]) <= 1.96 * found.se
    assert covered >= 0.92 * trials
