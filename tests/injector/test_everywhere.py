"""However Python is started, it attaches, and what is called there is counted exactly."""

from __future__ import annotations

import zipapp
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from attached_runs import PYTHON, Run, calls, needs, run_attached

from injector.plan import Plan

pytestmark = pytest.mark.process

Attached = Callable[..., Run]


def test_a_zip_archive(tmp_path: Path) -> None:
    source = tmp_path / "app"
    source.mkdir()
    (source / "work.py").write_text("def step(): pass\n")
    (source / "__main__.py").write_text("import work\nfor _ in range(7): work.step()\n")
    zipapp.create_archive(source, tmp_path / "app.pyz")
    run = run_attached(tmp_path, ["app.pyz"], Plan(rules=("work:step",)))
    assert calls(run, "work:step") == 7


def test_a_console_script(tmp_path: Path) -> None:
    """As an installer writes it: a file without a suffix that calls a function of a module."""
    (tmp_path / "tool.py").write_text("def step(): pass\ndef main(): [step() for _ in range(6)]\n")
    script = tmp_path / "tool-command"
    script.write_text("import sys\nfrom tool import main\nsys.exit(main())\n")
    run = run_attached(tmp_path, [str(script)], Plan(rules=("tool:step",)))
    assert calls(run, "tool:step") == 6


def test_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def step(): pass\ndef test_a(): step()\ndef test_b(): step(); step()\n"
    )
    run = run_attached(
        tmp_path, ["-m", "pytest", "-q", "-p", "no:cacheprovider"], Plan(rules=("test_it:step",))
    )
    assert calls(run, "test_it:step") == 3


POOLS = {
    "ProcessPoolExecutor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(work, range(8)))
    """,
    "multiprocessing.Pool": """
        from multiprocessing import Pool
        with Pool(2) as pool:
            pool.map(work, range(8))
            pool.close()
            pool.join()
    """,
    "joblib": """
        from joblib import Parallel, delayed
        Parallel(2)(delayed(work)(n) for n in range(8))
    """,
}


@pytest.mark.parametrize("pool", POOLS)
def test_pools_of_processes(tmp_path: Path, pool: str) -> None:
    if pool == "joblib":
        pytest.importorskip("joblib")
    (tmp_path / "tasks.py").write_text(
        "def step(): pass\ndef work(n): [step() for _ in range(n)]\n"
    )
    main = "from tasks import work\nif __name__ == '__main__':\n"
    script = tmp_path / "program.py"
    script.write_text(main + "".join(f"    {line}\n" for line in dedent(POOLS[pool]).splitlines()))
    run = run_attached(tmp_path, [str(script)], Plan(rules=("tasks:step",)))
    assert calls(run, "tasks:step") == sum(range(8))
    assert len(run.records) >= 3, "the main process and two workers"


def test_a_chain_with_a_shell_in_it(attached: Attached) -> None:
    source = f"""
        import subprocess, sys
        def step(): pass
        depth = int(sys.argv[1])
        for _ in range(depth):
            step()
        if depth:
            command = " ".join(["{PYTHON}", sys.argv[0], str(depth - 1)])
            subprocess.run(["sh", "-c", "cd . && " + command], check=True)
    """
    run = attached(source, Plan(rules=("__main__:step",)), "4")
    assert calls(run, "__main__:step") == 4 + 3 + 2 + 1
    assert len(run.records) == 5


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_event_loop_and_its_threads(attached: Attached, loop: str) -> None:
    needs(loop)
    source = f"""
        import asyncio, {loop}
        def step(): pass
        async def task(n):
            for _ in range(n):
                step()
                await asyncio.sleep(0)
            await asyncio.to_thread(step)
        async def main():
            await asyncio.gather(*(task(n) for n in range(5)))
        {loop}.run(main())
    """
    run = attached(source, Plan(rules=("__main__:step",)))
    assert calls(run, "__main__:step") == sum(range(5)) + 5


KINDS = """
    import functools, dataclasses, contextlib
    def decorated(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper
    @decorated
    def wrapped():
        pass
    @functools.lru_cache
    def cached(n):
        return n
    class C:
        def method(self): pass
        @classmethod
        def of_class(cls): pass
        @staticmethod
        def static(): pass
        @property
        def value(self): pass
        def __call__(self): pass
    @dataclasses.dataclass
    class D:
        a: int
        def __post_init__(self): pass
    def outer():
        def nested(): pass
        nested()
        return lambda: 1
    def generator():
        yield 1
        yield 2
    @contextlib.contextmanager
    def context():
        yield
    made = {"__name__": __name__}
    exec("def by_exec(): pass", made)
    for _ in range(3):
        wrapped(); cached(1); C().method(); C.of_class(); C.static(); C().value; C()(); D(1)
        outer()(); list(generator()); made["by_exec"]()
        with context(): pass
"""


def test_functions_of_every_kind(attached: Attached, compiled: bool) -> None:
    run = attached(KINDS, Plan(rules=("__main__:*",), compiled=compiled))
    once = {"cached": 1}
    names = (
        *("wrapped", "decorated.<locals>.wrapper", "C.method", "C.of_class", "C.static", "C.value"),
        *("C.__call__", "D.__post_init__", "outer", "outer.<locals>.nested", "generator"),
        *("outer.<locals>.<lambda>", "context", "by_exec"),
    )
    counted = {name: calls(run, f"__main__:{name}") for name in (*names, *once)}
    assert counted == dict.fromkeys(names, 3) | once


def test_a_module_that_is_reloaded(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("def step(): pass\n")
    script = tmp_path / "program.py"
    script.write_text(
        "import importlib, work\n"
        "for _ in range(3):\n    work.step()\n    importlib.reload(work)\n    work.step()\n"
    )
    run = run_attached(tmp_path, [str(script)], Plan(rules=("work:step",)))
    assert calls(run, "work:step") == 6
