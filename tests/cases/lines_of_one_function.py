"""All the work of a step is in one function, in two loops and a wait of fixed length.

Truth, with `--lines`: the loops' bodies and heads and the line that waits, and not the lines around
them. The first loop turns three times as often as the second.
"""

import time

STEPS = 300
WAIT_S = 0.003


def step(number):
    total = number
    scale = 31
    for index in range(24_000):
        total = (total * scale + index) % 1_000_003
    limit = total + 1
    for index in range(8_000):
        total = (total * scale + index) % 1_000_003
    time.sleep(WAIT_S)
    return min(total, limit)


def main():
    begin = 0.0
    for number in range(STEPS):
        step(number)
        if number == 9:
            begin = time.monotonic()
    print(f"throughput: {(STEPS - 10) / (time.monotonic() - begin):.3f} steps/s")


if __name__ == "__main__":
    main()
