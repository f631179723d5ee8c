"""The page of results, as JSON, with the query's words marked in every snippet."""

from __future__ import annotations

import json
from typing import Any

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
TEXT_WORDS = 400


def render(query: int, results: list[tuple[int, int]]) -> bytes:
    """The body of a response."""
    entries = []
    for score, document in results:
        entries.append({"document": document, "score": score, "snippet": snippet(query, document)})
    return serialise(query, entries)


def snippet(query: int, document: int) -> str:
    """The beginning of a document's text, the words that match the query in capitals."""
    marked = query % len(WORDS)
    parts: list[str] = []
    for place in range(TEXT_WORDS):
        index = (document * 5 + place * 3) % len(WORDS)
        word = WORDS[index]
        parts.append(word.upper() if index == marked else word)
    return " ".join(parts)[:80]


def serialise(query: int, entries: list[dict[str, Any]]) -> bytes:
    """The results as one JSON document."""
    return json.dumps({"query": query, "results": entries}).encode()
