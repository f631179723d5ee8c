"""Writes bytes that are not UTF-8, before, in and after the line with its rate."""

import sys
import time

ITEMS = 60

begin = time.monotonic()
for _ in range(ITEMS):
    time.sleep(0.005)
rate = ITEMS / (time.monotonic() - begin)
sys.stdout.buffer.write(b"\xff\xfe\x00 caf\xe9\n")
sys.stdout.buffer.write(b"\x80\x81 throughput: %.3f items/s \xe9\n" % rate)
sys.stdout.buffer.write(b"\xc3\x28\n")
