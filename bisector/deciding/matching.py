"""From patterns of the targets-file language to the items of a search.

Invariant: an item is meant only as a whole. Its own name means it; else all of its functions have
to match, because items are what is slowed, and a part of one would be something else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bisector.nearest import nearest
from injector.patterns import PatternError, Patterns, parse
from strategies.protocol import Problem

MOST_PATTERNS, LONGEST_PATTERN, MOST_STARS = 2000, 1000, 4
"""Of one set; and how long a pattern may be, and how many stars it may have: with more, matching
may take very long."""


class NoItems(ValueError):
    """Patterns cannot be used, or mean nothing; the message says which and why."""


def check(patterns: Sequence[str]) -> None:
    """See that patterns can be matched in reasonable time.

    Raises:
        NoItems: they cannot, or are no patterns.
    """
    if len(patterns) > MOST_PATTERNS:
        raise NoItems(f"{len(patterns)} patterns are too many; give at most {MOST_PATTERNS}")
    for pattern in patterns:
        if len(pattern) > LONGEST_PATTERN:
            raise NoItems(f"{pattern[:40]!r}... is too long; at most {LONGEST_PATTERN} characters")
        if pattern.count("*") > MOST_STARS:
            raise NoItems(f"{pattern!r} has too many stars; give at most {MOST_STARS}")
        try:
            parse([pattern])
        except PatternError as error:
            raise NoItems(str(error).removeprefix("line 1: ")) from None


class Matching:
    """The items of one search, found by pattern."""

    def __init__(self, problem: Problem, members: Mapping[str, tuple[str, ...]]) -> None:
        self._functions = {
            item.name: members.get(item.name, (item.name,)) for item in problem.items
        }

    def items(self, patterns: Sequence[str]) -> frozenset[str]:
        """The items that patterns (or names of items) mean together; the last that matches decides.

        Raises:
            NoItems: they are no patterns, or there is no such item.
        """
        by_name = {p for p in patterns if p in self._functions}
        others = [p for p in patterns if p not in by_name]
        check(others)
        rules = parse(others)
        found = set(by_name)
        for name, functions in self._functions.items():
            if others and all(_matches(rules, target) for target in functions):
                found.add(name)
        for pattern in others:
            if not pattern.startswith("!") and not self._means_any(pattern):
                raise NoItems(self._nothing(pattern))
        if not found:
            raise NoItems("no item is left of that; name what to slow")
        return frozenset(found)

    def _means_any(self, pattern: str) -> bool:
        rule = parse([pattern])
        return any(all(_matches(rule, t) for t in each) for each in self._functions.values())

    def _nothing(self, pattern: str) -> str:
        rule = parse([pattern])
        within = [
            name for name, each in self._functions.items() if any(_matches(rule, t) for t in each)
        ]
        if within:
            return (
                f"{pattern!r} is only a part of an item, too small to matter by itself; "
                f"name the item: {within[0]!r}"
            )
        near = nearest(pattern, self._functions)
        hint = f"the nearest are {', '.join(map(repr, near))}" if near else self._some()
        too_small = "what is too small to matter is none"
        return f"{pattern!r} matches no item of this search ({too_small}); {hint}"

    def _some(self) -> str:
        return f"there are {len(self._functions)}, such as {min(self._functions)!r}"


def _matches(rules: Patterns, target: str) -> bool:
    module, _, qualname = target.partition(":")
    return rules.matches(module, qualname, whole=True)


def named(items: Collection[str]) -> list[str]:
    """Items in an order that does not depend on chance."""
    return sorted(items)
