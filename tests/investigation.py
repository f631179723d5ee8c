"""One investigation through the command line, as a user starts it; what comes back is its JSON."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Investigation:
    """Exit code, summary (None where none was written) and standard error of one investigation."""

    exit_code: int
    summary: dict[str, Any] | None
    errors: str


def investigate(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    budget: str = "60s",
    seed: int = 0,
    options: Sequence[str] = (),
    keep: Path | None = None,
) -> Investigation:
    """Investigate a script with this Python; the run stays only in the directory ``keep``."""
    with contextlib.ExitStack() as stack:
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        result = directory / "summary.json"
        result.unlink(missing_ok=True)  # of an earlier investigation that was kept here
        shutil.rmtree(directory / "run", ignore_errors=True)
        command = [sys.executable, "-m", "bisector", str(script)]
        command += ["--budget", budget, "--seed", str(seed), "--json", str(result), "--quiet"]
        command += ["--output", str(directory / "run"), *options, "--", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        summary = json.loads(result.read_text(encoding="utf-8")) if result.exists() else None
        return Investigation(done.returncode, summary, done.stderr)
