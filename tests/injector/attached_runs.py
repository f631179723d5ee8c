"""Running a program attached, and looking at what it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from injector.plan import Plan
from injector.records import Entry, ProcessRecord, read_records

BOOTSTRAP = Path(__file__).parents[2] / "injector" / "bootstrap"

PYTHON = os.environ.get("SPEEDBUMP_TEST_PYTHON", sys.executable)
"""The interpreter that runs the targets: another one than the tests' own, if told so."""


def has_core() -> bool:
    """Whether the compiled core loads in the interpreter of the targets."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import injector._core"
    argv = [PYTHON, "-c", code, str(BOOTSTRAP.parents[1])]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def version() -> tuple[int, ...]:
    """Of the interpreter of the targets."""
    argv = [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return tuple(map(int, out.split()))


@dataclass(frozen=True)
class Run:
    """A finished program and its records."""

    returncode: int
    stdout: str
    stderr: str
    records: list[ProcessRecord]

    @property
    def main(self) -> ProcessRecord:
        return self.records[0]

    def one(self, kind: str, target: str) -> Entry:
        """The only entry of that kind for that target, over all processes."""
        found = [e for r in self.records for e in r.of(kind) if e.fields.get("target") == target]
        assert len(found) == 1, (target, found, [r.errors for r in self.records])
        return found[0]

    def sites(self, target: str) -> dict[tuple[str, int], Entry]:
        """The sites of a function in the first process, by (at, offset)."""
        function = next(e for e in self.main.of("function") if e.fields["target"] == target)
        return {
            (e.fields["at"], e.fields["offset"]): e
            for e in self.main.of("site")
            if e.fields["function"] == function.slot
        }

    def charged(self, target: str, state: str) -> dict[tuple[str, int], float]:
        """Share of the function's ``state`` time by site, largest first."""
        sites = self.sites(target)
        total = sum(e[state] for e in sites.values()) or 1
        shares = {key: entry[state] / total for key, entry in sites.items()}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def run_attached(
    folder: Path, argv: list[str], plan: Plan | str, env: dict[str, str] | None = None
) -> Run:
    """Run ``argv`` (after the interpreter) with ``plan``, in ``folder``."""
    run_dir = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    (run_dir / "records").mkdir()
    text = plan if isinstance(plan, str) else plan.to_json()
    (run_dir / "plan.json").write_text(text)
    path = os.pathsep.join([str(BOOTSTRAP), *filter(None, [(env or {}).get("PYTHONPATH")])])
    environment = os.environ | (env or {})
    environment |= {"SPEEDBUMP_BISECT": str(run_dir), "PYTHONPATH": path}
    done = subprocess.run(
        [PYTHON, *argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, read_records(run_dir / "records"))


def calls(run: Run, target: str | None = None) -> int:
    """Of a target, or of all, in all processes of a run that went well."""
    assert run.returncode == 0, run.stderr
    assert not any(record.errors for record in run.records)
    entries = [entry for record in run.records for entry in record.of("target")]
    return sum(e["calls"] for e in entries if target in (None, e.fields["target"]))


def needs(*modules: str) -> None:
    """Skip where the interpreter of the targets does not have them."""
    for module in modules:
        argv = [PYTHON, "-c", f"import {module}"]
        if subprocess.run(argv, capture_output=True, check=False).returncode:
            pytest.skip(f"{module} is not there")
