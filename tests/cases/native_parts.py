"""A request is one Python function that calls C: it compresses, hashes, and adds up by itself.

Truth, with `--native`: `zlib:compress` and `hash_of`'s C part are targets of their own beside
`handle`, each with its share of a request; what `handle` does itself is the rest. `checksum` is
called once in ten requests and is too small to matter.
"""

import hashlib
import time
import zlib

REQUESTS = 400
TEXT = b"".join(b"%d,%d;" % (number * 7919 % 10_007, number % 31) for number in range(4_000))
BLOB = bytes(range(256)) * 12_000


def handle(request):
    packed = zlib.compress(TEXT, 6)
    digest = hashlib.sha256(BLOB).digest()
    total = request + len(packed) + digest[0]
    for index in range(16_000):
        total = (total * 31 + index) % 1_000_003
    if request % 10 == 0:
        total += zlib.crc32(TEXT)
    return total


def main():
    begin = 0.0
    for request in range(REQUESTS):
        handle(request)
        if request == 9:
            begin = time.monotonic()
    print(f"throughput: {(REQUESTS - 10) / (time.monotonic() - begin):.3f} requests/s")


if __name__ == "__main__":
    main()
