"""Delta debugging: find one 1-minimal set that matters, take it out, look again.

Guarantee for monotone responses: no member of a reported set can be left out of it (1-minimal,
which is not the same as the smallest). About 2k·log2(n/k) probes per set of k among n.
"""

from __future__ import annotations

from strategies.tasks import Step, TaskStrategy


class DeltaDebugging(TaskStrategy):
    """See the module docstring."""

    def first(self) -> Step:
        """All items together are known to matter."""
        return self.minimal(tuple(self.items))
