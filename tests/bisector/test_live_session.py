"""Live mode through the command line, with real targets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.process
measures = pytest.mark.investigation

ROOT = Path(__file__).parents[2]

STEPS = """
    import os, signal, sys, time
    {before}
    def compute():
        total = 0
        for index in range(20_000):
            total += index
        return total
    def wait():
        time.sleep(0.001)
    def step():
        compute()
        wait()
    def main():
        with open("began", "a") as file:
            print(os.getpid(), file=file)
        for _ in range({steps}):
            step()
        with open("ended", "a") as file:
            print(os.getpid(), file=file)
    main()
"""


def program(folder: Path, steps: int, before: str = "") -> Path:
    path = folder / "bench.py"
    path.write_text(dedent(STEPS).format(steps=steps, before=before))
    return path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bisector", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def investigate(folder: Path, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Exit code, summary and standard error."""
    path = folder / "summary.json"
    process = start(folder, *arguments, "--json", str(path), "--output", "run")
    told, errors = process.communicate(timeout=200)
    assert path.exists(), told + errors
    return process.returncode, json.loads(path.read_text()), errors


def pids(folder: Path, what: str) -> list[int]:
    path = folder / what
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(reached, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


@measures
def test_an_endless_program_is_started_once_and_stopped(tmp_path):
    bench = program(tmp_path, 10**9)
    code, summary, errors = investigate(tmp_path, str(bench), "--budget", "20s")
    assert code in (0, 3), errors + summary["headline"]
    assert summary["environment"]["mode"] == "live"
    metric = summary["benchmark"]["metric"]
    assert metric["name"] == "__main__:step"
    assert metric["source"].startswith("auto: the outermost call that recurs steadily")
    assert summary["baseline"]["time_per_unit_s"] > 0.001
    found = {entry["target"] for entry in summary["sensitive"]}
    assert found <= {"__main__:compute", "__main__:wait"}
    assert found
    assert len(pids(tmp_path, "began")) == 1
    assert pids(tmp_path, "ended") == []
    assert not any(map(is_alive, pids(tmp_path, "began")))


@measures
def test_a_program_that_ends_is_started_again(tmp_path):
    bench = program(tmp_path, 600)
    arguments = (str(bench), "--metric", "progress:__main__:step", "--budget", "20s")
    code, summary, errors = investigate(tmp_path, *arguments)
    assert code in (0, 3), errors + summary["headline"]
    assert summary["benchmark"]["metric"]["source"] == "progress:__main__:step"
    found = {name for entry in summary["sensitive"] for name in entry["target"].split(", ")}
    assert found <= {"__main__:compute", "__main__:wait"}
    assert len(pids(tmp_path, "began")) > 1
    assert not any(map(is_alive, pids(tmp_path, "began")))


JOBS = """
    import asyncio
    from bisector import begin, end, progress
    def compute():
        total = 0
        for index in range(60_000):
            total += index
        return total
    async def work():
        while True:
            begin("job")
            await asyncio.sleep(0.001)
            compute()
            end("job")
            progress("job")
    async def main():
        await asyncio.gather(*(work() for _ in range(4)))
    asyncio.run(main())
"""


@measures
def test_a_marked_unit_is_taken_for_the_unit(tmp_path):
    (tmp_path / "bench.py").write_text(dedent(JOBS))
    # So short a budget that a fifth of it (the share of longer ones) would not find a unit.
    code, summary, errors = investigate(tmp_path, "bench.py", "--budget", "6s")
    assert code in (0, 3), errors + summary["headline"]
    metric = summary["benchmark"]["metric"]
    assert metric["name"] == "bisector.mark:job"
    assert "the program marks it" in metric["source"]
    assert {entry["target"] for entry in summary["sensitive"]} <= {"__main__:compute"}


@measures
def test_a_latency_of_jobs_side_by_side_is_measured_and_shared_out(tmp_path):
    """Four jobs at a time wait for one processor: a job takes four times as long as its work, and
    without that work next to nothing."""
    (tmp_path / "bench.py").write_text(dedent(JOBS))
    arguments = ("bench.py", "--metric", "latency:job", "--budget", "25s")
    code, summary, errors = investigate(tmp_path, *arguments)
    assert code in (0, 3), errors + summary["headline"]
    metric = summary["benchmark"]["metric"]
    assert (metric["unit"], metric["higher_is_better"]) == ("s", False)
    assert "in flight" in metric["source"]
    (found,) = summary["sensitive"]
    assert found["target"] == "__main__:compute"
    # All but the event loop, give or take what the processor's speed does to a dose.
    assert 0.7 < found["estimated_gain"]["estimate"] < 1.15
    # Of a unit's share of time, which is the latency over the number in flight.
    assert found["own_cpu_ns_per_unit"] / 1e9 < 1.3 * summary["baseline"]["time_per_unit_s"]


@pytest.mark.parametrize("steps", [100, 500])
def test_one_that_stands_still_is_started_again(tmp_path, steps):
    """Before it is known what it does, and in the middle of a window."""
    bench = program(tmp_path, 10**9)
    bench.write_text(
        bench.read_text().replace(
            "        step()",
            f"        step()\n        if _ == {steps} and len(open('began').readlines()) == 1:\n"
            "            time.sleep(1000)",
        )
    )
    code, summary, errors = investigate(
        tmp_path, str(bench), "--metric", "progress:__main__:step", "--budget", "12s"
    )
    assert code in (0, 3), errors + summary["headline"]
    assert len(pids(tmp_path, "began")) == 2


def test_one_that_ignores_being_stopped_is_killed(tmp_path):
    bench = program(tmp_path, 10**9, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    code, summary, errors = investigate(tmp_path, str(bench), "--budget", "6s")
    assert code in (0, 3), errors + summary["headline"]
    assert not any(map(is_alive, pids(tmp_path, "began")))


def test_a_script_without_a_unit_is_measured_in_runs_and_it_is_said(tmp_path):
    bench = tmp_path / "bench.py"
    bench.write_text("import time\ntotal = 0\nfor i in range(4_000_000):\n    total += i\n")
    code, summary, errors = investigate(tmp_path, str(bench), "--budget", "6s")
    assert code in (0, 3), errors + summary["headline"]
    assert summary["environment"]["mode"] == "runs"
    assert summary["benchmark"]["metric"]["name"] == "time"
    assert any("in whole runs, not in windows" in warning for warning in summary["warnings"])


def test_nothing_of_the_first_look_is_left_to_the_runs_after_it(tmp_path):
    bench = tmp_path / "bench.py"
    bench.write_text("1 + 1\n")
    code, summary, _ = investigate(tmp_path, str(bench), "--budget", "6s")
    assert code == 1
    assert "too fast to be measured" in summary["headline"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--mode", "live"), "there is nothing to measure while it runs"),
        (("--metric", "progress:__main__:nothing"), "was never called"),
    ],
)
def test_no_unit_where_one_was_asked_for_is_one_sentence(tmp_path, arguments, sentence):
    bench = tmp_path / "bench.py"
    bench.write_text("import time\ntime.sleep(0.3)\n")
    code, summary, _ = investigate(tmp_path, str(bench), "--budget", "10s", *arguments)
    assert code == 1
    assert summary["stop_reason"] == "failed"
    assert sentence in summary["headline"]


def test_a_program_that_fails_is_one_sentence(tmp_path):
    bench = program(tmp_path, 200, "import atexit; atexit.register(os._exit, 3)")
    code, summary, _ = investigate(tmp_path, str(bench), "--budget", "10s")
    assert code == 1
    assert "exited with code 3" in summary["headline"]


def test_a_killed_tool_leaves_the_program_running_and_can_be_resumed(tmp_path):
    bench = program(tmp_path, 3000)
    journal = tmp_path / "run" / "journal.db"
    tool = start(tmp_path, str(bench), "--budget", "10s", "--seed", "1", "--output", "run")
    until(lambda: journal.exists() and journal.stat().st_size > 40_000)
    running = pids(tmp_path, "began")[-1]
    assert is_alive(running)
    tool.kill()
    tool.communicate()
    until(lambda: running in pids(tmp_path, "ended"))
    until(lambda: not is_alive(running))
    resumed = start(tmp_path, "resume", "run", "--json", "summary.json")
    resumed.communicate(timeout=200)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert resumed.returncode in (0, 3)
    assert summary["environment"]["mode"] == "live"
    found = {name for entry in summary["sensitive"] for name in entry["target"].split(", ")}
    assert found <= {"__main__:compute", "__main__:wait"}


def test_what_a_killed_tool_left_running_is_stopped_before_another_is_started(tmp_path):
    bench = program(tmp_path, 10**9)
    journal = tmp_path / "run" / "journal.db"
    tool = start(tmp_path, str(bench), "--budget", "10s", "--seed", "1", "--output", "run")
    until(lambda: journal.exists() and journal.stat().st_size > 40_000)
    tool.kill()
    tool.communicate()
    (running,) = pids(tmp_path, "began")
    assert is_alive(running)
    resumed = start(tmp_path, "resume", "run", "--json", "summary.json")
    until(lambda: len(pids(tmp_path, "began")) == 2)
    assert not is_alive(running)
    resumed.communicate(timeout=200)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert resumed.returncode in (0, 3)
    assert any("still ran and was stopped" in warning for warning in summary["warnings"])
    assert not any(map(is_alive, pids(tmp_path, "began")))


def test_ctrl_c_keeps_what_was_measured(tmp_path):
    bench = program(tmp_path, 10**9)
    journal = tmp_path / "run" / "journal.db"
    tool = start(tmp_path, str(bench), "--budget", "60s", "--output", "run")
    until(lambda: journal.exists() and journal.stat().st_size > 40_000)
    tool.send_signal(signal.SIGINT)
    tool.communicate(timeout=30)
    assert tool.returncode == 130
    assert (tmp_path / "run" / "summary.json").exists()
    assert not any(map(is_alive, pids(tmp_path, "began")))
