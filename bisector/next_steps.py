"""What to do next, as sentences to be followed from the first to the last.

Invariant: advice follows from the verdict alone; where nothing was decided it is about deciding,
not about code.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.headline import waits
from bisector.hot_text import hidden_groups
from bisector.schema import EffectPart, Hot, Sensitive, Summary
from bisector.wording import about, at_most, counted, duration_ns, listed, unit_noun, visible

MOST = 3
"""Entries that get a sentence of their own."""

ONE_THING = (
    "Change one thing, then investigate again: what was hidden behind it may be what counts then."
)

NOISY = 0.03
"""Variation between runs from which on a quieter machine is worth more than time."""


def next_steps(summary: Summary) -> list[str]:
    """The sentences; never empty."""
    if summary.stop_reason == "failed":
        return [
            "Run the benchmark by itself and see that it succeeds.",
            "Then start the investigation again.",
        ]
    if summary.verdict == "sensitive" and summary.sensitive:
        return _improve(summary)
    if summary.verdict == "insensitive":
        return _look_elsewhere(summary)
    return _decide(summary)


def _improve(summary: Summary) -> list[str]:
    unit = unit_noun(summary.benchmark.metric)
    steps: list[str] = []
    told: set[str] = set()
    for finding in summary.sensitive:
        if finding.target in told or len(steps) == MOST:
            continue
        told |= {finding.target, *finding.co_critical_with}
        steps.append(make_faster(finding, unit))
    steps += [leave_alone(group) for group in hidden_groups(summary)]
    return [*steps, ONE_THING]


def leave_alone(group: Sequence[Hot]) -> str:
    """About hot functions that were judged together and cannot gain what they take."""
    names = listed(visible(h.target) for h in group)
    most = group[0].gain_upper95
    bound = "it was shown not to matter" if most is None else f"at most {at_most(most)} to gain"
    return f"Leave {names} alone, however hot: {bound}."


def make_faster(finding: Sensitive, unit: str) -> str:
    """About one of the set, and those it is co-critical with."""
    name, gain = visible(finding.target), _gain(finding, unit)
    if finding.co_critical_with:
        names = listed([name, *map(visible, finding.co_critical_with)])
        return f"Make {names} faster, all of them: {gain}, one alone gains nothing."
    if waits(finding):
        return f"Shorten what {name} waits for, or have other work done meanwhile: {gain}."
    if finding.functions > 1:
        return (
            f"Look for what the {counted(finding.functions, 'function')} of {name} have in common: "
            f"together {gain}, none of them alone."
        )
    place = f" ({visible(finding.file)}:{finding.line})" if finding.file and finding.line else ""
    return f"Make {name}{place} faster: {gain}."


def _gain(effect: EffectPart, unit: str) -> str:
    gain = effect.estimated_gain
    if gain is None:
        return "how much it gains is not known"
    return f"up to {about(min(gain.estimate, 1.0))} of the time per {unit}"


def _look_elsewhere(summary: Summary) -> list[str]:
    unit = unit_noun(summary.benchmark.metric)
    root, most = summary.root, summary.certificate.complete.complement_gain_upper95
    bound = "" if most is None else f": all of it together could gain at most {at_most(most)}"
    steps = [
        f"Do not optimise Python code here{bound}.",
        "Look at what it waits for: a device, a disk, the network, other processes, the machine.",
    ]
    if root is not None and root.slack_ns_per_unit:
        room = duration_ns(root.slack_ns_per_unit)
        steps.append(f"There is room for {room} more of Python per {unit}, should you need it.")
    return steps


def _decide(summary: Summary) -> list[str]:
    steps: list[str] = []
    cv = summary.baseline.cv if summary.baseline else 0.0
    if summary.stop_reason == "interrupted":
        steps.append(f"Go on: `speedbump-bisect resume {visible(summary.run_directory)}`")
    elif cv <= NOISY:
        steps.append("Investigate again with a larger --budget.")
    if cv > NOISY:
        steps.append(
            f"Make runs steadier, for they vary by {about(cv)}: longer ones, a quieter machine, or "
            "a larger --budget."
        )
    if summary.sensitive:
        names = listed(visible(f.target) for f in summary.sensitive)
        steps.append(f"Do not rely on {names} yet: it is where to look first, not what was shown.")
    return steps
