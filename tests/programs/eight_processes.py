"""One process and seven children that do a little, wait a little, and never end."""

import multiprocessing
import time


def work():
    time.sleep(0.002)
    return sum(range(1_000))


def loop():
    while True:
        work()


if __name__ == "__main__":
    for _ in range(7):
        multiprocessing.Process(target=loop, daemon=True).start()
    loop()
