"""`sample` waits for the device and then works inline, while the device is idle.

Truth: `sample` is sensitive: what the kernel of 4 ms leaves of a step. A delay at its entry would
come before the wait and be absorbed (wrong); the work lies after the call of `wait`. `wait` itself
is not sensitive.
"""

import time

KERNEL_S = 0.004
STEPS = 120
finish = 0.0


def launch():
    global finish
    finish = time.monotonic() + KERNEL_S


def wait():
    remaining = finish - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def sample():
    wait()
    total = 1
    for index in range(36_000):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    begin = 0.0
    for step in range(STEPS):
        launch()
        sample()
        if step == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
