"""A page of text on a console: titles, prose, rows. The only place that deals with rich.

Invariant: what is put on a page is text, never markup, and nothing on it is cut: prose is wrapped,
names are folded at their separators, commands run on in one line so that they can be copied. On a
stream that cannot carry our few signs (κ, …, ·) they are replaced by signs of the same width, and
letters of names by escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bisector.wording import folded, wrapped

_PLAIN = str.maketrans("κ…·−µ×—–“”’•≤", "k~|-ux---\"'*<")
INDENT = "  "
NARROWEST = 20
"""With less room than this for names, rows become paragraphs."""


class Page:
    """Writes to a rich console. Widths are in characters, at least 40, at most 120."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.encoding.lower().startswith("utf")
        self.width = max(40, min(console.width, 120))

    def title(self, text: str) -> None:
        """A section begins."""
        self._console.print()
        self.prose(text, "bold", indent="")

    def prose(self, text: str, style: str = "", indent: str = INDENT) -> None:
        """A paragraph, wrapped."""
        self._print("\n".join(wrapped(text, self.width, indent)), style)

    def command(self, text: str) -> None:
        """A line to be copied: never broken by us, however long."""
        self._console.print(
            Text(INDENT + self._signs(text)), soft_wrap=True, highlight=False, markup=False
        )

    def name(self, lead: str, name: str, style: str = "bold") -> None:
        """A name on lines of its own, folded; ``lead`` (a number, a bullet) stands before it."""
        indent = INDENT + " " * len(lead)
        first, *more = folded(name, self.width - len(indent))
        self._print("\n".join([INDENT + lead + first, *(indent + line for line in more)]), style)

    def rows(self, heads: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> None:
        """Aligned columns under heads; the first holds names, in ``style``, and takes what is left.

        Not rich's table: that pads lines to the full width and breaks long names anywhere.
        """
        body = list(rows)
        sizes = [max(cell_len(row[i]) for row in (heads, *body)) for i in range(len(heads))]
        room = self.width - len(INDENT) - sum(sizes[1:]) - 2 * len(sizes[1:])
        if room < NARROWEST:
            for name, *cells in body:
                self.name("", name, style)
                pairs = zip(heads[1:], cells, strict=True)
                self.prose(" · ".join(f"{head} {cell}" for head, cell in pairs), indent=2 * INDENT)
            return
        sizes[0] = min(sizes[0], room)
        self._row(heads[0], heads[1:], sizes, "dim", "dim")
        for name, *cells in body:
            first, *more = folded(name, sizes[0])
            self._row(first, cells, sizes, style, "")
            for line in more:
                self._print(INDENT + line, style)

    def _row(
        self, name: str, cells: Sequence[str], sizes: Sequence[int], style: str, rest: str
    ) -> None:
        line = Text(INDENT)
        line.append(self._signs(name), style)
        line.append(" " * (sizes[0] - cell_len(name)))
        for cell, size in zip(cells, sizes[1:], strict=True):
            line.append("  " + " " * (size - cell_len(cell)) + self._signs(cell), rest)
        self._console.print(line, soft_wrap=True, highlight=False)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(
            Text(self._signs(text), style=style), highlight=False, markup=False, soft_wrap=True
        )

    def _signs(self, text: str) -> str:
        """``text`` in signs the stream can carry."""
        if not self._plain:
            return text
        plain = text.translate(_PLAIN)
        try:
            return plain.encode(self._console.encoding, "backslashreplace").decode(
                self._console.encoding
            )
        except LookupError:
            return plain.encode("ascii", "backslashreplace").decode("ascii")
