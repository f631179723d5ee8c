"""Windows or runs: decided once, never changed in the middle."""

from __future__ import annotations

import pytest

from bisector.auto_executor import AutoExecutor
from bisector.observations import RunObserved, RunRequest
from bisector.unit import NoUnit

REQUEST = RunRequest(1, "baseline", 0)


class Fake:
    metric = None

    def __init__(self, has_unit=True):
        self.has_unit, self.ran = has_unit, 0

    def run(self, request):
        if not self.has_unit:
            raise NoUnit("nothing recurs")
        self.ran += 1
        return RunObserved(request.seq, "ok", 1.0, 1.0, 1.0, 1.0)

    def close(self):
        pass

    def drain_warnings(self):
        return []


def test_without_a_unit_it_measures_runs_and_says_why():
    runs = Fake()
    executor = AutoExecutor(lambda: Fake(has_unit=False), lambda: runs, "auto")
    assert executor.run(REQUEST).status == "ok"
    assert (executor.mode, runs.ran) == ("runs", 1)
    assert executor.drain_warnings() == [
        "measured in whole runs, not in windows of one: nothing recurs"
    ]


@pytest.mark.parametrize("mode", ["live", "auto"], ids=["asked for", "taken before"])
def test_windows_never_turn_into_runs_later(mode):
    live, runs = Fake(), Fake()
    executor = AutoExecutor(lambda: live, lambda: runs, mode)
    assert executor.run(REQUEST).status == "ok"
    live.has_unit = False
    for _ in range(2):
        observed = executor.run(REQUEST)
        assert observed.status == "failed"
        assert "nothing recurs" in observed.reason
    assert runs.ran == 0
