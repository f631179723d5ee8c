"""A thread that sleeps a second, beats, and sleeps again: it holds up nobody.

Truth: `beat` spends more time than any other function, all of it waiting, and is not sensitive.
`transform` (CPU) and `store` (a device, waiting) make up a request: sensitive.
"""

import threading
import time

STORE_S = 0.004
REQUESTS = 115
beats = []


def beat():
    beats.append(time.monotonic())
    time.sleep(1.0)


def heartbeat():
    while True:
        beat()


def transform(request):
    total = request + 1
    for index in range(30_000):
        total = (total * 31 + index) % 1_000_003
    return total


def store():
    time.sleep(STORE_S)


def main():
    threading.Thread(target=heartbeat, daemon=True).start()
    begin = 0.0
    for request in range(REQUESTS):
        transform(request)
        store()
        if request == 9:
            begin = time.monotonic()
    print(f"throughput: {(REQUESTS - 10) / (time.monotonic() - begin):.3f} requests/s")


if __name__ == "__main__":
    main()
