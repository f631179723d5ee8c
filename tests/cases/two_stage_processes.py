"""Two stages side by side in two processes, joined by a bounded queue.

Each stage works on an item (CPU) and then hands it to a device of its own (waiting), so that the
two together keep less than one core busy.

    two_stage_processes.py unequal    truth: only `parse`, the slower, is sensitive, gain about 1
    two_stage_processes.py equal      truth: `parse` and `index_item` are co-critical: each alone
                                      lowers throughput, both together no more than one of them
"""

import multiprocessing
import sys
import time

ITEMS = 150
FIRST = 20
CPU_ROUNDS = {"unequal": 8_000, "equal": 18_000}
DEVICE_S = {"unequal": 0.0012, "equal": 0.003}


def parse(item):
    total = item + 1
    for index in range(18_000):
        total = (total * 31 + index) % 1_000_003
    time.sleep(0.003)
    return total


def index_item(item, rounds, device_s):
    total = item + 1
    for index in range(rounds):
        total = (total * 31 + index) % 1_000_003
    time.sleep(device_s)
    return total


def second_stage(mode, items, results):
    begin = 0.0
    for number in range(ITEMS):
        index_item(items.get(), CPU_ROUNDS[mode], DEVICE_S[mode])
        if number == FIRST - 1:
            begin = time.monotonic()
    results.put((ITEMS - FIRST) / (time.monotonic() - begin))


def main():
    items = multiprocessing.Queue(maxsize=4)
    results = multiprocessing.Queue()
    arguments = (sys.argv[1], items, results)
    second = multiprocessing.Process(target=second_stage, args=arguments, name="second")
    second.start()
    for number in range(ITEMS):
        items.put(parse(number))
    rate = results.get()
    second.join()
    print(f"throughput: {rate:.3f} items/s")


if __name__ == "__main__":
    main()
