"""What stands beside the generated packages in every generated program: a device, and workers.

The device is simulated: all it keeps is when its work will be done. A worker is told to begin when
a unit begins and is waited for later. One that is a thread has begun when `submit` returns: or else
it would get the GIL, and begin, only when the main lane waits.
"""

import collections
import multiprocessing
import queue
import threading
import time

BLOCK = memoryview(b"".join(b"%d,%d;" % (n * 7919 % 10_007, n % 31) for n in range(40_000)))
BLOB = memoryview(bytes(8_000_000))


class Device:
    """Kernels of one length, one after the other."""

    def __init__(self, kernel_s):
        self._kernel_s = kernel_s
        self._busy_until = 0.0
        self._finishes = collections.deque()

    def launch(self):
        self._busy_until = max(time.monotonic(), self._busy_until) + self._kernel_s
        self._finishes.append(self._busy_until)

    def synchronize(self):
        remaining = self._finishes.popleft() - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)


class ThreadWorker:
    """Assists in a thread."""

    def __init__(self, assist):
        self._units = queue.SimpleQueue()
        self._begun = queue.SimpleQueue()
        self._results = queue.SimpleQueue()
        self._thread = threading.Thread(target=self.work, args=(assist,), daemon=True)
        self._thread.start()

    def work(self, assist):
        while (unit := self._units.get()) is not None:
            self._begun.put(unit)
            self._results.put(assist(unit))

    def submit(self, unit):
        self._units.put(unit)
        self._begun.get()

    def collect(self):
        return self._results.get()

    def close(self):
        self._units.put(None)
        self._thread.join()


class ProcessWorker:
    """Assists in a process."""

    def __init__(self, assist):
        context = multiprocessing.get_context("fork")
        self._connection, there = context.Pipe()
        arguments = (self._connection, there, assist)
        self._process = context.Process(target=self.work, args=arguments, daemon=True)
        self._process.start()
        there.close()

    @staticmethod
    def work(of_the_parent, connection, assist):
        of_the_parent.close()
        try:
            while (unit := connection.recv()) is not None:
                connection.send(assist(unit))
        except EOFError:
            pass  # the parent was stopped

    def submit(self, unit):
        self._connection.send(unit)

    def collect(self):
        return self._connection.recv()

    def close(self):
        self._connection.send(None)
        self._process.join()
