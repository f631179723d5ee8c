"""Prints a perfectly good rate and then fails: exit status 3."""

import sys
import time

time.sleep(0.1)
print("throughput: 120.0 steps/s")
print("the model file is missing", file=sys.stderr)
sys.exit(3)
