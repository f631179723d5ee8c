"""Ordinary single-threaded Python: three functions that work below four that only call.

Truth: `tokenize`, `rank` and `render` are sensitive, each by its own time (about 0.55,
0.25 and 0.2 of all); `handle`, `analyse`, `answer` and `main` call them and do nothing themselves.
"""

import time

REQUESTS = 280


def tokenize(seed):
    words = {}
    for index in range(12_000):
        key = (seed * 7 + index * 13) % 509
        words[key] = words.get(key, 0) + 1
    return words


def rank(words):
    best = 0
    for round_number in range(22):
        for key in words:
            score = words[key] * key % (97 + round_number)
            if score > best:
                best = score
    return best


def render(best):
    parts = []
    for index in range(3_200):
        parts.append(f"{index}:{best}")
    return ",".join(parts)


def analyse(seed):
    return rank(tokenize(seed))


def answer(best):
    return render(best)


def handle(seed):
    return answer(analyse(seed))


def main():
    begin = 0.0
    for seed in range(REQUESTS):
        handle(seed)
        if seed == 9:
            begin = time.monotonic()
    print(f"throughput: {(REQUESTS - 10) / (time.monotonic() - begin):.3f} requests/s")


if __name__ == "__main__":
    main()
