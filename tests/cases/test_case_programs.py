"""The case programs and their table belong together, and each program does print its rate.

What the tool makes of the programs is tested elsewhere; here only that the material is sound.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from truth import CASES, Case

HERE = Path(__file__).parent
ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def functions_of(program: Path) -> set[str]:
    """Names of the functions a script defines at its top level, and its own body."""
    body = ast.parse(program.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)} | {"<module>"}


def test_every_program_of_the_folder_is_in_the_table() -> None:
    programs = {path.name for path in HERE.glob("*.py")} - {"truth.py", Path(__file__).name}
    assert programs == {case.program for case in CASES}


@ALL
def test_the_table_names_functions_that_exist(case: Case) -> None:
    named = case.must_be_sensitive | case.must_not_be_sensitive | case.waiting | case.co_critical
    of_the_script = {name.removeprefix("__main__:") for name in named if "__main__:" in name}
    assert {name.partition("@")[0] for name in of_the_script} <= functions_of(HERE / case.program)


@ALL
def test_the_table_does_not_contradict_itself(case: Case) -> None:
    assert not case.must_be_sensitive & case.must_not_be_sensitive
    assert case.waiting | case.co_critical | set(case.gains) <= case.must_be_sensitive
    assert (case.verdict == "sensitive") == bool(case.must_be_sensitive)


@pytest.mark.process
@ALL
def test_the_program_prints_one_rate(case: Case) -> None:
    command = [sys.executable, str(HERE / case.program), *case.args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert re.fullmatch(r"throughput: [0-9.]+ \w+/s\n", done.stdout)
