"""What calls of an empty function cost, and what they cost more where they are delayed.

    dense_calls.py cost OTHERS          fastest ns a call of `leaf`, beside so many other functions
    dense_calls.py delays CALLS ROUNDS  ns that a call of `leaf` takes longer than one of `twin`

Prints JSON: one number, or one for each round.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter_ns

CALLS, REPEATS = 20_000, 100


def leaf() -> None:
    """What is delayed."""


def twin() -> None:
    """The same, which is not."""


def others(number: int) -> dict[str, Callable[[], None]]:
    """So many functions, all of which have been called."""
    made: dict[str, Callable[[], None]] = {"__name__": __name__}  # type: ignore[dict-item]
    exec("\n".join(f"def other_{n}(): pass" for n in range(number)), made)
    for n in range(number):
        made[f"other_{n}"]()
    return made


def per_call_ns(function: Callable[[], None], calls: int) -> float:
    """Of one loop of calls, the loop included."""
    begin = perf_counter_ns()
    for _ in range(calls):
        function()
    return (perf_counter_ns() - begin) / calls


def main() -> None:
    """See the module."""
    what, first, *more = sys.argv[1:]
    if what == "cost":
        kept = others(int(first))
        print(json.dumps(min(per_call_ns(leaf, CALLS) for _ in range(REPEATS))))
        del kept
        return
    calls, (rounds,) = int(first), map(int, more)
    per_call_ns(leaf, 10)
    per_call_ns(twin, 10)
    print(json.dumps([per_call_ns(leaf, calls) - per_call_ns(twin, calls) for _ in range(rounds)]))


if __name__ == "__main__":
    main()
