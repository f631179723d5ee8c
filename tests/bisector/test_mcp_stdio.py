"""The server as a client starts it: over standard input and output, with real benchmarks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp.server.mcpserver")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]

SLEEPER = """
import os, time
with open("pids", "a") as file:
    file.write(f"{os.getppid()} {os.getpid()}\\n")
time.sleep(600)
"""


def parameters(tmp_path, *arguments):
    return StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "bisector", "mcp", "--output", str(tmp_path / "runs"), *arguments],
        cwd=str(ROOT),
        env={**os.environ},
    )


async def called(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition, seconds=20):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def servers():
    """Servers that are children of ours."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    children = {int(pid) for path in listed for pid in path.read_text().split()}
    return {p for p in children if b"mcp" in Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")}


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_when_the_server_is_gone_so_is_the_benchmark_and_what_was_measured_is_kept(how, tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    arguments = ["--allow", f"{tmp_path}/sleeper.py", "--cwd", str(tmp_path)]
    pids = tmp_path / "pids"
    said = {}

    async def main():
        async with Client(stdio_client(parameters(tmp_path, *arguments))) as client:
            said["run"] = (await called(client, "start", benchmark="sleeper", mode="runs"))["run"]
            await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
            said["pids"] = [int(pid) for pid in pids.read_text().split()]
            assert all(map(is_alive, said["pids"]))
            if how == "killed":
                (server,) = servers()
                os.kill(server, signal.SIGKILL)
                gone_s = await until(lambda: not any(map(is_alive, said["pids"])))
                print(f"gone after {gone_s:.2f} s")

    try:
        asyncio.run(main())
    except BaseException:
        if "pids" not in said:
            raise
    asyncio.run(until(lambda: not any(map(is_alive, said["pids"]))))
    run = tmp_path / "runs" / said["run"]
    asyncio.run(until((run / "summary.json").exists))
    assert json.loads((run / "summary.json").read_text())["stop_reason"] == "interrupted"


def test_without_the_package_one_sentence_names_the_extra(tmp_path):
    (tmp_path / "mcp.py").write_text("")  # another one of that name
    (tmp_path / "bench.py").write_text("print(1)\n")
    done = subprocess.run(
        [sys.executable, "-m", "bisector", "mcp", "--allow", "bench.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the extra mcp of speedbump-bisect" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing is allowed to be run"),
        (("--allow", "no-such.py"), "no-such.py: there is no such file"),
        (("--allow", "bench.py", "--max-budget", "x"), "--max-budget: 'x' is not a time"),
        (("--allow", "bench.py", "--metric", "luck"), "--metric: "),
        (
            ("--allow", "bench.py", "--metric", "progress:a:f", "--lower-is-better"),
            "--lower-is-better does not go with progress:",
        ),
    ],
)
def test_usage_errors_are_said_before_anything_is_served(arguments, said, tmp_path):
    (tmp_path / "bench.py").write_text("print(1)\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bisector", "mcp", *arguments],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.investigation
def test_an_agent_triages_the_inference_server_by_calls_alone(tmp_path):
    """Rightly or not at all: whether it is certain in so short a time depends on the machine."""
    command = "examples/gpu_serving/bench.py --bound python --steps 20000"
    hidden, critical = "serving.inputs:", {"serving.sampler", "serving.detokenizer"}

    async def main():
        arguments = ("--allow", f"serving={command}", "--max-budget", "15s")
        async with Client(stdio_client(parameters(tmp_path, *arguments))) as client:
            menu = await called(client, "benchmarks")
            assert menu["benchmarks"] == [{"name": "serving", "command": command}]
            status = await called(client, "start", benchmark="serving", strategy="external", seed=1)
            run = status["run"]
            status = await called(client, "wait", run=run, seconds=60)
            if status["state"] == "waiting for a decision":
                sets = [[item] for item in status["items"][:8]]
                await called(client, "probe", run=run, sets=sets, seconds=60)
                status = await called(client, "wait", run=run, seconds=60)
            while status["state"] != "ended":
                claims = [suspect["items"] for suspect in status["suspects"]]
                if status["state"] == "waiting for a decision":
                    await called(client, "conclude", run=run, claims=claims)
                status = await called(client, "wait", run=run, seconds=60)
            verdicts = await called(client, "verdicts", run=run)
            report = await called(client, "report", run=run)
            return status, verdicts, report

    status, verdicts, report = asyncio.run(main())
    assert status["exit_code"] in (0, 3)
    assert status["elapsed_s"] < 15 + 5
    assert report["text"]
    sensitive = [v["target"] for v in verdicts["verdicts"] if v["verdict"] == "sensitive"]
    assert not any(target.startswith(hidden) for target in sensitive)
    if verdicts["certified"]:
        assert critical <= {target.partition(":")[0] for target in sensitive}
