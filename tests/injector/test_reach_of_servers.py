"""Servers, event loops, profilers and many processes: what is called in them is counted exactly."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from attached_runs import BOOTSTRAP, PYTHON, Run, calls, needs, run_attached, version

from injector.plan import Dose, Plan, Site
from injector.records import read_records

pytestmark = pytest.mark.process

Attached = Callable[..., Run]

STEP = Plan(rules=("*:step",))


# -- servers with workers -------------------------------------------------------------------------

CLIENT = """
    import http.client, os, signal, socket, subprocess, sys, time
    class Unix(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect("server.sock")
    def get():
        connection = Unix("localhost", timeout=20)
        connection.request("GET", "/")
        body = connection.getresponse().read()
        connection.close()
        return body
    server = subprocess.Popen([sys.executable, "-m", *{arguments!r}])
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            assert get() == b"done"
            break
        except OSError:
            time.sleep(0.05)
    for _ in range({requests}):
        assert get() == b"done"
    server.send_signal(signal.SIGTERM)
    server.wait(20)
"""

WSGI = """
    def step():
        pass
    def app(environ, start_response):
        step()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]
"""

ASGI = """
    def step():
        pass
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        step()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
"""


def served(tmp_path: Path, app: str, *arguments: str) -> Run:
    """A program that starts a server and asks it 20 times, and until it answers."""
    (tmp_path / "service.py").write_text(dedent(app))
    script = tmp_path / "client.py"
    script.write_text(dedent(CLIENT.format(arguments=list(arguments), requests=20)))
    return run_attached(tmp_path, [str(script)], Plan(rules=("service:step",)))


def test_gunicorn_and_its_workers(tmp_path: Path) -> None:
    needs("gunicorn")
    run = served(
        tmp_path, WSGI, "gunicorn", "-w", "2", "-b", "unix:server.sock", "--log-level", "error",
        "service:app",
    )  # fmt: skip
    assert calls(run) == 21
    assert len(run.records) >= 4, "the client, the master and two workers"


def test_uvicorn_and_its_workers(tmp_path: Path) -> None:
    needs("uvicorn")
    run = served(
        tmp_path, ASGI, "uvicorn", "--workers", "2", "--uds", "server.sock", "--log-level",
        "critical", "service:app",
    )  # fmt: skip
    assert calls(run) == 21
    assert len(run.records) >= 4


def test_pyperf_hands_its_environment_on_if_told_to(tmp_path: Path) -> None:
    needs("pyperf")
    script = tmp_path / "bench.py"
    script.write_text(
        "import pyperf\ndef step(): pass\n"
        "runner = pyperf.Runner(values=1, processes=2, warmups=0, loops=4)\n"
        "runner.bench_func('step', step)\n"
    )
    run = run_attached(
        tmp_path,
        [str(script), "-q", "--inherit-environ=PYTHONPATH,SPEEDBUMP_BISECT"],
        Plan(rules=("__main__:step",)),
    )
    assert calls(run) == 2 * 4
    assert len(run.records) >= 3


# -- others that watch ----------------------------------------------------------------------------


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_beside_us(tmp_path: Path, core: str, compiled: bool) -> None:
    """Both count what they would count alone."""
    needs("coverage")
    if core == "sysmon" and version() < (3, 12):
        pytest.skip("3.12 has sys.monitoring")
    script = tmp_path / "program.py"
    script.write_text(
        "def step(n):\n    if n > 50:\n        return 1\n    return 0\n"
        "for n in range(40):\n    step(n)\n"
    )
    env = {"COVERAGE_CORE": core}
    plan = replace(STEP, compiled=compiled)
    run = run_attached(tmp_path, ["-m", "coverage", "run", str(script)], plan, env)
    assert calls(run) == 40
    report = [PYTHON, "-m", "coverage", "report", "-m"]
    said = subprocess.run(report, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[2].split()[-3:] == ["1", "83%", "3"]


DEBUGGERS = {
    "pdb": ["-m", "pdb", "-c", "b 3", "-c", "c", "-c", "cl 1", "-c", "c", "-c", "q"],
    "debugpy": ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:PORT"],
}


@pytest.mark.parametrize("debugger", DEBUGGERS)
def test_a_debugger_beside_us(tmp_path: Path, debugger: str) -> None:
    needs(debugger)
    script = tmp_path / "program.py"
    script.write_text(
        "def step(n):\n    a = n\n    return a\nfor n in range(25):\n    step(n)\nprint('end')\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = [each.replace("PORT", port) for each in DEBUGGERS[debugger]]
    run = run_attached(tmp_path, [*options, str(script)], Plan(rules=("*:step",)))
    assert calls(run, "__main__:step") == 25
    assert "end" in run.stdout.split()
    assert ("Breakpoint" in run.stdout) == (debugger == "pdb")


def test_a_debugger_s_trace_function_beside_us(attached: Attached, compiled: bool) -> None:
    source = """
        import sys, threading
        lines = 0
        def trace(frame, event, arg):
            global lines
            if frame.f_code.co_name == "step":
                lines += event == "line"
                return trace
        def step(n):
            a = n
            return a
        sys.settrace(trace)
        for n in range(25):
            step(n)
        sys.settrace(None)
        step(0)
        print(lines)
    """
    run = attached(source, Plan(rules=("__main__:step",), compiled=compiled))
    assert run.stdout.split() == ["50"]
    assert calls(run) == 26


# -- many processes -------------------------------------------------------------------------------


@pytest.mark.crowd
def test_64_processes_that_start_at_once(attached: Attached) -> None:
    source = """
        import subprocess, sys
        def step(): pass
        if len(sys.argv) > 1:
            for _ in range(10):
                step()
        else:
            command = [sys.executable, __file__, "child"]
            children = [subprocess.Popen(command) for _ in range(64)]
            assert not any(child.wait() for child in children)
    """
    run = attached(source, STEP)
    assert len(run.records) == 65
    assert calls(run) == 640


@pytest.mark.crowd
def test_a_thousand_processes_one_after_another(attached: Attached) -> None:
    source = """
        import os
        def step(): pass
        for n in range(1000):
            child = os.fork()
            if not child:
                step()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    """
    run = attached(source, STEP)
    assert len(run.records) == 1001
    assert calls(run) == 1000


def test_counts_are_complete_up_to_a_kill(tmp_path: Path) -> None:
    """The program says how far it is; what it had done by then was counted."""
    records = tmp_path / "records"
    records.mkdir()
    (tmp_path / "plan.json").write_text(STEP.to_json())
    script = tmp_path / "program.py"
    script.write_text(
        "def step(): pass\nn = 0\nwhile True:\n    step()\n    n += 1\n"
        "    if n % 1000 == 0: print(n, flush=True)\n"
    )
    environment = os.environ | {"SPEEDBUMP_BISECT": str(tmp_path), "PYTHONPATH": str(BOOTSTRAP)}
    child = subprocess.Popen(
        [PYTHON, str(script)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(20):
        child.stdout.readline()
    time.sleep(0.01)
    child.kill()
    said = [int(line) for line in child.communicate()[0].split()] or [20_000]
    (record,) = read_records(records)
    (entry,) = record.of("target")
    # It may have been killed between a call and the line that says so.
    assert said[-1] <= entry["calls"] <= said[-1] + 1_000


def test_threads_wait_for_each_other_s_delays_as_for_slower_python(attached: Attached) -> None:
    """Delays that hold the GIL add up over threads; those without it run side by side."""
    source = """
        import threading, time, sys
        def step(): pass
        def work():
            for _ in range(100):
                step()
        threads = [threading.Thread(target=work) for _ in range(2)]
        begin = time.monotonic()
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(time.monotonic() - begin)
    """
    took = {}
    for state in ("gil", "wait"):
        site = Site("entry", -1, state, 1e6)  # type: ignore[arg-type]
        run = attached(source, Plan(doses=(Dose("__main__:step", 3, (site,)),)))
        assert calls(run) == 200
        took[state] = float(run.stdout)
    assert took["gil"] > 0.19
    assert took["wait"] < 0.75 * took["gil"]
