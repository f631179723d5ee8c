"""A heavy function called once per step, a tiny one called a million times in the run.

Truth: by gain, not by call count. `solve` (one call per step) is most of the time and comes
first, gain about 0.85; `clamp` (a million calls) and the loop that calls it share the rest.
"""

import time

STEPS = 50
TINY_CALLS = 20_000


def clamp(value):
    return value


def solve(seed):
    total = seed + 1
    for index in range(200_000):
        total = (total * 31 + index) % 1_000_003
    return total


def smooth(start):
    value = start
    for _ in range(TINY_CALLS):
        value = clamp(value)
    return value


def main():
    begin = 0.0
    for step in range(STEPS):
        smooth(solve(step))
        if step == 3:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 4) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
