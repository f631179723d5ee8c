"""Sentences taken apart into words of ours and names of the program's, for reports that mark both.

Sentences come with names in them: of functions, files, commands, and what a benchmark said when it
failed. Invariant: what is no plain word or number is taken for a name, never the other way round.
Names are set as code, which nothing that renders HTML or Markdown interprets (no tag, no emphasis,
no mention of a person, no reference to an issue or commit); plain words need no escaping anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_WORD = r"[A-Za-z0-9κµ]+(?:['’-][A-Za-z0-9κµ]+)*"
_NUMBER = r"[−±+-]?[0-9]+(?:[.,][0-9]+)*(?:e-?[0-9]+)?"
_PLAIN = re.compile(rf"(?:{_NUMBER}|{_WORD}(?:/{_WORD})?|[…·•×—–−±≤≥])")
_AROUND = re.compile(r"([(\[]*)(.*?)([)\]%.,;:!?]*)", re.DOTALL)
_COMMIT = re.compile(r"(?=[0-9a-f]*[0-9])[0-9a-f]{7,40}")
_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9]*-[0-9]+(?:-[0-9]+)?")
"""``GH-12``, ``JIRA-345``, ``CVE-2026-1``: forges make links of them."""
_COMMAND = re.compile(r"`(speedbump-bisect [^`]+)`")


class Span(NamedTuple):
    """A piece of a sentence."""

    text: str
    is_name: bool = False


def spans(sentence: str) -> Iterator[Span]:
    """The pieces of ``sentence`` in order; commands of ours between backticks are names as a
    whole."""
    at = 0
    for command in _COMMAND.finditer(sentence):
        yield from _words(sentence[at : command.start()])
        yield Span(command[1], True)
        at = command.end()
    yield from _words(sentence[at:])


def _words(text: str) -> Iterator[Span]:
    for piece in re.split(r"( +)", text):
        if not piece or piece.isspace():
            yield Span(piece)
            continue
        around = _AROUND.fullmatch(piece)
        before, core, after = around.groups() if around else ("", piece, "")
        if core and not _is_plain(core):
            before, core, after = _bare(piece)
        yield Span(before)
        yield Span(core, bool(core) and not _is_plain(core))
        yield Span(after)


def _bare(word: str) -> tuple[str, str, str]:
    """A name without the brackets and stops of the sentence around it; its own are left on it."""
    name = word.rstrip(".,;:!?") or word
    before, after = "", word[len(name) :]
    if name.startswith("(") and name.count("(") > name.count(")", 0, -1):
        before, name = "(", name[1:]
    if name.endswith(")") and name.count(")") > name.count("("):
        name, after = name[:-1], ")" + after
    return before, name, after


def _is_plain(word: str) -> bool:
    linked = _COMMIT.fullmatch(word) or _REFERENCE.fullmatch(word)
    return _PLAIN.fullmatch(word) is not None and not linked
