"""Prints its argument as its rate: `0`, `-12.5`, `nan`, `inf`, or no number at all."""

import sys
import time

time.sleep(0.2)
print(f"throughput: {sys.argv[1]} steps/s")
