"""Runs for a fixed time whatever happens, and says how much it got done only as a count.

With the run's time as the metric every delay looks harmless, while counted calls fall.
"""

import time

DURATION_S = 0.6


def step(seed):
    total = seed + 1
    for index in range(8_000):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    done = 0
    end = time.monotonic() + DURATION_S
    while time.monotonic() < end:
        step(done)
        done += 1
    print(f"finished after {DURATION_S} seconds, {done} steps done")


if __name__ == "__main__":
    main()
