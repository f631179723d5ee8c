"""Why what a profiler shows first is not in the sensitive set, in words.

Invariant: only what was shown to gain less than it takes is explained; what is merely small is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.schema import UNBOUNDED, Hot, Summary
from bisector.wording import about, at_most, counted, duration_ns, listed, unit_noun, visible


def why_not_hottest(summary: Summary) -> tuple[str, list[str]]:
    """A title and the explanations, hottest first; none where there is nothing to explain."""
    groups = hidden_groups(summary)
    if not groups:
        return "", []
    unit = unit_noun(summary.benchmark.metric)
    first = summary.hottest[0] is groups[0][0]
    title = "Why the hottest function is not in the list" if first else "Hot, but not in the list"
    return title, [_why_not(group, unit) for group in groups]


def hidden_groups(summary: Summary) -> list[list[Hot]]:
    """Hot functions that cannot gain what they take, those together that were judged together."""
    hot = [h for h in summary.hottest if h.verdict == "insensitive"]
    if summary.sensitive:
        least = min(f.own_cpu_ns_per_unit for f in summary.sensitive)
        hot = [h for h in hot if h.own_cpu_ns_per_unit >= least]
    hot = [h for h in hot if h.own_share >= 0.01][:3]
    return [group for group in _judged_together(hot) if _is_hidden(group)]


def _is_hidden(group: Sequence[Hot]) -> bool:
    """Whether it is shown to gain less than it takes; else it is only small."""
    bound = group[0].gain_upper95
    return bound is None or sum(h.own_share for h in group) > bound


def _judged_together(hot: Sequence[Hot]) -> list[list[Hot]]:
    """Functions that share a verdict because they were tested in one node, hottest first."""
    groups: dict[str, list[Hot]] = {}
    for h in hot:
        groups.setdefault(h.judged_as, []).append(h)
    return list(groups.values())


def _why_not(group: Sequence[Hot], unit: str) -> str:
    spent = listed(
        f"{visible(h.target)} ({duration_ns(h.own_cpu_ns_per_unit)}, {about(h.own_share)})"
        for h in group
    )
    verb, free, subject = (
        ("spends", "it", "it is") if len(group) == 1 else (*("spend", "all of them"), "they are")
    )
    text = f"{spent} {verb} much of the CPU time per {unit}, but"
    bound = group[0].gain_upper95
    if bound is None or bound >= UNBOUNDED:
        return f"{text} slowing {free} was shown not to matter."
    others = group[0].judged_with - len(group)
    tested = ""
    if others > 0:
        tested = (
            f" (tested with {counted(others, 'other function')}, {visible(group[0].judged_as)})"
        )
    return (
        f"{text} making {free} free would gain at most {at_most(bound)}{tested}: {subject} hidden "
        "behind something slower."
    )
