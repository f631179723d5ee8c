"""What a benchmark printed: its end is enough, whatever it is and however much of it there is."""

from __future__ import annotations

import os
import re
from pathlib import Path

TAIL_BYTES = 2_000_000
"""Only this much of the end of a stream is read; metrics are printed last."""
QUOTED = 160

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def tail(path: Path) -> str:
    """The last `TAIL_BYTES` of a file as text; what is not UTF-8 is replaced; no file, no text."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def last_words(text: str) -> str:
    """The last line that says something, quoted for the end of a sentence, or nothing.

    Escape sequences and control characters are taken out, a long line is cut.
    """
    for line in reversed(_ESCAPES.sub("", text).splitlines()):
        plain = "".join(c if c.isprintable() else " " for c in line).strip()
        if plain:
            return f": {plain[:QUOTED]}…" if len(plain) > QUOTED else f": {plain}"
    return ""
