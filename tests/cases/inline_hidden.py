"""`step` launches, works a while inline, and synchronises: its own work is hidden.

Truth: `insensitive`. A delay at the entry of `step` would come before the launch and be fully
critical (wrong); the work lies between two calls, and there a delay is absorbed by the wait.
"""

import time

KERNEL_S = 0.01
STEPS = 110
finish = 0.0


def launch():
    global finish
    finish = time.monotonic() + KERNEL_S


def synchronize():
    remaining = finish - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def step():
    launch()
    total = 1
    for index in range(36_000):
        total = (total * 31 + index) % 1_000_003
    synchronize()
    return total


def main():
    begin = 0.0
    for number in range(STEPS):
        step()
        if number == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
