"""The functions a profiler would point at, and what became of each.

Invariant: ranked by own CPU time per unit alone, whatever the verdict; the point of the list is
that it differs from the sensitive set.
"""

from __future__ import annotations

from bisector.answer import Answer, Finding, Pruned
from bisector.census import judged
from bisector.schema import Hot, Standing, finite

MOST = 8
"""How many are listed."""


def hottest(answer: Answer) -> list[Hot]:
    """The functions with the most own CPU time per unit, hottest first."""
    baseline = answer.baseline
    if answer.discovery is None or baseline is None or not baseline.time_per_unit_s > 0:
        return []
    verdicts = judged(answer)
    hot = sorted(answer.discovery.functions, key=lambda f: (-(f.gil_s + f.nogil_s), f.target))
    parts = []
    for f in hot[:MOST]:
        node = verdicts.get(f.target)
        verdict: Standing = "unresolved"
        bound: float | None = None
        if isinstance(node, Finding):
            verdict, bound = "sensitive", finite(node.effect.gain.hi)
        elif isinstance(node, Pruned):
            verdict, bound = "insensitive", finite(node.gain_upper95)
        if f.gil_s + f.nogil_s > 0:
            parts.append(
                Hot(
                    target=f.target,
                    file=f.file,
                    line=f.line,
                    calls_per_unit=f.calls,
                    own_cpu_ns_per_unit=(f.gil_s + f.nogil_s) * 1e9,
                    own_wait_ns_per_unit=f.wait_s * 1e9,
                    own_share=f.own_s / baseline.time_per_unit_s,
                    verdict=verdict,
                    judged_as=node.target if node else f.target,
                    judged_with=len(node.functions) if node else 1,
                    gain_upper95=bound,
                )
            )
    return parts
