"""The module tree as an icicle: as wide as time is spent, coloured by what was found out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bisector.phrases import WHY, bound
from bisector.reporting.html.branches import Branch, Colour
from bisector.reporting.html.figures import BREAK, Figure, figure, lines, rounded, shown
from bisector.wording import about, counted, duration_ns, number, percent_with_interval

WORDS: dict[Colour, str] = {
    "sensitive": "sensitive",
    "holds": "holds something sensitive",
    "insensitive": "insensitive",
    "not_called": "not called",
    "unresolved": "unresolved",
    "apart": "not looked at",
}
"""The legend."""

LEVEL_PX = 50
SIZES = {"own": "own time", "cpu": "work on CPU", "count": "number of functions"}
"""What the width can stand for; of each there is a list beside the figure's data."""


def icicle(root: Branch, unit: str) -> Figure:
    """The figure; ``sizes`` in it has the values for each of `SIZES`."""
    branches = list(_walk(root, ""))
    leaves = [(branch, not branch.children) for branch, _, _ in branches]
    sizes = {
        "own": [rounded(branch.own_ns) if leaf else 0 for branch, leaf in leaves],
        "cpu": [rounded(branch.cpu_ns) if leaf else 0 for branch, leaf in leaves],
        "count": [branch.functions if leaf else 0 for branch, leaf in leaves],
    }
    trace: dict[str, Any] = {
        "type": "icicle",
        "ids": [name for _, name, _ in branches],
        "parents": [parent for _, _, parent in branches],
        "labels": [shown(branch.label) for branch, _, _ in branches],
        "text": [shown(_short(branch)) for branch, _, _ in branches],
        "hovertext": [_hover(branch, unit) for branch, _, _ in branches],
        "hoverinfo": "text",
        "textinfo": "label+text",
        "values": sizes["own"],
        "branchvalues": "remainder",
        "sort": False,
        "leaf": {"opacity": 1},
        "tiling": {"orientation": "v", "pad": 1},
        "pathbar": {"visible": True, "thickness": 24},
        "marker": {
            "colors": [f"--{branch.colour}" for branch, _, _ in branches],
            "line": {"color": "--page", "width": 1},
        },
        "textfont": {"size": 12, "color": [f"--on-{branch.colour}" for branch, _, _ in branches]},
    }
    made = figure(
        [trace],
        height=28 + LEVEL_PX * _depth(root),
        margin={"l": 0, "r": 0, "t": 28, "b": 0},
        uniformtext={"minsize": 11, "mode": "hide"},
    )
    return made | {"sizes": sizes}


def _walk(branch: Branch, parent: str, name: str = "0") -> Iterator[tuple[Branch, str, str]]:
    yield branch, name, parent
    for position, child in enumerate(branch.children):
        yield from _walk(child, name, f"{name}.{position}")


def colours(root: Branch) -> list[Colour]:
    """Those that occur, in the order of the legend."""
    there = {branch.colour for branch, _, _ in _walk(root, "")}
    return [colour for colour in WORDS if colour in there]


def _depth(branch: Branch) -> int:
    return 1 + max(map(_depth, branch.children), default=0)


def _short(branch: Branch) -> str:
    """The verdict in a word or two, so that it does not depend on the colour."""
    if branch.member is None or branch.judgement is None:
        plain = branch.colour in ("holds", "insensitive") and not branch.gathered
        return "" if plain else WORDS[branch.colour]
    judgement = branch.judgement
    if judgement.verdict == "sensitive" and judgement.estimated_gain is not None:
        together = "together " if len(judgement.functions) > 1 else ""
        return f"{together}gain {about(judgement.estimated_gain.estimate)}"
    if judgement.verdict == "insensitive" and judgement.gain_upper95 is not None:
        return f"≤ {bound(judgement.gain_upper95)}"
    return WORDS[branch.colour]


def verdict(branch: Branch) -> str:
    """The verdict in a sentence, with its interval."""
    judgement = branch.judgement
    if branch.member is None or judgement is None:
        return WORDS[branch.colour]
    others = len(judgement.functions) - 1
    together = f", together with {counted(others, 'other')}" if others else ""
    if judgement.verdict == "sensitive":
        return f"sensitive{together}: gain {percent_with_interval(judgement.estimated_gain)}"
    if judgement.verdict == "insensitive":
        why = WHY.get(judgement.reason, judgement.reason)
        return f"insensitive ({why}){together}: gain at most {bound(judgement.gain_upper95)}"
    return f"unresolved{together}: {judgement.reason}"


def times(branch: Branch, unit: str) -> str:
    """Where its time goes, and how often it is called."""
    text = f"{duration_ns(branch.cpu_ns)} on CPU, {duration_ns(branch.wait_ns)} waiting per {unit}"
    if branch.member is not None:
        return f"{text}, {number(branch.member.calls_per_unit)} calls"
    return f"{text}, {counted(branch.functions, 'function')}"


def _hover(branch: Branch, unit: str) -> str:
    name = f"{branch.label} of {branch.name}" if branch.gathered else branch.name
    return lines(_cut(name)) + BREAK + lines([*_cut(verdict(branch)), times(branch, unit)])


def _cut(text: str, width: int = 80) -> list[str]:
    """In lines that fit beside a pointer."""
    return [text[at : at + width] for at in range(0, min(len(text), 4 * width), width)]
