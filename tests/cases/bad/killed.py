"""Is killed from outside in the middle of its work, as by the kernel when memory runs out."""

import os
import signal
import time

time.sleep(0.1)
print("throughput: 120.0 steps/s", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
