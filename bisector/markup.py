"""Markdown that holds what it is given, as GitHub and GitLab read it: words, names, tables.

Invariant: nothing that comes from the benchmark is interpreted. Names are code, in which no forge
looks for people, issues or commits; every other word is plain (`bisector.prose`), and the few signs
of ours that Markdown knows are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bisector.prose import spans
from bisector.schema import Hint
from bisector.wording import shorten, visible

LONGEST_NAME = 200
"""Of a `name`: as code in a table each of its signs may take six."""


def prose(sentence: str) -> str:
    """A sentence in which nothing is interpreted and names are code."""
    text = "".join(
        code(span.text) if span.is_name else escaped(span.text)
        for span in spans(visible(sentence.strip()))
    )
    return re.sub(r"^([0-9]+)([.)])", r"\1\\\2", text)  # no numbered list


def code(text: str) -> str:
    """A visible name as code, in a table as well; an empty one is nothing."""
    if "`" in text or "|" in text or text != text.strip():
        return f"<code>{''.join(map(_entity, text))}</code>"
    return f"`{text}`" if text else ""


def _entity(character: str) -> str:
    return character if character.isalnum() else f"&#{ord(character)};"


def name(text: str) -> str:
    """As code, whatever it is and however long: cut in the middle beyond `LONGEST_NAME`."""
    return code(shorten(visible(text), LONGEST_NAME))


def escaped(text: str) -> str:
    """Plain words with the signs between them that make links and boxes."""
    return re.sub(r"([\[\]!])", r"\\\1", text)


def section(title: str, body: str) -> str:
    """``body`` under a heading; nothing where there is none."""
    return f"#### {title}\n\n{body}" if body else ""


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences."""
    return "\n".join(f"- {prose(sentence)}" for sentence in sentences)


def hinted(hints: Iterable[Hint]) -> str:
    """A list of hints, each with its line of source."""
    return "\n".join(
        f"- {name(hint.target)}, line {hint.line}: {prose(hint.text)}: {name(hint.source)}"
        for hint in hints
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown; the first column holds names, the others numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def block(text: str, language: str = "sh") -> str:
    """One visible line as a block that can be copied."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
