"""Marks: calls of functions that are there for nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bisector
from bisector.marks import mark_target


def called(mark, *arguments):
    """The functions of one call, as a profiler sees them."""
    seen = []

    def profile(frame, event, argument):
        if event == "call":
            seen.append(f"{frame.f_globals['__name__']}:{frame.f_code.co_qualname}")

    sys.setprofile(profile)
    try:
        mark(*arguments)
    finally:
        sys.setprofile(None)
    return seen


@pytest.mark.parametrize(
    ("mark", "arguments", "name"),
    [
        ("progress", (), "unit"),
        ("progress", ("token",), "token"),
        ("begin", ("request",), "begin.request"),
        ("end", ("request",), "end.request"),
    ],
)
def test_a_mark_is_a_call_of_a_function_of_its_name(mark, arguments, name):
    for _ in range(2):
        assert called(getattr(bisector, mark), *arguments)[-1] == mark_target(name)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "*", "1"])
def test_a_name_that_could_not_be_asked_for_is_refused(name):
    with pytest.raises(ValueError, match="no name for a mark"):
        bisector.progress(name)


def test_marking_imports_nothing_heavy():
    code = (
        "import sys; from bisector import progress; progress();"
        "assert not {'networkx', 'scipy', 'pydantic', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
