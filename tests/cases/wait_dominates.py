"""A nearly empty function beside a device that takes 99 % of the step, always from the call on.

Truth: `run_on_device` is sensitive, gain about 0.99, and it is waiting, not Python at work. All
other Python together could gain about 0.2 %: `count_step` and `main` must not be in the answer.
"""

import time

DEVICE_S = 0.006
STEPS = 110
history = []


def run_on_device():
    time.sleep(DEVICE_S)


def count_step(step):
    history.append(step % 7)
    if len(history) > 50:
        del history[:25]


def main():
    begin = 0.0
    for step in range(STEPS):
        run_on_device()
        count_step(step)
        if step == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
