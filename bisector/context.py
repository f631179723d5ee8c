"""What is known of an investigation besides its measurements: noted once, told in the summary.

`describe` is what the journal keeps from the beginning; `context_of` is the same as the summary
wants it. Nothing in between is looked up again, so that a report made later, elsewhere, or after
the benchmark has moved says what was true when it was measured. Source files that have changed
since are not read for hints.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bisector import __version__
from bisector.hints.source import Sources
from bisector.metric import Metric
from bisector.reproduction import Surroundings
from bisector.settings import Settings
from bisector.summary import MetricInfo, RunContext
from bisector.workload import Workload, usable_cores

UNRESOLVED_METRIC = MetricInfo("unknown", "", "not measured yet")


def new_run_id() -> str:
    """One that no other run has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def describe(settings: Settings, workload: Workload, run_id: str | None = None) -> dict[str, Any]:
    """The description of a new run, as plain data."""
    return {
        "settings": settings.model_dump(mode="json"),
        "run_id": run_id or new_run_id(),
        "started_at": datetime.now(UTC).isoformat(),
        "tool_version": __version__,
        "command": list(workload.argv),
        "started_in": os.getcwd(),
        "python": workload.python,
        "fingerprint": workload.fingerprint,
        "source_hash": workload.source_hash,
        "environment": _environment(),
    }


def context_of(
    meta: Mapping[str, Any],
    settings: Settings,
    metric: Metric | None,
    *,
    run_directory: str,
    wall_s: float,
    engine_s: float,
    plans: Mapping[str, str],
) -> RunContext:
    """The summary's view of a description and what was added to it since."""
    calibration = meta.get("calibration", {})
    began = datetime.fromisoformat(meta["started_at"])
    info = UNRESOLVED_METRIC
    if metric is not None:
        info = MetricInfo(metric.name, metric.unit, metric.source, metric.higher_is_better)
    return RunContext(
        run_id=meta["run_id"],
        started_at=began,
        finished_at=datetime.now(UTC),
        command=meta["command"],
        python=meta["python"],
        metric=info,
        fingerprint=meta["fingerprint"],
        wall_s=wall_s,
        budget_s=settings.budget_s,
        engine_s=engine_s,
        tool_version=meta["tool_version"],
        run_directory=run_directory,
        environment={
            **meta["environment"],
            "mode": meta.get("mode"),
            "target_python": calibration.get("python"),
            "backend": calibration.get("backend"),
            "backend_reason": calibration.get("reason"),
            "compiled": calibration.get("compiled"),
        },
        settings=_plain(settings),
        plans=plans,
        around=Surroundings(
            None if settings.cwd == meta.get("started_in", settings.cwd) else settings.cwd,
            settings.prepare,
            [name for name, _ in settings.env],
        ),
        hints=Sources(began, Path(settings.cwd)).hints,
    )


def _plain(settings: Settings) -> dict[str, Any]:
    plain: dict[str, Any] = settings.model_dump(mode="json")
    # A summary is passed on, and the value may be a secret; the journal keeps it for `resume`.
    plain["env"] = [name for name, _ in settings.env]
    return plain


def _environment() -> dict[str, str | int | float | None]:
    """What a reader of the result may want to know of the machine; nothing that identifies it."""
    return {
        "os": platform.system(),
        "machine": platform.machine(),
        "cpus": usable_cores(),
        "load_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }
