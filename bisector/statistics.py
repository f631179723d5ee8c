"""Comparing repeated runs: small pure functions and one fit, on the scale of log time per unit.

Model: ``log t = arm + block + noise``. Arms are what is compared (one of them the control), blocks
are random effects (a block's runs share conditions and a stretch of time), the noise variance is
pooled over arms. Tails are tamed by an M-estimator (Huber 1964) that is wary of slow runs. Effects
are expressed on the scale of ``t/t0 - 1``, where contributions of a program's parts add up.

Looking at the data after every run and stopping when the answer is clear breaks fixed-sample tests.
Bounds here come from a normal-mixture confidence sequence (Robbins 1970; Howard, Ramdas, McAuliffe
and Sekhon 2021, eq. 14), which holds at every stopping time simultaneously; the estimated variance
is paid for by replacing normal quantiles with Student's at the same tail probability.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONTROL: Hashable = "control"
SCALES = (1.0, 3.0, 9.0)
"""Relative effect sizes a confidence sequence is tuned to at once: noise is hard to foretell, and
one that is tuned to a third of what it turns out to be can be twice as wide."""

CLOSE_SLOW, CLOSE_FAST = 1.25, 3.0
"""Residuals beyond this many standard deviations count less, with the square of their distance.

Tighter for slow runs: what disturbs a run from outside (another process, another guest) only ever
slows it, in every arm alike.
"""

NORMAL_LOSS = 1.33
"""What that weighting loses in variance when the noise is normal after all.

Asymptotic variance of the M-estimator, E[psi^2] / E[psi']^2 (Huber 1964), over what the weighted
sum of squares says, at the normal distribution."""
PRIOR_BLOCK_RATIO = 0.3
"""Assumed block variance / noise variance until there is data to say otherwise."""

LEAST_SCALED = 4
"""Runs of arms that have several from which on their own spread says what is far."""

LEAST_TAIL, LEAST_P = 1e-14, 1e-12
"""Probabilities below these are not told apart."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point estimate with its standard error and degrees of freedom."""

    value: float
    se: float
    dof: float


def t_quantile(tail: float, dof: float) -> float:
    """Upper quantile of Student's t with ``dof`` degrees of freedom at tail probability
    ``tail``."""
    from scipy.special import stdtrit

    return float(-stdtrit(dof, tail))


def t_tail(x: float, dof: float) -> float:
    """P(T > x) for Student's t with ``dof`` degrees of freedom."""
    from scipy.special import stdtr

    return float(stdtr(dof, -x))


def normal_tail(z: float) -> float:
    """P(Z > z) for a standard normal variable; stays accurate far out."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def normal_quantile(tail: float) -> float:
    """Upper quantile of the standard normal distribution at tail probability ``tail``."""
    from scipy.special import ndtri

    return float(-ndtri(tail))


def sequence_radius(
    estimate: Estimate, alpha: float, scale: float, scales: Sequence[float] = SCALES
) -> float:
    """Half-width of a confidence sequence of total error ``alpha`` (both sides), valid at any time.

    ``scale`` is the smallest effect size the mixture is tuned to; it has equal parts for ``scales``
    times that, and one is enough where the effect of interest is known. The guarantee does not
    depend on it, only the width does: it is narrowest while the standard error is about a third of
    one of them.
    """
    if estimate.se <= 0.0:
        return 0.0
    parts = _parts(estimate, scale, scales)
    # Each part is below exp(z²/2) and the mean reaches 1/alpha where one of them surely does.
    squares = ((1.0 + q) / q * (2.0 * math.log(len(parts) / alpha) + math.log1p(q)) for q in parts)
    z = math.sqrt(min(squares))
    step = z
    while step > 1e-12 * z:  # convex: Newton's steps from above never pass the solution
        value, slope = _log_mixture(z, parts)
        step = (value + math.log(alpha)) / slope
        z -= step
    tail = max(normal_tail(z), LEAST_TAIL)
    return estimate.se * max(z, t_quantile(tail, estimate.dof))


def _parts(estimate: Estimate, scale: float, scales: Sequence[float] = SCALES) -> list[float]:
    """Variances of the normal priors, in squared standard errors."""
    return [(factor * scale / estimate.se) ** 2 for factor in scales]


def _log_mixture(z: float, parts: Sequence[float]) -> tuple[float, float]:
    """Log of the mixture of likelihood ratios at ``z`` standard errors, and its slope there."""
    logs = [0.5 * (z * z * q / (1.0 + q) - math.log1p(q)) for q in parts]
    most = max(logs)
    weights = [math.exp(x - most) for x in logs]
    total = sum(weights)
    slope = sum(w * q / (1.0 + q) for w, q in zip(weights, parts, strict=True)) * z / total
    return most + math.log(total / len(logs)), slope


def sequence_p_value(estimate: Estimate, scale: float) -> float:
    """Anytime-valid p-value of "the effect is not positive" (one-sided), by inverting the sequence.

    The smallest one-sided error at which the lower end of `sequence_radius` stays above zero.
    """
    if estimate.value <= 0.0:
        return 1.0
    if estimate.se <= 0.0:
        return 0.0
    x = estimate.value / estimate.se
    tail = t_tail(x, estimate.dof)
    z = x if tail < LEAST_TAIL else min(x, normal_quantile(tail))
    alpha = math.exp(-_log_mixture(z, _parts(estimate, scale))[0])
    return 1.0 if alpha >= 1.0 else max(0.5 * alpha, LEAST_P)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted


@dataclass(frozen=True, slots=True)
class Fit:
    """Arm means of log t (relative to nothing) with their covariance.

    ``covariance`` is in units of squared log time; ``sigma`` is the noise of one run (its CV).
    """

    arms: tuple[Hashable, ...]
    means: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sigma: float
    dof: float
    counts: dict[Hashable, int]

    def contrast(self, weights: dict[Hashable, float]) -> Estimate:
        """A weighted sum of arm means with its standard error."""
        vector = np.zeros(len(self.arms))
        for arm, weight in weights.items():
            vector[self.arms.index(arm)] = weight
        variance = float(vector @ self.covariance @ vector)
        return Estimate(float(vector @ self.means), math.sqrt(max(variance, 0.0)), self.dof)

    def effect(self, arm: Hashable, control: Hashable = CONTROL) -> Estimate:
        """``t/t0 - 1`` of an arm against the control (delta method from the log scale)."""
        log_ratio = self.contrast({arm: 1.0, control: -1.0})
        ratio = math.exp(log_ratio.value)
        return Estimate(ratio - 1.0, ratio * log_ratio.se, log_ratio.dof)

    def effect_covariance(self, a: Hashable, b: Hashable, control: Hashable = CONTROL) -> float:
        """Covariance of two arms' effects: they share the control."""
        i, j, c = self.arms.index(a), self.arms.index(b), self.arms.index(control)
        k = self.covariance
        log_covariance = k[i, j] - k[i, c] - k[c, j] + k[c, c]
        scale = math.exp(self.means[i] - self.means[c]) * math.exp(self.means[j] - self.means[c])
        return float(log_covariance * scale)

    def level(self, arm: Hashable) -> Estimate:
        """Time per unit of an arm in seconds (geometric mean over runs)."""
        log_t = self.contrast({arm: 1.0})
        t = math.exp(log_t.value)
        return Estimate(t, t * log_t.se, log_t.dof)


def ratio_interval(
    a: Estimate, b: Estimate, covariance: float, quantile: float
) -> tuple[float, float, float]:
    """a/b with the delta-method interval of ``quantile`` standard errors: (estimate, low, high)."""
    ratio = a.value / b.value
    variance = (a.se**2 - 2.0 * ratio * covariance + ratio**2 * b.se**2) / b.value**2
    radius = quantile * math.sqrt(max(variance, 0.0))
    return ratio, ratio - radius, ratio + radius


def fit(rows: Sequence[tuple[Hashable, int, float]], known: float, known_dof: float) -> Fit:
    """Generalised least squares over (arm, block, log t), linear in the number of runs.

    Needs two runs of some arm for a variance. ``known``: what is known of one run's noise
    beforehand (standard deviation), worth ``known_dof`` degrees of freedom.

    A block's covariance is ``diag(1/w) + ratio·11'``, inverted by Sherman and Morrison's formula.
    """
    arms = list(dict.fromkeys(row[0] for row in rows))
    arm_index = {arm: i for i, arm in enumerate(arms)}
    block_index = {block: i for i, block in enumerate(dict.fromkeys(row[1] for row in rows))}
    n, p, q = len(rows), len(arms), len(block_index)
    a = np.array([arm_index[row[0]] for row in rows])
    b = np.array([block_index[row[1]] for row in rows])
    y = np.array([row[2] for row in rows])
    ratio = _block_ratio(a, b, y)
    weights, loss = np.ones(n), 1.0
    per_arm = np.bincount(a, minlength=p)
    repeated = per_arm[a] > 1
    shrunk = repeated.sum() / max(repeated.sum() - np.count_nonzero(per_arm > 1), 1.0)
    own_dof = max(0.0, n - p - ratio / (1.0 + ratio) * (q - 1))
    dof = max(1.0, own_dof + known_dof)
    for _ in range(12):
        shrink = ratio / (1.0 + ratio * np.bincount(b, weights, minlength=q))
        cells = np.zeros((p, q))
        np.add.at(cells, (a, b), weights)
        information = np.diag(np.bincount(a, weights, minlength=p)) - (cells * shrink) @ cells.T
        block_sums = np.bincount(b, weights * y, minlength=q)
        unscaled = np.linalg.inv(information)
        means = unscaled @ (
            np.bincount(a, weights * y, minlength=p) - cells @ (shrink * block_sums)
        )
        residual = y - means[a]
        block_effect = shrink * np.bincount(b, weights * residual, minlength=q)
        # What is left of each run after its block's share.
        leftover = residual - block_effect[b]
        squares = loss * float(np.sum(weights * residual * leftover)) + known_dof * known**2
        variance = max(squares / dof, 1e-10)
        # A run of an arm with few runs is fitted closely: its residual says little about tails.
        known_runs = np.abs(leftover)[repeated]
        scale = math.sqrt(variance)
        if len(known_runs) >= LEAST_SCALED:
            median = 1.4826 * float(np.median(known_runs)) * math.sqrt(shrunk)
            scale = max(median or scale, 0.1 * scale)
        size = np.abs(leftover) / scale
        k = np.where(leftover > 0.0, CLOSE_SLOW, CLOSE_FAST)
        updated = np.where(size > k, (k / np.maximum(size, 1e-12)) ** 2, 1.0)
        if np.allclose(updated, weights, atol=1e-3):
            break
        weights, loss = updated, NORMAL_LOSS
    counts = {arm: int(c) for arm, c in zip(arms, np.bincount(a, minlength=p), strict=True)}
    return Fit(tuple(arms), means, variance * unscaled, math.sqrt(variance), dof, counts)


def _block_ratio(a: NDArray[np.int64], b: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    """Block variance / noise variance, by moments, shrunk to a prior while data are few."""
    n, p, q = len(y), int(a.max()) + 1, int(b.max()) + 1
    cells = np.zeros((p, q))
    np.add.at(cells, (a, b), 1.0)
    per_arm, per_block = cells.sum(axis=1), cells.sum(axis=0)
    # Two-way fit (arms and blocks fixed): eliminate the blocks, solve for the arms.
    reduced = np.diag(per_arm) - (cells / per_block) @ cells.T
    block_sums = np.bincount(b, y, minlength=q)
    right = np.bincount(a, y, minlength=p) - cells @ (block_sums / per_block)
    arm_effects, _, rank, _ = np.linalg.lstsq(reduced, right, rcond=1e-10)
    dof_within, dof_total = n - q - int(rank), n - p
    if dof_within < 2 or dof_total <= dof_within:
        return PRIOR_BLOCK_RATIO
    block_effects = (block_sums - cells.T @ arm_effects) / per_block
    within = float(np.sum((y - arm_effects[a] - block_effects[b]) ** 2)) / dof_within
    arm_means = np.bincount(a, y, minlength=p) / per_arm
    gained = float(np.sum((y - arm_means[a]) ** 2)) - within * dof_within
    # E[gained] = noise * (dof_total - dof_within) + block * what arms leave of the blocks.
    left_of_blocks = n - float(np.sum(cells**2 / per_arm[:, None]))
    block = max(0.0, (gained - within * (dof_total - dof_within)) / max(left_of_blocks, 1e-9))
    estimate = min(block / max(within, 1e-12), 10.0)
    trust = dof_within / (dof_within + 4.0)
    return float(trust * estimate + (1.0 - trust) * PRIOR_BLOCK_RATIO)
