"""Python hidden behind a device: the next kernel is queued before the host looks at anything.

Truth: `insensitive`. A step takes one kernel (7 ms); the host's work, a part of it also on slow
processors, is hidden. Slack: the time the host spends in `synchronize`, 2 to 6 ms per step.
"""

import time

KERNEL_S = 0.007
STEPS = 100
finish_times = []


def launch():
    begin = max(time.monotonic(), finish_times[-1] if finish_times else 0.0)
    finish_times.append(begin + KERNEL_S)


def synchronize(step):
    remaining = finish_times[step] - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def build_batch():
    total = 1
    for index in range(20_000):
        total = (total * 31 + index) % 1_000_003
    return total


def log_step():
    text = ""
    for index in range(2_000):
        text = str(index)
    return text


def main():
    launch()
    begin = 0.0
    for step in range(STEPS):
        launch()
        build_batch()
        log_step()
        synchronize(step)
        if step == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
