"""What lengthening one function of a generated program does to a unit, without the tool.

    python lengthened.py FOLDER ROUNDS STEPS MODULE:CONSTANT=FACTOR...

Prints a JSON object: for each constant what a unit takes with it so many times as large, over what
it takes as it is; the median of so many pairs of neighbouring stretches of one process, which take
turns in being first.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
from collections.abc import Callable


def ratio(run: Callable[[int], float], steps: int, place: str, factor: float, first: bool) -> float:
    """One pair of stretches."""
    module, _, constant = place.partition(":")
    namespace = vars(importlib.import_module(module))
    plain = namespace[constant]
    taken = {}
    for longer in (first, not first):
        namespace[constant] = round(plain * factor) if longer else plain
        taken[longer] = run(steps)
    namespace[constant] = plain
    return taken[True] / taken[False]


def main() -> None:
    """Everything that was asked for, in turn."""
    folder, rounds, steps, *asked = sys.argv[1:]
    sys.path.insert(0, folder)
    run = importlib.import_module("bench").run
    factors = {place: float(factor) for place, _, factor in (one.partition("=") for one in asked)}
    ratios: dict[str, list[float]] = {place: [] for place in factors}
    run(int(steps))
    for number in range(int(rounds)):
        for place, factor in factors.items():
            ratios[place].append(ratio(run, int(steps), place, factor, number % 2 == 0))
    print(json.dumps({place: statistics.median(of_place) for place, of_place in ratios.items()}))


if __name__ == "__main__":
    main()
