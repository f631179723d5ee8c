"""A benchmark harness: calibrates, then times rounds of a function. Unit: a call of that, or a
round of them."""

import time


def encode(message):
    return "".join(chr((ord(letter) + 13) % 128) for letter in message)


def run_round(function, iterations):
    began = time.perf_counter()
    for _ in range(iterations):
        function()
    return time.perf_counter() - began


def calibrate(function):
    iterations = 1
    while run_round(function, iterations) < 0.005:
        iterations *= 2
    return iterations


def benchmark(function, rounds):
    iterations = calibrate(function)
    return min(run_round(function, iterations) / iterations for _ in range(rounds))


def test_encode():
    encode("the quick brown fox jumps over the lazy dog" * 4)


benchmark(test_encode, 4_000)
