"""The library interface: `bisect`, with the options of the command line as keywords.

from bisector import bisect
summary = bisect("bench.py", budget="10m")
print(summary.verdict, [finding.target for finding in summary.sensitive])
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from bisector.errors import Interrupted
from bisector.events import Event
from bisector.session import Listener, begin
from bisector.settings import read_settings
from bisector.summary import Summary

__all__ = ["Event", "Listener", "Summary", "bisect"]


def bisect(
    benchmark: str | os.PathLike[str] | Sequence[str],
    args: Sequence[str] = (),
    *,
    budget: str = "10m",
    metric: str = "auto",
    lower_is_better: bool = False,
    dose: str | float = "auto",
    delay: str | None = None,
    min_gain: str | float = "1%",
    threshold: str | float = "5%",
    confidence: str | float = "95%",
    strategy: str = "bisect",
    decider: str | Sequence[str] | None = None,
    decider_timeout: str = "10m",
    mode: str = "auto",
    seed: int | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    native: bool = False,
    lines: bool = False,
    warmup: str | None = None,
    duration: str | None = None,
    prepare: str | None = None,
    timeout: str | None = None,
    env: Mapping[str, str] | Sequence[str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    python: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    listeners: Sequence[Listener] = (),
) -> Summary:
    """Find the minimal sensitive set of a benchmark.

    Args:
        benchmark: a Python script (with ``args``), or a whole command as a sequence of words.
        args: the script's own arguments.
        listeners: are called with each `Event` as it happens.

    All other keywords are the options of the command line, written the same way: times with a unit
    (``"90s"``), fractions as ``"5%"`` or ``0.05``.

    Returns:
        The summary; ``stop_reason`` says whether it is certified, ``failed`` (with ``failure``)
        that the benchmark could not be measured.

    Raises:
        UsageError: an option, the benchmark or the output directory cannot be used.
        MeasurementFailed: nothing can be measured here.
        Interrupted: Ctrl-C; its ``summary`` is what was known.
    """
    options = {
        "budget": budget,
        "metric": metric,
        "lower_is_better": lower_is_better,
        "dose": dose,
        "delay": delay,
        "min_gain": min_gain,
        "threshold": threshold,
        "confidence": confidence,
        "strategy": strategy,
        "decider": decider,
        "decider_timeout": decider_timeout,
        "mode": mode,
        "seed": seed,
        "include": include or None,
        "exclude": exclude or None,
        "native": native,
        "lines": lines,
        "warmup": warmup,
        "duration": duration,
        "prepare": prepare,
        "timeout": timeout,
        "env": env,
        "cwd": cwd,
        "python": python,
        "output": output,
    }
    if delay is not None and dose == "auto":
        del options["dose"]
    if isinstance(benchmark, (str, os.PathLike)):
        settings = read_settings(benchmark, args, options)
    else:
        settings = read_settings(None, [*benchmark, *args], options)
    summary = begin(settings, listeners)
    if summary.stop_reason == "interrupted":
        raise Interrupted(f"interrupted; resume with {summary.run_directory}", summary)
    return summary
