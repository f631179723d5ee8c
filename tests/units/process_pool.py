"""A pool of two processes maps a function. Unit: an item."""

import multiprocessing


def simulate(seed):
    total = seed
    for index in range(8_000):
        total = (total * 31 + index) % 1_000_003
    return total


def main():
    with multiprocessing.Pool(2) as pool:
        best = 0
        for value in pool.imap_unordered(simulate, range(200_000), chunksize=4):
            best = max(best, value)


if __name__ == "__main__":
    main()
