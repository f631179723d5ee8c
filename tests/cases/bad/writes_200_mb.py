"""Writes 200 MB to its output before it says how fast it was."""

import sys
import time

LINE = "x" * 1023 + "\n"

begin = time.monotonic()
for _ in range(200):
    sys.stdout.write(LINE * 1024)
print(f"throughput: {200 / (time.monotonic() - begin):.3f} blocks/s")
