"""A/A windows of a load whose speed wanders: nothing is delayed, and nothing may be found.

python tests/bisector/test_autocorrelation.py [TRIALS]    the error rate, by more trials
"""

from __future__ import annotations

import random
import sys
from math import exp, sqrt

from bisector.measurements import Measurements
from bisector.statistics import CONTROL, holm, sequence_p_value

ARMS = ("a", "b", "c", "d")
BLOCKS = 25
NOISE = 0.05


def finds_something(seed: int, memory: float) -> bool:
    """Whether any of the arms is ever found to matter, looking after each block.

    The log time per unit of consecutive windows is an autoregressive process: ``memory`` is the
    correlation of neighbours.
    """
    chance = random.Random(seed)
    measurements = Measurements((NOISE, 4.0))
    drift = chance.gauss(0.0, NOISE)
    for block in range(BLOCKS):
        order = [CONTROL, *ARMS]
        chance.shuffle(order)
        for arm in order:
            drift = memory * drift + sqrt(1.0 - memory**2) * chance.gauss(0.0, NOISE)
            measurements.add(arm, block, 0.01 * exp(drift))
        if block < 2:
            continue
        fit = measurements.fit()
        p_values = [sequence_p_value(fit.effect(arm), NOISE) for arm in ARMS]
        if min(holm(p_values)) <= 0.05:
            return True
    return False


def test_the_family_wise_error_stays_below_five_percent() -> None:
    """A short version of what this file does as a program."""
    found = sum(finds_something(seed, memory=0.9) for seed in range(20))
    assert found <= 3, "5 % would give more once in 60 times"


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    for strength in (0.0, 0.5, 0.9, 0.99):
        wrong = sum(finds_something(seed, strength) for seed in range(count))
        print(f"correlation {strength:4}: {wrong} of {count} ({wrong / count:.1%})", flush=True)
