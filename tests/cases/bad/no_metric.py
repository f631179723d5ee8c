"""Prints nothing that could be taken for a rate."""

import time

time.sleep(0.2)
print("done")
