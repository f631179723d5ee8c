"""The module tree of a census, thinned until a picture of it can be drawn and a list of it read.

Invariant: nothing is lost but detail. Every function is below exactly one branch; what is too small
to be drawn is gathered into one branch of its parent that says how many it stands for. What matters
or is undecided is the last to be gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from bisector.census import Census, Judgement, Member
from bisector.tree import ROOT, Tree
from bisector.wording import counted

Colour = Literal["sensitive", "holds", "insensitive", "not_called", "unresolved", "apart"]
"""``holds``: of an inner branch, something below it is sensitive. ``apart``: not looked at."""

BRANCHES = 500
"""Branches that are drawn: more would be too narrow to see, and slow to draw."""
DEEPEST = 24
"""Levels that are drawn."""


@dataclass(slots=True)
class Branch:
    """A node of the tree. ``name`` is its pattern, ``label`` what of it its parent does not say;
    ``member`` is there where it is one function. ``gathered``: not drawn by itself, or standing for
    several that are not."""

    name: str
    label: str
    judgement: Judgement | None = None
    member: Member | None = None
    gathered: bool = False
    cpu_ns: float = 0.0
    wait_ns: float = 0.0
    functions: int = 0
    colour: Colour = "insensitive"
    children: list[Branch] = field(default_factory=list)

    @property
    def own_ns(self) -> float:
        """Own time in all states."""
        return self.cpu_ns + self.wait_ns


def grow(census: Census, branches: int = BRANCHES) -> Branch:
    """The root of a tree of at most about so many branches."""
    members = {member.target: member for member in census.members}
    judgements = {member.target: judgement for member, judgement in census.judged()}
    tree = Tree((), beside=members)
    paths = {target: tree.path(target) for target in members}
    seen = (t for t in members if _is_seen(members[t], judgements[t]))
    ranked = sorted(seen, key=lambda t: _rank(members[t], judgements[t]))
    drawn = set(_as_many_as_fit(ranked, paths, branches))
    root = Branch(ROOT, ROOT)
    known: dict[tuple[str, ...], Branch] = {(): root}
    for target in sorted(members, key=paths.__getitem__):
        _plant(known, paths[target], members[target], judgements[target], target in drawn)
    _gather(root)
    _shorten(root)
    return root


def _as_many_as_fit(
    ranked: Iterable[str], paths: Mapping[str, Sequence[str]], branches: int
) -> Iterator[str]:
    """The first functions that can be drawn with so many branches, those on their way to the root
    included, each of which may need one more for what is gathered in it."""
    on_the_way: set[str] = set()
    for leaves, target in enumerate(ranked, 1):
        on_the_way.update(paths[target][:-1])
        if leaves + 2 * len(on_the_way) > branches and leaves > 1:
            return
        yield target


def _is_seen(member: Member, judgement: Judgement | None) -> bool:
    """Whether it has a width, or is worth a line without one."""
    return member.own_ns_per_unit > 0.0 or (
        judgement is not None and judgement.verdict != "insensitive"
    )


def _rank(member: Member, judgement: Judgement | None) -> tuple[int, float, str]:
    """What is drawn first: what was singled out, what is open, then what takes most time."""
    verdict = judgement.verdict if judgement else ""
    urgency = {"sensitive": 0, "unresolved": 1}.get(verdict, 2)
    return (urgency, -member.own_ns_per_unit, member.target)


def _plant(
    known: dict[tuple[str, ...], Branch],
    path: Sequence[str],
    member: Member,
    judgement: Judgement | None,
    alone: bool,
) -> None:
    """Add a function below the branches on its path, making those that are not there yet."""
    way = tuple(path[1:-1][:DEEPEST])
    for depth in range(1, len(way) + 1):
        if way[:depth] not in known:
            branch = Branch(way[depth - 1], way[depth - 1])
            known[way[: depth - 1]].children.append(branch)
            known[way[:depth]] = branch
    parent = known[way]
    leaf = Branch(
        member.target,
        member.target,
        judgement,
        member,
        gathered=not alone,
        cpu_ns=member.own_cpu_ns_per_unit,
        wait_ns=member.own_wait_ns_per_unit,
        functions=1,
        colour=_colour(member, judgement),
    )
    parent.children.append(leaf)


def _colour(member: Member, judgement: Judgement | None) -> Colour:
    if judgement is None:
        ran = member.calls_per_unit > 0.0 or member.own_ns_per_unit > 0.0
        return "apart" if ran else "not_called"
    if judgement.verdict == "insensitive" and judgement.reason == "not_called":
        return "not_called"
    return judgement.verdict


def _gather(branch: Branch) -> list[Branch]:
    """Add up what is below a branch, and put together what is not drawn there.

    Returns all functions below it where none is drawn: they are put together further up.
    """
    if branch.member is not None:
        return [branch] if branch.gathered else []
    drawn: list[Branch] = []
    left: list[Branch] = []
    for child in branch.children:
        if functions := _gather(child):
            left += functions
        else:
            drawn.append(child)
    below = [*drawn, *left]
    branch.cpu_ns = sum(each.cpu_ns for each in below)
    branch.wait_ns = sum(each.wait_ns for each in below)
    branch.functions = sum(each.functions for each in below)
    branch.colour = _mixed(each.colour for each in below)
    branch.children = drawn
    if not drawn and branch.name != ROOT:
        return left
    of_a_colour: dict[Colour, list[Branch]] = {}
    for each in left:
        of_a_colour.setdefault(each.colour, []).append(each)
    branch.children += [_together(branch, small) for small in of_a_colour.values()]
    return []


def _together(parent: Branch, small: Sequence[Branch]) -> Branch:
    """One branch for several functions of the same colour."""
    if len(small) == 1:
        return replace(small[0], gathered=False)
    colour = small[0].colour
    noun = "function" if colour == "not_called" else "smaller function"
    return Branch(
        parent.name,
        counted(len(small), noun),
        gathered=True,
        cpu_ns=sum(branch.cpu_ns for branch in small),
        wait_ns=sum(branch.wait_ns for branch in small),
        functions=len(small),
        colour=colour,
    )


def _mixed(colours: Iterable[Colour]) -> Colour:
    """The colour of several: that of what asks for most attention, if not of them all."""
    there = set(colours)
    if there & {"sensitive", "holds"}:
        return "holds"
    for colour in ("unresolved", "insensitive", "apart"):
        if colour in there:
            return colour
    return "not_called"


def _shorten(branch: Branch) -> None:
    """Leave out branches that hold one other branch and nothing else; then shorten labels."""
    for position, child in enumerate(branch.children):
        while len(child.children) == 1 and child.children[0].children:
            child = child.children[0]
        branch.children[position] = child
        _shorten(child)
    for child in branch.children:
        child.label = child.label if child.gathered else _beyond(branch.name, child.name)


def _beyond(parent: str, name: str) -> str:
    """What ``name`` says that the pattern of its parent does not: ``decode`` in ``codec:*``."""
    stem = parent.removesuffix("*").removesuffix(":")
    stem = stem.removesuffix("*") if stem.endswith(".*") else stem
    for start in (stem, stem.removesuffix(".") + ":", stem.removesuffix(".") + "."):
        if start and name.startswith(start) and len(name) > len(start):
            rest = name[len(start) :].lstrip(":.")
            return name if rest in ("", "*") else rest
    return name
