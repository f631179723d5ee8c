"""A consumer that waits on a queue fed by a clock: what it waits for is ready later anyway.

Truth: `insensitive`. Samples arrive every 6 ms whatever anybody does; the consumer needs less than
half of that. Neither its work, nor its wait, nor the feeding thread's wait can be sped up or felt.
"""

import queue
import threading
import time

PERIOD_S = 0.006
SAMPLES = 115


def wait_for_tick(tick, start):
    remaining = start + tick * PERIOD_S - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def feed(samples):
    start = time.monotonic()
    for tick in range(SAMPLES):
        wait_for_tick(tick, start)
        samples.put(tick)


def take(samples):
    return samples.get()


def filter_sample(sample):
    total = sample + 1
    for index in range(12_000):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    samples = queue.Queue(maxsize=4)
    threading.Thread(target=feed, args=(samples,), daemon=True).start()
    begin = 0.0
    for number in range(SAMPLES):
        filter_sample(take(samples))
        if number == 9:
            begin = time.monotonic()
    print(f"throughput: {(SAMPLES - 10) / (time.monotonic() - begin):.3f} samples/s")


if __name__ == "__main__":
    main()
