"""Scores every candidate against the query: most of what a request costs."""

from __future__ import annotations

FEATURES = 480
RESULTS = 40


def rank(query: int, candidates: list[int]) -> list[tuple[int, int]]:
    """The best documents as (score, document), best first."""
    scored = score_all(query, candidates)
    scored.sort(reverse=True)
    return scored[:RESULTS]


def score_all(query: int, candidates: list[int]) -> list[tuple[int, int]]:
    """Every candidate with its score."""
    scored = []
    for document in candidates:
        score = query
        for feature in range(FEATURES):
            score = (score * 17 + document * feature) % 4093
        scored.append((score, document))
    return scored
