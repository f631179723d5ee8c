"""Works for a moment and then waits for something that never comes."""

import threading
import time

time.sleep(0.1)
print("throughput: 120.0 steps/s", flush=True)
threading.Event().wait(3600)
