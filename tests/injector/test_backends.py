"""Which backend watches a process, and that each brings the same events."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attached_runs import BOOTSTRAP, PYTHON, Run, version

from injector.backends.choose import NoBackend, candidates, choose
from injector.plan import Plan

Attached = Callable[..., Run]


@pytest.mark.parametrize(
    ("python", "compiled", "first"),
    [
        ((3, 11), False, "profile"),
        ((3, 11), True, "frame_eval"),
        ((3, 12), False, "monitoring"),
        ((3, 13), True, "monitoring"),
        ((3, 14), True, "monitoring"),
    ],
)
def test_the_cheapest_mechanism_comes_first_with_a_reason(
    python: tuple[int, int], compiled: bool, first: str
) -> None:
    name, reason = candidates("auto", compiled, python)[0]
    assert name == first
    assert f"Python {python[0]}.{python[1]}" in reason


def test_a_mechanism_that_fails_is_in_the_reason_for_the_next() -> None:
    backend, reason = choose("auto", compiled=True, version=(3, 11, 0))
    if sys.version_info >= (3, 12):
        assert backend.name == "profile"
        assert "frame_eval failed: " in reason
        assert "it needs no compiled core" in reason
    else:
        assert backend.name in ("frame_eval", "profile")


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(NoBackend, match="there is no backend 'psychic'"):
        choose("psychic", compiled=False)


EVENTS = """
    import threading
    class Tool:
        def use(self):
            return len("abc")
    def numbers():
        got = yield 1
        yield got
    def inner():
        yield from numbers()
    def fail():
        raise KeyError
    def run():
        for _ in range(10):
            Tool().use()
        list(inner())
        sorted([3, 2, 1], key=lambda n: -n)
        g = numbers()
        next(g)
        try:
            g.throw(KeyError)
        except KeyError:
            pass
        try:
            fail()
        except KeyError:
            pass
    run()
    t = threading.Thread(target=run)
    t.start()
    t.join()
"""


@pytest.mark.process
@pytest.mark.parametrize("mode", ["discover", "delay"])
def test_every_backend_counts_the_same_calls(attached: Attached, mode: str) -> None:
    counts = []
    kind = {"discover": "function", "delay": "target"}[mode]
    for backend in ("auto", "profile"):
        plan = Plan(mode=mode, rules=("__main__:*",), backend=backend, compiled=False)  # type: ignore[arg-type]
        run = attached(EVENTS, plan)
        assert run.main.errors == []
        assert run.stderr == ""
        found = [e for e in run.main.of(kind) if e.fields["target"].startswith("__main__:")]
        counts.append({e.fields["target"]: e["calls"] for e in found})
    assert counts[0] == counts[1]
    assert counts[0]["__main__:Tool.use"] == 20
    assert counts[0]["__main__:numbers"] == 4
    assert counts[0]["__main__:run.<locals>.<lambda>"] == 6


@pytest.mark.process
def test_a_backend_that_is_not_to_be_had_is_an_error_in_the_records(attached: Attached) -> None:
    run = attached("print('ran')", Plan(backend="psychic"))
    assert (run.returncode, run.stdout, run.stderr) == (0, "ran\n", "")
    assert "there is no backend 'psychic'" in run.main.errors[0]


@pytest.mark.process
def test_a_tool_id_that_others_hold_is_left_to_them(attached: Attached, tmp_path: Path) -> None:
    if version() < (3, 12):
        pytest.skip("no sys.monitoring on 3.11")
    source = """
        import sys
        names = [sys.monitoring.get_tool(i) for i in range(6)]
        print([i for i, name in enumerate(names) if name])
    """
    run = attached(source, Plan(rules=("__main__:*",)))
    assert run.stdout == "[3]\n"


@pytest.mark.process
@pytest.mark.parametrize("option", [[], ["--twin"]])
def test_calibration_says_what_a_callback_costs(option: list[str]) -> None:
    calibrate = BOOTSTRAP.parent / "calibrate.py"
    done = subprocess.run(
        [PYTHON, "-S", str(calibrate), *option], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert done.stderr == ""
    assert said["backend"] in ("monitoring", "profile", "frame_eval")
    assert said["reason"]
    assert 1 < said["event_ns"]["entry"] < 50_000
    assert 0 < said["event_ns"]["site"] < 50_000
    assert set(said["discover_ns"]) == {"callee", "caller", "site", "line", "wide"}
    assert set(said["event_ns"]) == {"entry", "site", "line", "wide", "inside", "pay"}
    assert all(0 <= cost < 50_000 for cost in said["discover_ns"].values())
    if option:
        assert not said["compiled"]
