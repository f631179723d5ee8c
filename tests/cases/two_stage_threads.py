"""Two stages side by side in two threads that work without the GIL, joined by a bounded queue.

Both stages spend their time in `zlib` (GIL released) and with a device (waiting).

    two_stage_threads.py unequal    truth: only `pack` (the slower stage) is sensitive, gain about 1
    two_stage_threads.py equal      truth: `pack` and `verify` are co-critical
"""

import queue
import sys
import threading
import time
import zlib

ITEMS = 150
FIRST = 20
BLOCK = b"".join(b"%d,%d;" % (number * 7919 % 10_007, number % 31) for number in range(2_600))
VERIFY_BYTES = {"unequal": len(BLOCK) // 3, "equal": len(BLOCK)}
DEVICE_S = {"unequal": 0.001, "equal": 0.003}


def pack():
    size = len(zlib.compress(BLOCK, 6))
    time.sleep(0.003)
    return size


def verify(length, device_s):
    size = len(zlib.compress(BLOCK[:length], 6))
    time.sleep(device_s)
    return size


def second_stage(mode, items, rates):
    begin = 0.0
    for number in range(ITEMS):
        items.get()
        verify(VERIFY_BYTES[mode], DEVICE_S[mode])
        if number == FIRST - 1:
            begin = time.monotonic()
    rates.append((ITEMS - FIRST) / (time.monotonic() - begin))


def main():
    items = queue.Queue(maxsize=4)
    rates = []
    second = threading.Thread(target=second_stage, args=(sys.argv[1], items, rates))
    second.start()
    for _ in range(ITEMS):
        items.put(pack())
    second.join()
    print(f"throughput: {rates[0]:.3f} items/s")


if __name__ == "__main__":
    main()
