"""Exhaustive: every item by itself. The honest reference, linear in the number of items.

Guarantee: exactly one probe per item, so interactions between items are never seen.
"""

from __future__ import annotations

from strategies.protocol import Probe
from strategies.tasks import Step, TaskStrategy


class Exhaustive(TaskStrategy):
    """See the module docstring."""

    def first(self) -> Step:
        """Start one step per item."""
        for name in self.items:
            self.start(self._one(name))
        return self._nothing()

    def _nothing(self) -> Step:
        return False
        yield  # makes this a generator; all the work is in the steps started above

    def _one(self, name: str) -> Step:
        (outcome,) = yield (Probe(frozenset((name,))),)
        if outcome.judgement == "sensitive":
            return self.found(outcome)
        if outcome.judgement == "insensitive":
            return self.cleared(outcome)
        return self.unresolved(outcome)
