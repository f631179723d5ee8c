"""What delaying costs beyond what was counted: a callback costs more in one place than in another.

It shows in the CPU time that slowed runs take longer than undelayed ones, delays apart. That of a
single arm is often lost in noise, that of all of them is known well. So what an arm shows is
weighed against what its callbacks would cost at the others' average price, from which prices in one
place and another depart (the normal model of Efron and Morris 1975).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

from bisector.statistics import Estimate

UNEVEN = 0.5
"""Standard deviation of prices, as a share of their average. In `richards` it is 0.42: callbacks
cost 16 to 60 ns more than was calibrated."""

ROUNDS = 4
"""Times that the average is weighed anew."""

Arm = TypeVar("Arm", bound=Hashable)


def weighed(seen: Mapping[Arm, Estimate], callbacks: Mapping[Arm, float], arm: Arm) -> Estimate:
    """What an arm costs more.

    Args:
        seen: by arm what its runs took longer on CPU, in any unit.
        callbacks: in each of its units of work.
    """
    own, number = seen[arm], callbacks[arm]
    price = _price([(seen[other], callbacks[other]) for other in seen if other != arm])
    if price is None:
        return own
    variance = number**2 * (price.se**2 + UNEVEN**2 * (price.value**2 + price.se**2))
    total = variance + own.se**2
    share = variance / total if total > 0.0 else 1.0
    value = number * price.value + share * (own.value - number * price.value)
    return Estimate(value, math.sqrt(share) * own.se, own.dof)


def _price(others: list[tuple[Estimate, float]]) -> Estimate | None:
    """Of a callback, on average over arms; None where none has any."""
    known = [(each, number) for each, number in others if number > 0.0 and each.se > 0.0]
    price: Estimate | None = None
    for _ in range(ROUNDS if known else 0):
        usual = price.value if price else 0.0
        weights = [1.0 / (each.se**2 + (UNEVEN * usual * number) ** 2) for each, number in known]
        total = sum(w * number**2 for w, (_, number) in zip(weights, known, strict=True))
        value = sum(w * n * each.value for w, (each, n) in zip(weights, known, strict=True)) / total
        price = Estimate(value, total**-0.5, min(each.dof for each, _ in known))
    return price
