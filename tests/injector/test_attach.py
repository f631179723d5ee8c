"""Attaching, from outside: the program never notices, and every Python process leaves a record."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from attached_runs import BOOTSTRAP, PYTHON, Run, run_attached, version

from injector.plan import Dose, Plan, Site

pytestmark = pytest.mark.process

Attached = Callable[..., Run]

WHO_AM_I = """
    import sys
    def greet():
        print("hello", sys.argv[1:], flush=True)
        print("on stderr", file=sys.stderr)
    greet()
    sys.exit(7)
"""

RULES = ("__main__:*",)


@pytest.mark.parametrize("mode", ["delay", "discover"])
def test_arguments_streams_and_exit_code_are_the_programs_own(
    attached: Attached, compiled: bool, mode: str
) -> None:
    run = attached(WHO_AM_I, Plan(mode=mode, rules=RULES, compiled=compiled), "a", "b c")  # type: ignore[arg-type]
    assert run.stdout == "hello ['a', 'b c']\n"
    assert run.stderr == "on stderr\n"
    assert run.returncode == 7
    assert run.main.errors == []
    assert run.main.header["mode"] == mode
    assert run.main.header["compiled"] == compiled
    assert run.main.header["name"] == "program.py"
    assert run.main.header["reason"]
    assert run.main.of("process")[0]["detached_ns"] > run.main.attached_ns
    assert run.main.cpu_before_s > 0.0


def test_nothing_is_left_in_the_programs_world_but_private_modules(attached: Attached) -> None:
    source = """
        import os, sys
        print([p for p in sys.path if "bootstrap" in p])
        print("sitecustomize" in sys.modules, "injector" in sys.modules)
        ours = {m for m in sys.modules if m.startswith("_speedbump_injector")}
        print(bool(ours))
        foreign = {m.partition(".")[0] for m in sys.modules} - sys.stdlib_module_names
        print(sorted(foreign - {"__main__", "_speedbump_injector"} - {
            m for m in foreign if m.startswith(("_virtualenv", "__editable", "_distutils_hack"))}))
        import threading
        print([t.name for t in threading.enumerate()])
    """
    run = attached(source, Plan(mode="discover"))
    assert run.stdout.splitlines() == ["[]", "False False", "True", "[]", "['MainThread']"]


def test_without_the_variable_nothing_happens(tmp_path: Path) -> None:
    code = (
        "import sys; "
        "print([m for m in sys.modules if 'speedbump' in m], 'sitecustomize' in sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if k != "SPEEDBUMP_BISECT"}
    done = subprocess.run(
        [PYTHON, "-c", code],
        env=env | {"PYTHONPATH": str(BOOTSTRAP)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[] False\n"
    assert done.stderr == ""


def test_an_existing_sitecustomize_still_works(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import builtins; builtins.theirs = __file__\n")
    run = run_attached(
        tmp_path,
        ["-c", "import sys; print(theirs, sys.modules['sitecustomize'].__file__)"],
        Plan(mode="discover"),
        {"PYTHONPATH": str(folder)},
    )
    theirs = str(folder / "sitecustomize.py")
    assert run.stdout.split() == [theirs, theirs]
    assert len(run.records) == 1


def test_an_existing_sitecustomize_that_fails_fails_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("raise RuntimeError('theirs')\n")
    run = run_attached(
        tmp_path, ["-c", "print('ran')"], Plan(mode="discover"), {"PYTHONPATH": str(folder)}
    )
    assert run.stdout == "ran\n"
    assert "RuntimeError: theirs" in run.stderr


def test_a_module_and_a_command_string_attach_too(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("def work(): pass\nwork()\nwork()\n")
    run = run_attached(tmp_path, ["-m", "tool"], Plan(rules=("__main__:work",)))
    assert run.one("target", "__main__:work")["calls"] == 2
    assert run.main.header["name"] == "tool"
    other = tmp_path / "other"
    other.mkdir()
    run = run_attached(other, ["-c", "def f(): pass\nf()"], Plan(rules=("__main__:f",)))
    assert run.one("target", "__main__:f")["calls"] == 1


CHILDREN = """
    import multiprocessing, os, subprocess, sys, threading
    def work(n):
        for _ in range(n):
            step()
    def step():
        pass
    if __name__ == "__main__":
        how = sys.argv[1]
        if how == "subprocess":
            subprocess.run([sys.executable, "-c", "def step(): pass\\nfor _ in range(5): step()"])
        elif how == "os.fork":
            if not (pid := os.fork()):
                work(5)
                os._exit(0)
            os.waitpid(pid, 0)
        else:
            child = multiprocessing.get_context(how).Process(target=work, args=(5,), name="kid")
            child.start()
            child.join()
        work(3)
"""


@pytest.mark.parametrize("how", ["subprocess", "os.fork", "fork", "spawn", "forkserver"])
def test_children_attach_and_count_for_themselves(
    attached: Attached, compiled: bool, how: str
) -> None:
    run = attached(CHILDREN, Plan(rules=("__main__:step",), compiled=compiled), how)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    calls = {
        record.header["pid"]: sum(e["calls"] for e in record.of("target")) for record in run.records
    }
    assert calls[run.main.header["pid"]] == 3
    assert sorted(calls.values())[-1] == 5
    child = next(r for r in run.records if sum(e["calls"] for e in r.of("target")) == 5)
    if how != "forkserver":
        assert child.header["ppid"] == run.main.header["pid"]
    assert child.header["forked"] == (how in ("os.fork", "fork", "forkserver"))
    if how in ("fork", "spawn", "forkserver"):
        assert child.header["name"] == "kid"
    assert [record.errors for record in run.records if record.errors] == []


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_children_are_discovered_too(attached: Attached, compiled: bool, how: str) -> None:
    run = attached(CHILDREN, Plan(mode="discover", compiled=compiled), how)
    assert run.stderr == ""  # no warning about forking with threads either
    calls = [
        e["calls"]
        for record in run.records
        for e in record.of("function")
        if e.fields["target"] == "__main__:step" and e["calls"]
    ]
    assert sorted(calls) == [3, 5]
    assert [record.errors for record in run.records if record.errors] == []


def test_threads_started_before_and_after_are_covered(attached: Attached, compiled: bool) -> None:
    source = """
        import _thread, threading
        def work():
            for _ in range(10):
                step()
        def step():
            pass
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads: t.start()
        for t in threads: t.join()
        done = _thread.allocate_lock(); done.acquire()
        work()
    """
    run = attached(source, Plan(rules=("__main__:step",), compiled=compiled))
    assert run.one("target", "__main__:step")["calls"] == 40


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"])
@pytest.mark.parametrize("mode", ["delay", "discover"])
def test_records_survive_a_hard_end(
    attached: Attached, compiled: bool, mode: str, end: str
) -> None:
    source = f"""
        import os, resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        def step():
            pass
        for _ in range(11):
            step()
        {end}
    """
    plan = Plan(mode=mode, rules=("__main__:step",), compiled=compiled)  # type: ignore[arg-type]
    run = attached(source, plan)
    kind = "target" if mode == "delay" else "function"
    assert run.one(kind, "__main__:step")["calls"] == 11
    assert run.main.of("process")[0]["detached_ns"] == 0


@pytest.mark.parametrize("plan", ['{"version": 99}', "not json", '{"version": 1}', '["a list"]'])
def test_a_plan_that_cannot_be_used_is_an_error_in_the_records_only(
    attached: Attached, plan: str
) -> None:
    run = attached("print('ran')", plan)
    assert (run.returncode, run.stdout, run.stderr) == (0, "ran\n", "")
    assert len(run.main.errors) == 1
    assert run.main.header["backend"] == "none"


def test_a_bad_rule_too(attached: Attached) -> None:
    run = attached("print('ran')", Plan(rules=("no colon",)))
    assert (run.returncode, run.stdout, run.stderr) == (0, "ran\n", "")
    assert any("no ':'" in error for record in run.records for error in record.errors)


def test_a_missing_run_directory_is_nothing_at_all(tmp_path: Path) -> None:
    done = subprocess.run(
        [PYTHON, "-c", "print('ran')"],
        env=os.environ | {"PYTHONPATH": str(BOOTSTRAP), "SPEEDBUMP_BISECT": str(tmp_path / "gone")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


PLANTED = """
    import sys
    ours = sys.modules["_speedbump_injector.{module}"]
    def planted(*_):
        raise OverflowError("planted")
    ours.{where} = planted
    def step():
        return 1
    print(sum(step() for _ in range(4)))
"""


@pytest.mark.parametrize(
    ("mode", "module", "where"),
    [("delay", "doses", "running_in"), ("discover", "sightings", "running_in")],
)
def test_an_exception_in_naming_never_reaches_the_program(
    attached: Attached, compiled: bool, mode: str, module: str, where: str
) -> None:
    plan = Plan(mode=mode, rules=("__main__:step",), compiled=compiled)  # type: ignore[arg-type]
    run = attached(PLANTED.format(module=module, where=where), plan)
    assert (run.returncode, run.stdout, run.stderr) == (0, "4\n", "")
    assert any("OverflowError: planted" in error for error in run.main.errors)


@pytest.mark.parametrize(
    ("mode", "module", "where"),
    [("delay", "delayer", "Delayer._visit"), ("discover", "observer", "Observer._enter")],
)
def test_an_exception_in_the_twin_never_reaches_the_program(
    attached: Attached, mode: str, module: str, where: str
) -> None:
    plan = Plan(mode=mode, rules=("__main__:step",), compiled=False)  # type: ignore[arg-type]
    run = attached(
        f"""
        import sys
        sys.modules["_speedbump_injector.{module}"].{where} = None
        def step():
            return 1
        print(sum(step() for _ in range(4)))
        """,
        plan,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "4\n", "")
    assert any("'NoneType' object is not callable" in error for error in run.main.errors)


def test_an_exception_from_a_signal_handler_is_the_programs(
    attached: Attached, compiled: bool
) -> None:
    source = """
        import signal, time
        class Late(Exception):
            pass
        def late(*_):
            raise Late
        def step():
            pass
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            for _ in range(100):
                step()
            print("never")
        except Late:
            print("late")
    """
    site = Site("entry", -1, "wait", 20e6)
    plan = Plan(doses=(Dose("__main__:step", 7, (site,)),), compiled=compiled)
    run = attached(source, plan)
    assert run.stdout == "late\n"
    assert run.stderr == ""
    assert run.main.errors == []


def test_tracing_and_other_tools_of_the_program_keep_working(attached: Attached) -> None:
    source = """
        import sys
        def step():
            return 1
        seen = []
        sys.setprofile(lambda frame, event, arg: seen.append(event))
        step()
        sys.setprofile(None)
        print("call" in seen)
        if hasattr(sys, "monitoring"):
            sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "theirs")
            sys.monitoring.use_tool_id(sys.monitoring.PROFILER_ID, "theirs")
            sys.monitoring.use_tool_id(sys.monitoring.DEBUGGER_ID, "theirs")
    """
    run = attached(source, Plan(rules=("__main__:step",)))
    assert (run.stdout, run.stderr) == ("True\n", "")


def test_the_injector_itself_is_never_a_target(attached: Attached, compiled: bool) -> None:
    run = attached("import json", Plan(mode="discover", compiled=compiled))
    assert not [e for e in run.main.of("function") if "speedbump" in e.fields["target"]]
    run_files = {e.fields["file"] for e in run.main.of("function")}
    assert not [file for file in run_files if str(BOOTSTRAP.parent) in file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_plan_of_somebody_else_s_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "plan.json").write_text(Plan(rules=("*:*",)).to_json())
    os.chown(tmp_path / "plan.json", 65534, 65534)
    environment = os.environ | {"SPEEDBUMP_BISECT": str(tmp_path), "PYTHONPATH": str(BOOTSTRAP)}
    done = subprocess.run(
        [PYTHON, "-c", "print(1)"], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert not list((tmp_path / "records").iterdir())


WORLD = """
    import atexit, json, os, signal, sys, threading
    def step(): pass
    for _ in range(10): step()
    print(json.dumps({
        "path": sys.path, "argv": sys.argv, "flags": list(sys.flags), "environ": dict(os.environ),
        "modules": sorted(sys.modules), "threads": [t.name for t in threading.enumerate()],
        "signals": [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
        "hooks": [str(sys.excepthook), str(sys.unraisablehook), str(threading.excepthook)],
        "profile": [str(sys.getprofile()), str(sys.gettrace())], "meta": len(sys.meta_path),
        "limit": [sys.getrecursionlimit(), sys.getswitchinterval()],
        "open": len(os.listdir("/proc/self/fd")), "code": sys.dont_write_bytecode,
    }))
    print("to standard error", file=sys.stderr)
    atexit.register(print, "at the end")
    sys.exit(7)
"""


@pytest.mark.parametrize("plan", [Plan(rules=("*:*",), native=True), Plan(mode="discover")])
def test_the_program_finds_the_world_as_it_is_without_us(
    attached: Attached, tmp_path: Path, plan: Plan, compiled: bool
) -> None:
    """But for one variable, a path entry in another, our own private modules, and what these need
    of the standard library."""
    with_us = attached(WORLD, replace(plan, compiled=compiled))
    done = subprocess.run(
        [PYTHON, str(tmp_path / "program.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (with_us.returncode, with_us.stderr) == (done.returncode, done.stderr)
    ours, theirs = (out.splitlines() for out in (with_us.stdout, done.stdout))
    assert (len(ours), ours[1:]) == (len(theirs), theirs[1:])
    seen, expected = (json.loads(lines[0]) for lines in (ours, theirs))
    assert seen["environ"].pop("SPEEDBUMP_BISECT")
    entries = seen["environ"].pop("PYTHONPATH").split(os.pathsep)
    assert entries[0] == str(BOOTSTRAP)
    expected["environ"].pop("PYTHONPATH", None)
    more = set(seen.pop("modules")) - set(expected.pop("modules"))
    needed = {name for name in more if not name.startswith("_speedbump_injector")}
    assert needed <= NEEDS | ALSO_NEEDS
    # The names of what was seen and the counters stay open, the second as a map.
    assert 0 <= seen.pop("open") - expected.pop("open") <= 2
    if version() < (3, 12) and not compiled:
        seen.pop("profile"), expected.pop("profile")
    assert seen == expected


NEEDS = {
    *("__future__", "_functools", "_json", "_struct", "_weakref", "mmap", "warnings"),
    *("importlib", "importlib._bootstrap", "importlib._bootstrap_external"),
}
ALSO_NEEDS = {"_opcode", "_opcode_metadata", "opcode", "binascii", "types", "re", "enum"}
"""Without the core, with native targets, or with rules."""
