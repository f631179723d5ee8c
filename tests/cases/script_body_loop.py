"""All the work in the script's own body: no function at all, a loop on module level.

Truth: `<module>` is sensitive, gain about 1: found by its loop. The clock is read inside the body,
after its entry, so a delay at entry would not be seen (and did not happen where the time is spent).
"""

import time

ITEMS = 6_000_000

begin = time.monotonic()
total = 1
for index in range(ITEMS):
    total = (total * 31 + index) % 1_000_003
print(f"throughput: {ITEMS / (time.monotonic() - begin):.1f} items/s")
