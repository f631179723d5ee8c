"""Two processes that take turns: 9 ms for one, 1 ms for the other.

Truth: `ping` is sensitive with gain about 0.9, `pong` with about 0.1: only one works at a time.
Both are mostly waiting for a device of fixed speed; the waits for each other are not sensitive.
"""

import multiprocessing
import time

ROUNDS = 80
FIRST = 8


def ping(ball):
    total = ball + 1
    for index in range(18_000):
        total = (total * 31 + index) % 1_000_003
    time.sleep(0.008)
    return total


def pong(ball):
    total = ball + 1
    for index in range(5_000):
        total = (total * 31 + index) % 1_000_003
    time.sleep(0.0006)
    return total


def other_side(connection):
    for _ in range(ROUNDS):
        connection.send(pong(connection.recv()))


def main():
    here, there = multiprocessing.Pipe()
    other = multiprocessing.Process(target=other_side, args=(there,), name="other side")
    other.start()
    ball = 1
    begin = 0.0
    for number in range(ROUNDS):
        here.send(ping(ball))
        ball = here.recv()
        if number == FIRST - 1:
            begin = time.monotonic()
    rate = (ROUNDS - FIRST) / (time.monotonic() - begin)
    other.join()
    print(f"throughput: {rate:.3f} rounds/s")


if __name__ == "__main__":
    main()
