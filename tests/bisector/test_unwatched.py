"""Own CPU times as they are while nobody watches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile, unwatched


def function(target: str, gil_s: float, wait_s: float = 0.0) -> Function:
    site = SiteProfile("entry", 0, 1.0, gil_s, 0.0, wait_s)
    return Function(target, "x.py", 1, 1.0, gil_s, 0.0, wait_s, (CodeProfile(1, (site,)),), 1.0)


def gil(found: Discovery) -> dict[str, float]:
    for entry in found.functions:
        assert entry.codes[0].sites[0].gil_s == pytest.approx(entry.gil_s)
    return {entry.target: entry.gil_s for entry in found.functions}


SLOWED = Discovery(
    (function("m:a", 4e-3), function("m:b", 2e-3, wait_s=5e-3)), lanes=2, gil_s=0.6, nogil_s=0.1
)


def test_own_times_are_scaled_to_the_cpu_time_of_undelayed_runs() -> None:
    found = unwatched(SLOWED, 10e-3, cpu_s=0.4)
    assert gil(found) == pytest.approx({"m:a": 2e-3, "m:b": 1e-3})
    assert [entry.wait_s for entry in found.functions] == [0.0, 5e-3]


def test_on_311_where_it_differs_from_code_to_code_only_a_warning_says_so() -> None:
    found = unwatched(replace(SLOWED, backend="frame_eval"), 10e-3, cpu_s=0.4)
    assert gil(found) == gil(SLOWED)
    assert "2.0 times slower while it is watched" in found.warnings[0]


@pytest.mark.parametrize("cpu_s", [None, 0.05, 2.0])
def test_without_knowing_better_times_stay_as_they_were_seen(cpu_s: float | None) -> None:
    assert unwatched(SLOWED, 10e-3, cpu_s) == SLOWED


def test_one_lane_spends_no_more_time_than_passes() -> None:
    one = Discovery(SLOWED.functions, lanes=1)
    assert gil(unwatched(one, 8e-3, None)) == pytest.approx({"m:a": 2e-3, "m:b": 1e-3})
