"""Two loader processes make batches, the main process trains on them. Unit: a batch."""

import multiprocessing
import time


def read_item(index):
    total = index
    for step in range(1_500):
        total = (total * 31 + step) % 1_000_003
    return total


def collate(indices):
    return [read_item(index) for index in indices]


def loader(number, batches):
    index = number
    while True:
        batches.put(collate(range(index, index + 8)))
        index += 2


def train_on(batch):
    time.sleep(0.002)
    return sum(batch)


def main():
    batches = multiprocessing.Queue(maxsize=4)
    for number in range(2):
        multiprocessing.Process(target=loader, args=(number, batches), daemon=True).start()
    for _ in range(20_000):
        train_on(batches.get())


if __name__ == "__main__":
    main()
