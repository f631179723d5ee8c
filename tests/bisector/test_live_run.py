"""The end of a window is the beginning of a unit, or it is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bisector.live_run import LiveRun, TargetEnded
from bisector.point import Point


def test_a_window_does_not_end_with_the_end_of_the_target() -> None:
    """Its last unit is over by then, and was counted when it began: its delays fell into a window
    of one unit less."""
    run = object.__new__(LiveRun)
    ends = iter((None, None, SimpleNamespace(returncode=0)))
    gone = SimpleNamespace(
        has_ended=True,
        takes_stills=lambda _: True,
        progress=lambda *_: SimpleNamespace(calls=5),
        read_names=lambda: None,
    )
    run._followers = {"1-1": gone}  # type: ignore[dict-item]
    run._stills, run._looked_s, run._ended, run.point = 0, float("inf"), None, Point("m:step")
    run._warden = SimpleNamespace(wait=lambda _: next(ends))  # type: ignore[assignment]
    with pytest.raises(TargetEnded):
        run._moment(("m:step",), 5.0)
