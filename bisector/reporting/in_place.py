"""Lines at the bottom of a terminal that are replaced by newer ones, also after it was resized.

Invariant: what stands there is ours and is taken away whole. A terminal that becomes narrower folds
what was drawn before, so that it takes more rows than lines; they are counted at the width that the
terminal has now. (One that cuts lines instead, as few do, loses as many rows above ours.)
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


class InPlace:
    """Draws on a console that is a terminal. Not safe in threads by itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[str] = []

    def draw(self, lines: Sequence[str]) -> None:
        """Put these lines in the place of those drawn before; what is too wide is cut, of what is
        too much for the terminal the first line and the last are shown.

        Raises:
            OSError, ValueError: the terminal is gone.
        """
        width, height = self._size()
        room = max(1, height - 1)
        if len(lines) > room:
            lines = [*lines[:1], *lines[len(lines) - room + 1 :]]
        shown = [_cut(line, width - 1) for line in lines]
        self._write(self._erasure() + "\n".join(shown))
        self._drawn = shown

    def erase(self) -> None:
        """Take them away; the cursor is where the first began.

        Raises:
            OSError, ValueError: the terminal is gone.
        """
        self._write(self._erasure())
        self._drawn = []

    def _erasure(self) -> str:
        if not self._drawn:
            return ""
        width, height = self._size()
        rows = sum(max(1, -(-cell_len(line) // width)) for line in self._drawn)
        up = min(rows, height) - 1
        return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J"

    def _size(self) -> tuple[int, int]:
        size = self._console.size
        return max(2, size.width), max(1, size.height)

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


def _cut(line: str, width: int) -> str:
    text = Text(line, end="")
    text.truncate(width, overflow="ellipsis")
    return text.plain
