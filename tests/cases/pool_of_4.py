"""A pool of four equal workers limits throughput; each works a little and waits for a device.

Truth: `answer` is sensitive, gain about 1 (never 4, never 1/4), although four of them run side by
side: together with the pool's own work they keep less than half a core busy, so cores do not
decide.
"""

import multiprocessing
import time

QUESTIONS = 280
FIRST = 40


def answer(question):
    total = question + 1
    for index in range(4_000):
        total = (total * 31 + index) % 1_000_003
    time.sleep(0.012)
    return total


def main():
    begin = end = 0.0
    with multiprocessing.Pool(4) as pool:
        for number, _ in enumerate(pool.imap_unordered(answer, range(QUESTIONS)), start=1):
            if number == FIRST:
                begin = time.monotonic()
            elif number == QUESTIONS - 8:
                end = time.monotonic()
    print(f"throughput: {(QUESTIONS - 8 - FIRST) / (end - begin):.3f} answers/s")


if __name__ == "__main__":
    main()
