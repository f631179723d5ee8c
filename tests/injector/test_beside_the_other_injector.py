"""`injector` is also the name of an unrelated package on PyPI: both can be installed in one
environment, both work there, and either can be uninstalled."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.process

OURS = """
import subprocess, sys
from injector.plan import Plan
from bisector.injection import run_attached
from bisector.settings import Settings
from bisector.workload import Workload
command = (sys.executable, "-c", "def step(): pass\\nfor _ in range(7): step()")
run = run_attached(Workload.of(Settings(command=command, cwd=".")), Plan(rules=("__main__:step",)))
print([(t.target, t.calls) for t in run.targets])
"""
THEIRS = """
import injector
class Service:
    pass
print(type(injector.Injector().get(Service)).__name__)
"""


class Environment:
    """A virtual environment that has what the tests' own has, but for this project."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin" / "python"
        own = next(Path(p) for p in sys.path if p.endswith("site-packages"))
        site = next((folder / "lib").glob("python*/site-packages"))
        # A path entry and no import hook: what is installed in editable mode stays behind.
        (site / "dependencies.pth").write_text(f"{own}\n")

    def pip(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "-q", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def run(self, code: str) -> str:
        done = subprocess.run(
            [self.python, "-c", code], capture_output=True, text=True, check=False, cwd="/"
        )
        return done.stdout.strip() or done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this project, built from a copy of its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "sources"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("the sources are no checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(folder),
        str(copy),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.crowd
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_both_are_installed_work_and_are_uninstalled(
    tmp_path: Path, wheel: Path, first: str
) -> None:
    environment = Environment(tmp_path / "venv")
    order = [[str(wheel), "--no-deps"], ["injector==0.24.0"]]
    for words in order if first == "ours" else order[::-1]:
        done = environment.pip("install", *words)
        if done.returncode and "injector==" in words[0]:
            pytest.skip("the other package cannot be had here")
        assert done.returncode == 0, done.stderr
    assert environment.run(OURS) == "[('__main__:step', 7)]"
    assert environment.run(THEIRS) == "Service"
    gone, left, code, says = (
        ("speedbump-bisect", "theirs", THEIRS, "Service")
        if first == "ours"
        else ("injector", "ours", OURS, "[('__main__:step', 7)]")
    )
    assert environment.pip("uninstall", "-y", gone).returncode == 0, left
    assert environment.run(code) == says
