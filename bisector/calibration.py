"""What the injector costs in the target's interpreter, measured once per investigation.

The numbers are kept in the journal: a resumed investigation makes its plans from the same ones, so
that its runs are the runs it would have made without the interruption.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from bisector.errors import MeasurementFailed
from bisector.workload import INJECTOR, Workload

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """ns per callback by kind, when delaying and when discovering; the backend and why it."""

    python: str
    backend: str
    reason: str
    compiled: bool
    event_ns: dict[str, float]
    discover_ns: dict[str, float]

    @property
    def callback_s(self) -> float:
        """What a callback at a place costs when delaying."""
        return self.event_ns.get("site", 0.0) / 1e9


def calibrate(workload: Workload) -> Calibration:
    """Run the injector's own calibration in the interpreter of the benchmark.

    Raises:
        MeasurementFailed: it does not run there; the message quotes its last words.
    """
    done = None
    try:
        done = subprocess.run(
            [workload.python, "-S", str(INJECTOR / "calibrate.py")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=workload.cwd,
            env={k: v for k, v in workload.environment.items() if k != "PYTHONPATH"},
            timeout=TIMEOUT_S,
            check=False,
        )
        raw = json.loads(done.stdout)
        return Calibration(
            python=str(raw["python"]),
            backend=str(raw["backend"]),
            reason=str(raw["reason"]),
            compiled=bool(raw["compiled"]),
            event_ns={str(kind): float(ns) for kind, ns in raw["event_ns"].items()},
            discover_ns={str(kind): float(ns) for kind, ns in raw["discover_ns"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        words = done.stderr.decode(errors="replace").strip().splitlines() if done else []
        last = words[-1] if words else f"{type(error).__name__}: {error}"
        raise MeasurementFailed(f"the injector does not run in {workload.python}: {last}") from None
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(
            f"the injector's calibration in {workload.python} did not end within {TIMEOUT_S:g} s"
        ) from None
