"""Statistics against slow obvious references, and probability claims by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bisector.measurements import Measurements
from bisector.statistics import (
    CONTROL,
    Estimate,
    holm,
    sequence_p_value,
    sequence_radius,
    t_quantile,
)


def simulated(rng: np.random.Generator, effect: float, blocks: int, sigma: float) -> Measurements:
    data = Measurements()
    for block in range(blocks):
        shift = rng.normal(0.0, 0.5 * sigma)
        data.add(CONTROL, block, math.exp(shift + rng.normal(0.0, sigma)))
        data.add("arm", block, (1 + effect) * math.exp(shift + rng.normal(0.0, sigma)))
    return data


def test_effect_recovers_a_known_slowdown() -> None:
    rng = np.random.default_rng(1)
    effect = simulated(rng, 0.1, 200, 0.02).fit().effect("arm")
    assert effect.value == pytest.approx(0.1, abs=4 * effect.se)
    assert effect.se == pytest.approx(1.1 * 0.02 * math.sqrt(2 / 200), rel=0.25)


def test_one_outlier_does_not_move_the_estimate_far() -> None:
    rng = np.random.default_rng(2)
    data = simulated(rng, 0.0, 20, 0.01)
    data.add("arm", 20, 2.0)
    data.add(CONTROL, 20, 1.0)
    assert abs(data.fit().effect("arm").value) < 0.02


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_time_must_be_positive_and_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        Measurements().add(CONTROL, 0, bad)


@pytest.mark.simulation
def test_looking_after_every_block_keeps_the_error_rate() -> None:
    """300 null experiments, a look after each of 20 blocks: at most 5 % ever exclude zero.

    A plain z-test looked at as often is wrong in about a quarter of them.
    """
    rng = np.random.default_rng(3)
    wrong = naive = 0
    for _ in range(300):
        data = Measurements()
        sequence_hit = naive_hit = False
        for block in range(20):
            data.add(CONTROL, block, math.exp(rng.normal(0.0, 0.03)))
            data.add("arm", block, math.exp(rng.normal(0.0, 0.03)))
            if block < 1:
                continue
            effect = data.fit().effect("arm")
            sequence_hit |= abs(effect.value) > sequence_radius(effect, 0.05, 0.05)
            naive_hit |= abs(effect.value) > 1.96 * effect.se
        wrong += sequence_hit
        naive += naive_hit
    assert wrong <= 0.05 * 300
    assert naive > 3 * wrong


@given(st.floats(0.25, 0.5), st.sampled_from([0.05, 0.1]))
def test_a_sequence_tuned_to_one_effect_alone_is_narrower_where_that_is_the_one(
    se: float, alpha: float
) -> None:
    estimate = Estimate(0.0, se, 1e6)
    assert sequence_radius(estimate, alpha, 1.0, (1.0,)) < sequence_radius(estimate, alpha, 1.0)


@given(st.floats(0.1, 1.5), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_sequence_tuned_to_too_small_an_effect_is_hardly_wider(se: float, alpha: float) -> None:
    estimate = Estimate(0.0, se, 1e6)
    best = min(sequence_radius(estimate, alpha, scale) for scale in (0.5, 1.0, 2.0, 4.0))
    assert sequence_radius(estimate, alpha, 0.5) <= 1.25 * best


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_is_monotone_and_never_below_the_raw_p_value(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    ranked = [a for _, a in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


@given(st.floats(1e-6, 0.49), st.floats(1.0, 1e4))
def test_t_quantile_is_scipys(tail: float, dof: float) -> None:
    assert t_quantile(tail, dof) == pytest.approx(float(stats.t.isf(tail, dof)), rel=1e-6)


@given(st.floats(-0.5, 0.5), st.floats(1e-4, 0.2), st.floats(2.0, 500.0), st.floats(1e-3, 0.2))
def test_p_value_and_radius_agree(value: float, se: float, dof: float, scale: float) -> None:
    estimate = Estimate(value, se, dof)
    p = sequence_p_value(estimate, scale)
    assert 0.0 <= p <= 1.0
    if 1e-9 < p < 0.4:
        assert estimate.value > sequence_radius(estimate, 2.02 * p, scale)
        assert estimate.value <= sequence_radius(estimate, 1.98 * p, scale) * 1.0001
