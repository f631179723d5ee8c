"""All the work in one long loop of a function that is called once and calls nothing.

Truth: `crunch` is sensitive, gain about 1: found by its loop, since it is entered once a run. The
rate is taken around the call, so a delay anywhere inside counts.
"""

import time

ITEMS = 12_000_000


def crunch(items):
    total = 1
    for index in range(items):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    begin = time.monotonic()
    crunch(ITEMS)
    print(f"throughput: {ITEMS / (time.monotonic() - begin):.1f} items/s")


if __name__ == "__main__":
    main()
