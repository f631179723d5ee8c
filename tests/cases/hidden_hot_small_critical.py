"""The hottest function is hidden behind a kernel; a small one, 3 to 10 % of a step, is not.

Truth: `postprocess` (what the kernel of 12 ms leaves of a step) is sensitive; `prepare_inputs`,
five times as hot, is not: it has more than 4 ms of slack.
"""

import time

KERNEL_S = 0.012
STEPS = 110
finish = 0.0


def launch():
    global finish
    finish = time.monotonic() + KERNEL_S


def synchronize():
    remaining = finish - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def prepare_inputs():
    total = 1
    for index in range(30_000):
        total = (total * 31 + index) % 1_000_003
    return total


def postprocess():
    total = 1
    for index in range(6_000):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    begin = 0.0
    for step in range(STEPS):
        launch()
        prepare_inputs()
        synchronize()
        postprocess()
        if step == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
