"""What kind of cost a function's source shows: hints for a person or agent who will change it.

Invariant: read, never run or imported, and rather nothing than a guess. A hint says what stands in
a line, which can be seen there, and only where the measurement agrees: what waits is pointed out in
functions that were seen to wait, loops in those that were seen to compute. It claims no share of
the gain. A file that is missing, has changed since, is huge or is no Python gives no hint.
"""
