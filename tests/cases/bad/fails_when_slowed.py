"""Works as long as nobody touches it: a watchdog ends it when its steps take 15 % longer.

Steps wait for a device of fixed speed, so that a busy machine does not set the watchdog off.
"""

import sys
import time

STEP_S = 0.005
STEPS = 100


def step():
    time.sleep(STEP_S)


def main():
    begin = time.monotonic()
    for _ in range(STEPS):
        step()
    elapsed = time.monotonic() - begin
    if elapsed > STEPS * STEP_S * 1.15:
        sys.exit("watchdog: the steps take too long")
    print(f"throughput: {STEPS / elapsed:.3f} steps/s")


if __name__ == "__main__":
    main()
