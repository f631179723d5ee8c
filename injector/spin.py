"""Spending an exact time in one of three states: the Python twin of what ``_core`` does in C.

Each function takes the nanoseconds to spend and returns those it did spend *in that state*; time
taken away meanwhile (the GIL was with another thread, the process was not on a core) does not
count and is made up for, because the code that the delay stands for would have had to do the same.
What the thread's CPU clock counts does count: of a processor that is shared behind the kernel's
back, real code is charged for that, too.
The caller carries the difference into its next payment, so that the sum is exact.

Holding the GIL here means what it means for any Python code: other threads are let in whenever
their switch interval has run out.
"""

from __future__ import annotations

from binascii import crc32
from time import monotonic_ns, sleep, thread_time_ns

_GAP_NS = 20_000
"""A turn of the loop takes some 0.1 µs. One that took this long was not running."""

_ZEROS = memoryview(bytes(4 << 20))
"""Read by `crc32` without the GIL; never written, so that all of it is the kernel's zero page."""

_MIN_BYTES = 8 << 10
"""`crc32` keeps the GIL for less than 5 KiB."""


def spin_gil(ns: float) -> int:
    """Compute for ``ns`` holding the GIL. Returns the nanoseconds spent."""
    begin = last = now = since = monotonic_ns()
    cpu = thread_time_ns()
    lost = 0
    end = begin + ns
    while now < end:
        now = monotonic_ns()
        if now - last > _GAP_NS:
            before, cpu = cpu, thread_time_ns()
            ran = cpu - before - (last - since)
            since = now
            gap = now - last - min(max(ran, 0), now - last)
            lost += gap
            end += gap
        last = now
    return now - begin - lost


def spin_nogil(ns: float) -> int:
    """Compute for ``ns`` without the GIL, in as few stretches as possible. Returns the ns spent.

    Each stretch ends with getting the GIL back, which is the expensive part where threads compete
    for it: a stretch is sized by the speed of the one before.
    """
    global _bytes_per_ns
    begin = now = thread_time_ns()
    end = begin + ns
    while now < end:
        size = min(max(int((end - now) * _bytes_per_ns), _MIN_BYTES), len(_ZEROS))
        crc32(_ZEROS[:size])
        before, now = now, thread_time_ns()
        if now > before:
            _bytes_per_ns += 0.2 * (size / (now - before) - _bytes_per_ns)
    return now - begin


def wait(ns: float) -> int:
    """Sleep for ``ns``. Returns the nanoseconds slept, usually some 60 µs more than asked for."""
    begin = monotonic_ns()
    sleep(ns / 1e9)
    return monotonic_ns() - begin


_bytes_per_ns = 1.0
