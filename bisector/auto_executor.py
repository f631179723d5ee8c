"""Windows of a living target where it has a unit of work, else whole runs: decided once, and said.

The decision is made while the first request is served, from what the program is seen to do; an
investigation that is taken up again keeps to it.
"""

from __future__ import annotations

from collections.abc import Callable

from bisector.executor import RunExecutor
from bisector.live_executor import LiveExecutor
from bisector.metric import Metric
from bisector.observations import RunObserved, RunRequest
from bisector.unit import NoUnit


class AutoExecutor:
    """Implements `bisector.observations.Executor` with one of the other two.

    `close` ends what still runs.
    """

    def __init__(
        self, live: Callable[[], LiveExecutor], runs: Callable[[], RunExecutor], mode: str
    ) -> None:
        """``mode``: ``live`` or ``runs`` where that is settled, else ``auto``."""
        self._make_runs = runs
        self._used: LiveExecutor | RunExecutor = runs() if mode == "runs" else live()
        self._may_change = mode == "auto"
        self._warnings: list[str] = []

    @property
    def mode(self) -> str:
        """``live``, ``runs``, or ``auto`` until it is decided."""
        if self._may_change:
            return "auto"
        return "live" if isinstance(self._used, LiveExecutor) else "runs"

    @property
    def metric(self) -> Metric | None:
        """What is measured; None until it is known."""
        return self._used.metric

    def run(self, request: RunRequest) -> RunObserved:
        """Carry out one request; see the executors."""
        try:
            observed = self._used.run(request)
        except NoUnit as reason:
            self._used.close()
            if not self._may_change:
                return RunObserved(
                    request.seq,
                    "failed",
                    0.0,
                    0.0,
                    reason=f"there is nothing to measure while it runs: {reason}; name the unit of "
                    "work with --metric progress:MODULE:QUALNAME, or use --mode runs",
                )
            self._warnings.append(f"measured in whole runs, not in windows of one: {reason}")
            self._may_change = False
            self._used = self._make_runs()
            observed = self._used.run(request)
        self._may_change = self._may_change and observed.status != "ok"
        return observed

    def recall(self, request: RunRequest, observed: RunObserved) -> None:
        """Learn from an observation what later ones depend on."""
        self._used.recall(request, observed)

    def drain_warnings(self) -> list[str]:
        """What the user should know that is no failure; each sentence once."""
        warnings, self._warnings = self._warnings, []
        return [*warnings, *self._used.drain_warnings()]

    def close(self) -> None:
        """End what still runs."""
        self._used.close()
