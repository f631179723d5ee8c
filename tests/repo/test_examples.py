"""The examples and their written truth belong together, and each prints one rate."""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
MODES: list[tuple[Path, dict[str, Any]]] = [
    (path.parent, mode)
    for path in sorted(EXAMPLES.glob("*/truth.json"))
    for mode in json.loads(path.read_text(encoding="utf-8"))["modes"].values()
]
EVERY_MODE = pytest.mark.parametrize(
    ("folder", "mode"),
    MODES,
    ids=["-".join((folder.name, *mode["arguments"])) for folder, mode in MODES],
)


def defined(node: ast.AST, prefix: str = "") -> set[str]:
    """Qualified names of the functions defined below a node."""
    names = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names |= {f"{prefix}{child.name}"} | defined(child, f"{prefix}{child.name}.")
    return names


def test_every_example_has_its_truth_written_down() -> None:
    folders = {path.parent for path in EXAMPLES.glob("*/bench.py")}
    assert folders == {folder for folder, _ in MODES}


@EVERY_MODE
def test_the_truth_names_functions_that_exist(folder: Path, mode: dict[str, Any]) -> None:
    named = {*mode["sensitive"], *mode.get("co_critical", ()), *mode.get("hidden", ())}
    named |= {mode["hottest_hidden"]} if "hottest_hidden" in mode else set()
    for target in named:
        module, _, function = target.partition(":")
        source = folder.joinpath(*module.split(".")).with_suffix(".py")
        if not source.exists():
            assert callable(pkgutil.resolve_name(target)), "neither the example's nor a library's"
            continue
        assert function in defined(ast.parse(source.read_text(encoding="utf-8"))), target


@EVERY_MODE
def test_the_truth_does_not_contradict_itself(folder: Path, mode: dict[str, Any]) -> None:
    assert (mode["verdict"] == "sensitive") == bool(mode["sensitive"])
    assert set(mode.get("co_critical", ())) <= set(mode["sensitive"])
    assert not set(mode.get("hidden", ())) & set(mode["sensitive"])


@pytest.mark.process
@EVERY_MODE
def test_the_example_prints_one_rate(folder: Path, mode: dict[str, Any]) -> None:
    command = [sys.executable, str(folder / "bench.py"), *mode["arguments"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(re.findall(r"^throughput: [0-9.]+ \w+/s$", done.stdout, re.MULTILINE)) == 1


@pytest.mark.process
def test_the_pipeline_does_not_care_how_its_processes_are_started() -> None:
    command = [sys.executable, str(EXAMPLES / "worker_pipeline" / "bench.py"), "--blocks", "40"]
    for method in ("fork", "spawn", "forkserver"):
        done = subprocess.run(
            [*command, "--start-method", method],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.startswith("throughput: ")
