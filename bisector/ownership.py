"""Whose files are taken at their word: our own, and the administrator's.

A plan makes a program slower, and a run that is taken up again executes the command it was begun
with; so neither is taken from a folder where somebody else left it.
"""

from __future__ import annotations

import os
from pathlib import Path


def stranger(path: Path) -> str | None:
    """Who owns what is there, as the middle of a sentence; None if it may be trusted, or there is
    nothing."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    if owner in (os.geteuid(), 0):
        return None
    return f"belongs to another user (uid {owner})"
