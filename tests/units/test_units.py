"""The unit of work is found in programs of different kinds, or it is said that there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bisector.calibration import calibrate
from bisector.live_executor import LiveExecutor
from bisector.observations import RunRequest
from bisector.settings import read_settings
from bisector.unit import NoUnit
from bisector.warden import Warden
from bisector.workload import Workload

HERE = Path(__file__).parent
pytestmark = [pytest.mark.process, pytest.mark.investigation]

UNITS = {
    "step_loop": {"train_step"},
    "http_service": {"fetch", "Handler.do_GET"},
    "asyncio_workers": {"handle"},
    "process_pool": {"simulate"},
    "data_loader": {"train_on", "collate"},
    "generator_pipeline": {"rank", "split"},
    "benchmark_loop": {"run_round", "test_encode"},
    "queue_consumer": {"make_message", "handle_message"},
    "recursive_solver": {"solve_puzzle"},
}
"""What stands for the work, or for a constant multiple of it, in each program."""


@pytest.fixture(scope="module")
def warden() -> Iterator[Warden]:
    with Warden() as process:
        yield process


@pytest.fixture
def unit_of(warden: Warden, tmp_path: Path) -> Iterator[object]:
    executors = []

    def find(name: str) -> str:
        settings = read_settings(str(HERE / f"{name}.py"), (), {"seed": "1", "budget": "60s"})
        (tmp_path / "slot" / "records").mkdir(parents=True)
        workload, began = Workload.of(settings), time.monotonic()
        executor = LiveExecutor(
            settings,
            workload,
            warden,
            tmp_path / "slot",
            calibrate(workload),
            lambda: time.monotonic() - began,
        )
        executors.append(executor)
        observed = executor.run(RunRequest(1, "discard", 0))
        assert observed.status == "ok", observed.reason
        assert executor.metric is not None
        return executor.metric.point.unit

    yield find
    for executor in executors:
        executor.close()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if i % 2 else [])
        for i, name in enumerate(UNITS)
    ],
)
def test_the_unit_of_work_is_found(unit_of, name: str) -> None:  # type: ignore[no-untyped-def]
    module, _, function = unit_of(name).partition(":")
    assert module == "__main__"
    assert function in UNITS[name]


def test_where_nothing_recurs_it_is_said(unit_of) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NoUnit, match="no function is called"):
        unit_of("plain_script")
