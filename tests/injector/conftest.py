from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from attached_runs import Run, has_core, run_attached

from injector.plan import Plan


@pytest.fixture(scope="session")
def core_is_there() -> bool:
    return has_core()


@pytest.fixture(params=["twin", "core"])
def compiled(request: pytest.FixtureRequest, core_is_there: bool) -> bool:
    """Both implementations, through the same tests."""
    if request.param == "core" and not core_is_there:
        pytest.skip("the compiled core is not there")
    return bool(request.param == "core")


@pytest.fixture
def attached(tmp_path: Path) -> Callable[..., Run]:
    """Run a program given as text: ``attached(source, plan, *arguments)``."""

    def run(source: str, plan: Plan | str, *arguments: str) -> Run:
        script = tmp_path / "program.py"
        script.write_text(dedent(source))
        return run_attached(tmp_path, [str(script), *arguments], plan)

    return run
