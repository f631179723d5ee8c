"""A thread archives what has been served, with `zlib` (which releases the GIL), at its own pace.

Truth: `compress_block`, as hot as `transform`, is not sensitive: it runs beside the requests, a
third of the time. `transform` (CPU) and `store` (a device, waiting) make up a request: sensitive.
"""

import threading
import time
import zlib

PERIOD_S = 0.015
STORE_S = 0.004
REQUESTS = 115
BLOCK = b"".join(b"%d,%d;" % (number * 7919 % 10_007, number % 31) for number in range(9_000))


def compress_block():
    return len(zlib.compress(BLOCK, 6))


def wait_for_turn(turn, start):
    remaining = start + turn * PERIOD_S - time.monotonic()
    if remaining > 0:
        time.sleep(remaining)


def archive():
    start = time.monotonic()
    turn = 0
    while True:
        wait_for_turn(turn, start)
        compress_block()
        turn += 1


def transform(request):
    total = request + 1
    for index in range(30_000):
        total = (total * 31 + index) % 1_000_003
    return total


def store():
    time.sleep(STORE_S)


def main():
    threading.Thread(target=archive, daemon=True).start()
    begin = 0.0
    for request in range(REQUESTS):
        transform(request)
        store()
        if request == 9:
            begin = time.monotonic()
    print(f"throughput: {(REQUESTS - 10) / (time.monotonic() - begin):.3f} requests/s")


if __name__ == "__main__":
    main()
