"""Leaves a process behind, detached from it in every way: own session, nobody's child.

Takes the path of a file as argument and writes the pid of the left process there, so that a test
can see that it is gone. The left process ends by itself after a minute.
"""

import os
import sys
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if len(sys.argv) > 1:
            with open(sys.argv[1], "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(0.2)
print("throughput: 120.0 steps/s")
