"""``kill -9`` of the tool at random moments: nothing measured is lost or repeated."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from aliveness import is_alive, wait_until

from bisector.journal import Journal

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
KILLS = 25
RUNS = 60

BENCHMARK = """
import os, sys, time
with open("log", "a") as log:
    log.write(f"{os.getpid()} began\\n")
time.sleep(0.08)  # plainly longer than an empty program, on a busy machine too
print("throughput: 30.5 units/s")
with open("log", "a") as log:
    log.write(f"{os.getpid()} ended\\n")
"""


def tool(tmp_path, *arguments, runs=RUNS):
    program = str(ROOT / "tests" / "bisector" / "scripted.py")
    return subprocess.Popen(
        [sys.executable, program, str(runs), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def log(tmp_path, what):
    path = tmp_path / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[0]) for line in lines if line.endswith(what)]


def observations(tmp_path):
    path = tmp_path / "run" / "journal.db"
    if not path.exists() or not path.stat().st_size:
        return []
    with Journal.open(path, read_only=True) as journal:
        return list(journal.observations())


def wait_for_a_run(tmp_path, process):
    before = len(log(tmp_path, "began"))
    wait_until(lambda: len(log(tmp_path, "began")) > before or process.poll() is not None)


def test_killed_at_random_moments_it_ends_as_if_undisturbed(tmp_path):
    (tmp_path / "bench.py").write_text(BENCHMARK)
    start = [
        "bench.py",
        "--mode",
        "runs",
        "--output",
        "run",
        "--seed",
        "1",
        "--quiet",
        "--json",
        "-",
    ]
    chance = random.Random(20)
    kept = []
    for kill in range(KILLS):
        began = bool(observations(tmp_path)) or (tmp_path / "run" / "journal.db").exists()
        process = tool(tmp_path, *(["resume", "run", "--quiet"] if began else start))
        if kill % 3:  # Two of three while it runs, the third any time from its very start.
            wait_for_a_run(tmp_path, process)
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        _, complaint = process.communicate()
        assert process.returncode == -signal.SIGKILL, complaint
        wait_until(lambda: not any(is_alive(pid) for pid in log(tmp_path, "began")))
        now = observations(tmp_path)
        assert now[: len(kept)] == kept, "nothing measured is lost"
        kept = now
    assert len(kept) < RUNS
    process = tool(tmp_path, "resume", "run", "--quiet", "--json", "-")
    out, complaint = process.communicate()
    assert process.returncode == 0, complaint
    final = observations(tmp_path)
    assert final[: len(kept)] == kept
    assert [observed.seq for _, observed in final] == list(range(RUNS)), "nothing is repeated"
    assert len(log(tmp_path, "began")) <= RUNS + KILLS, "only the run in flight is run again"
    summary = json.loads(out)
    assert (summary["stop_reason"], summary["cost"]["runs"]) == ("certified", RUNS)
    mean = sum(observed.wall_s for _, observed in final) / RUNS
    assert summary["baseline"]["time_per_unit_s"] == pytest.approx(mean)
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith("slot-")]


def test_ctrl_c_kills_the_run_in_flight_and_exits_130(tmp_path):
    (tmp_path / "bench.py").write_text(BENCHMARK.replace("0.03", "30"))
    process = tool(
        tmp_path, "bench.py", "--mode", "runs", "--output", "run", "--quiet", "--json", "-"
    )
    wait_for_a_run(tmp_path, process)
    process.send_signal(signal.SIGINT)
    out, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, complaint
    assert json.loads(out)["stop_reason"] == "interrupted"
    assert not any(is_alive(pid) for pid in log(tmp_path, "began"))
    assert observations(tmp_path) == []


@pytest.mark.investigation
def test_between_two_runs_passes_less_time_than_the_shortest_run_takes(tmp_path):
    """A twentieth of a run of one second is about what it takes to start Python and do nothing."""
    (tmp_path / "bench.py").write_text("import time\ntime.sleep(0.02)\n")
    tool(
        tmp_path, "bench.py", "--mode", "runs", "--output", "run", "--quiet", runs=15
    ).communicate()
    rows = [observed for _, observed in observations(tmp_path)]
    between = [
        after.elapsed_s - before.elapsed_s - after.wall_s
        for before, after in itertools.pairwise(rows)
    ]
    assert len(between) == 14
    assert median(between) < median(observed.wall_s for observed in rows)
