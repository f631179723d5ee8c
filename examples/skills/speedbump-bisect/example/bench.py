"""A batch job beside a device: what a profiler shows first is hidden, what matters is short.

In each step a device works for four milliseconds. Meanwhile the next batch is prepared, which takes
most of the CPU time and none of the step. What was found is then cleaned up, while the device is
idle: that is what the step waits for. `--fixed` does the same with a set.
"""

import argparse
import random
import time

DEVICE_S = 4e-3
SOURCE = random.Random(4)
FOUND = [[SOURCE.randrange(350) for _ in range(800)] for _ in range(8)]


class Device:
    """Works beside Python; all it keeps is when it will be done."""

    done = 0.0

    def launch(self):
        """Begin a piece of work."""
        self.done = time.monotonic() + DEVICE_S

    def synchronize(self):
        """Wait until it is done."""
        remaining = self.done - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)


def prepare_batch(step):
    """The next inputs: a lot of Python, while the device works."""
    total = step
    for index in range(18_000):
        total = (total * 31 + index) % 1_000_003
    return total


def without_doubles(found):
    """Each of the results once, in order."""
    kept = []
    for each in found:
        if each not in kept:
            kept.append(each)
    return kept


def without_doubles_fixed(found):
    """The same, remembering what was seen in a dictionary."""
    return list(dict.fromkeys(found))


def run_step(device, step, clean):
    """One unit of work."""
    device.launch()
    prepare_batch(step)
    device.synchronize()
    return clean(FOUND[step % len(FOUND)])


def main():
    """Run steps and print their rate."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--fixed", action="store_true")
    options = parser.parse_args()
    clean = without_doubles_fixed if options.fixed else without_doubles
    device = Device()
    begin = time.monotonic()
    for step in range(options.steps):
        run_step(device, step, clean)
    print(f"throughput: {options.steps / (time.monotonic() - begin):.1f} steps/s")


if __name__ == "__main__":
    main()
