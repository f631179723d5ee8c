"""Hours of switching: whether memory of both sides stays as it is, and what being attached costs.

    python tests/soak_live.py [--time 1h] [--pairs 20]

First a program of dense calls is run with nothing attached and, in turn, attached with nothing
delayed; the least CPU time of each is compared, since disturbances only add to it. Then an endless
server is switched from one window to the next, and every minute says how much memory both sides
hold. Exits with 1 where the cost exceeds 1 % or memory has grown since the first tenth.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from investigation import ROOT

from bisector.calibration import calibrate
from bisector.live_executor import LiveExecutor
from bisector.observations import RunRequest
from bisector.quantities import parse_time
from bisector.settings import read_settings
from bisector.warden import Warden
from bisector.workload import BOOTSTRAP, SLOT_VARIABLE, Workload
from injector.control import Control
from injector.plan import Plan

MOST_COST = 0.01
MOST_GROWTH = 0.05
SERVER = ROOT / "examples" / "gpu_serving" / "bench.py"
DENSE = """
import sys
def leaf(value):
    return value + 1
def branch(value):
    return leaf(value) + leaf(value)
def unit():
    total = 0
    for index in range(20_000):
        total += branch(index)
    return total
for _ in range(100):
    unit()
"""


def cpu_of(script: Path, slot: Path | None) -> float:
    """CPU seconds of one run, attached to ``slot`` or to nothing."""
    environment = dict(os.environ)
    if slot is not None:
        environment |= {SLOT_VARIABLE: str(slot), "PYTHONPATH": str(BOOTSTRAP)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, str(script)], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cost(folder: Path, pairs: int) -> float:
    """What being attached with nothing delayed costs, as a share of CPU time."""
    script, slot = folder / "dense.py", folder / "slot"
    script.write_text(DENSE)
    (slot / "records").mkdir(parents=True)
    control = Control(str(slot / "control"), 16, create=True)
    control.change({}, 1)
    (slot / "plan.json").write_text(Plan(live=True, progress="__main__:unit").to_json())
    least = {None: float("inf"), slot: float("inf")}
    empty = dict(least)
    nothing = folder / "nothing.py"
    nothing.write_text("")
    for _ in range(pairs):
        for how in least:  # the start of an interpreter is not what is compared
            empty[how] = min(empty[how], cpu_of(nothing, how))
            least[how] = min(least[how], cpu_of(script, how))
    bare, attached = (least[how] - empty[how] for how in (None, slot))
    print(f"nothing delayed: {attached / bare - 1.0:+.2%} of CPU time ({pairs} pairs)", flush=True)
    return attached / bare - 1.0


def memory(executor: LiveExecutor, own: psutil.Process) -> tuple[float, float]:
    """MB of the tool and of all processes of the target, without what is shared."""
    target = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(SLOT_VARIABLE) == str(executor.slot):
                target += process.memory_full_info().uss / 1e6
    return own.memory_full_info().uss / 1e6, target


def soak(folder: Path, seconds: float) -> bool:
    """Switch for so long; whether memory stayed as it was."""
    settings = read_settings(
        str(SERVER), ("--bound", "python", "--steps", "10000000"), {"seed": "1", "budget": "60s"}
    )
    (folder / "live" / "records").mkdir(parents=True)
    workload, began = Workload.of(settings), time.monotonic()
    chosen = random.Random(1)
    with Warden() as warden:
        executor = LiveExecutor(
            settings,
            workload,
            warden,
            folder / "live",
            calibrate(workload),
            lambda: time.monotonic() - began,
        )
        with contextlib.closing(executor):
            executor.run(RunRequest(1, "discard", 0))
            found = executor.run(RunRequest(2, "discover", 0)).discovery
            assert found is not None
            targets = [function.target for function in found.functions]
            own, seen, windows, minute = psutil.Process(), [], 0, 0
            while (passed := time.monotonic() - began) < seconds:
                some = frozenset(chosen.sample(targets, chosen.randint(1, len(targets))))
                request = RunRequest(3 + windows, "search", windows, some, chosen.choice((0.25, 1)))
                observed = executor.run(request)
                assert observed.status == "ok", observed.reason
                windows += 1
                if passed >= 60 * minute:
                    minute += 1
                    seen.append(memory(executor, own))
                    tool, target = seen[-1]
                    print(
                        f"{passed:6.0f} s  {windows:6} windows  tool {tool:.1f} MB  "
                        f"target {target:.1f} MB",
                        flush=True,
                    )
    first = seen[len(seen) // 10]
    growth = [last / then - 1.0 for last, then in zip(seen[-1], first, strict=True)]
    print(json.dumps({"windows": windows, "growth": growth}))
    return max(growth) <= MOST_GROWTH


def main() -> int:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", default="1h")
    parser.add_argument("--pairs", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cheap = cost(Path(folder), arguments.pairs) <= MOST_COST
        flat = soak(Path(folder), parse_time(arguments.time))
    return 0 if cheap and flat else 1


if __name__ == "__main__":
    sys.exit(main())
