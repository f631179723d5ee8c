"""The kinds of cost that source can show, and one sign of such: a line, and a clause about it.

Invariant: a clause is plain words and names, on one line, and true of the line whether or not it
is what costs.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from bisector.schema import HintKind
from bisector.wording import shorten

LONGEST_NAME = 60


class Sign(NamedTuple):
    """What stands in a line. ``rank``: the smaller, the more telling."""

    kind: HintKind
    line: int
    text: str
    rank: int


def sign(kind: HintKind, node: ast.AST, text: str, rank: int) -> Sign:
    """A sign at a node of the source."""
    return Sign(kind, getattr(node, "lineno", 0), text, rank)


def named(name: str) -> str:
    """A name in a clause."""
    return shorten(name, LONGEST_NAME)
