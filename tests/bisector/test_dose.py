"""Doses: every piece of a function gets the same share of its own time, where it was spent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from bisector.dose import Universe, doses_of, least_dose, plan_for, slowed_by_watching
from bisector.observations import RunRequest
from bisector.point import Point
from injector.plan import ByState

seconds = st.floats(0.0, 1e-3)
sites = st.lists(
    st.builds(
        SiteProfile,
        at=st.just("call"),
        offset=st.integers(0, 500),
        visits=st.floats(1.0, 1000.0),
        gil_s=seconds,
        nogil_s=seconds,
        wait_s=st.just(0.0) | st.floats(1e-5, 1e-3),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda site: site.offset,
)


def function(*profiles: SiteProfile) -> Function:
    return Function("m:f", "m.py", 1, 1.0, 0.0, 0.0, 0.0, (CodeProfile(7, profiles),), 1.0)


@given(sites, st.floats(0.01, 2.0))
def test_a_dose_adds_its_share_of_own_time(profiles: list[SiteProfile], dose: float) -> None:
    visits = {site.offset: site.visits for site in profiles}
    own = sum(s.visits * (s.gil_s + s.nogil_s + s.wait_s) for s in profiles)
    added = sum(
        site.delay_ns * visits[site.offset] / 1e9
        for made in doses_of(function(*profiles), dose)
        for site in made.sites
    )
    # Pieces below the negligible share of a state may be left out, never more.
    assert 0.88 * dose * own <= added <= dose * own * 1.0001 or own == 0.0


CALLS = [
    SiteProfile("entry", -1, 10.0, 0.0, 0.0, 0.0),
    SiteProfile("call", 20, 10.0, 1e-6, 0.0, 0.0, native=True),
    SiteProfile("jump", 30, 80.0, 0.1e-6, 0.0, 0.0),
    SiteProfile("return", 40, 10.0, 6e-6, 0.0, 0.0),
]


def test_a_plan_counts_callbacks_by_what_they_cost_by_now() -> None:
    found = Discovery((function(SiteProfile("entry", -1, 10.0, 1e-3, 0.0, 0.0)),), callbacks=0.5)
    request = RunRequest(1, "search", 1, frozenset({"m:f"}), 0.5)
    assert plan_for(found, request, {"site": 48.0}).event_ns == {"site": 24.0}


@pytest.mark.parametrize(
    ("callback_s", "places"), [(0.02e-6, {20, 30, 40}), (1e-6, {40}), (5e-6, {-1})]
)
def test_places_that_are_not_worth_a_callback_are_not_watched(
    callback_s: float, places: set[int]
) -> None:
    """Small code called often would be given several times its dose by being watched alone; what
    is worth none is delayed where it begins, which is watched anyway."""
    (dose,) = doses_of(function(*CALLS), 1.0, callback_s=callback_s)
    assert {site.offset for site in dose.sites} == places
    visits = {site.offset: site.visits for site in CALLS}
    assert sum(visits[site.offset] * site.delay_ns for site in dose.sites) == pytest.approx(78e3)


def test_what_is_not_worth_a_callback_stays_on_its_side_of_what_is() -> None:
    (dose,) = doses_of(
        function(
            SiteProfile("entry", -1, 10.0, 0.0, 0.0, 0.0),
            SiteProfile("call", 20, 10.0, 40e-6, 0.0, 0.0),
            SiteProfile("call", 30, 10.0, 3e-6, 0.0, 0.0),
            SiteProfile("call", 40, 10.0, 40e-6, 0.0, 0.0),
        ),
        1.0,
        callback_s=1e-6,
    )
    assert [(s.offset, round(s.delay_ns)) for s in dose.sites] == [(20, 40_000), (40, 43_000)]


def test_states_are_kept_apart() -> None:
    (dose,) = doses_of(
        function(
            SiteProfile("entry", -1, 10.0, 1e-6, 0.0, 4e-3),
            SiteProfile("return", 40, 10.0, 2e-3, 0.0, 0.0),
        ),
        0.25,
    )
    assert dose.line == 7
    assert {(s.at, s.offset, s.state, round(s.delay_ns)) for s in dose.sites} == {
        ("entry", -1, "wait", 1_000_000),
        ("return", 40, "gil", 500_250),
    }


def test_a_wait_that_seldom_seems_to_begin_later_is_delayed_where_it_begins() -> None:
    """A call was disturbed between its entry and its wait: a delay there would not be absorbed by
    what the wait is for."""
    (dose,) = doses_of(
        function(
            SiteProfile("entry", -1, 50.0, 0.0, 0.0, 3.9e-3),
            SiteProfile("call", 40, 50.0, 0.0, 0.0, 0.2e-3),
        ),
        0.25,
    )
    assert [(s.at, round(s.delay_ns)) for s in dose.sites] == [("entry", 1_025_000)]


def test_a_call_in_a_loop_that_was_interrupted_once_did_not_wait() -> None:
    """Watching each of its calls would cost more than the dose."""
    (dose,) = doses_of(
        function(
            SiteProfile("call", 40, 12_000.0, 0.0, 0.0, 1e-6),
            SiteProfile("return", 60, 1.0, 60e-3, 0.0, 0.0),
        ),
        0.25,
    )
    assert [(s.at, s.state) for s in dose.sites] == [("return", "gil")]


def test_waits_of_a_kind_are_all_delayed() -> None:
    profiles = [SiteProfile("call", 10 * n, 50.0, 0.0, 0.0, 0.2e-3) for n in range(20)]
    (dose,) = doses_of(function(*profiles), 0.25)
    assert len(dose.sites) == 20


def test_only_waits_follow_what_is_seen() -> None:
    (dose,) = doses_of(
        function(
            SiteProfile("entry", -1, 10.0, 0.0, 0.0, 4e-3),
            SiteProfile("return", 40, 10.0, 2e-3, 0.0, 0.0),
        ),
        0.25,
    )
    assert {(s.state, s.share) for s in dose.sites} == {("wait", 0.25), ("gil", 0.0)}


def test_without_waits_only_computing_is_slowed() -> None:
    found = Discovery((function(SiteProfile("entry", -1, 10.0, 1e-3, 2e-3, 4e-3)),))
    request = RunRequest(1, "sweep", 1, frozenset({"m:f"}), 0.5, waits=False)
    (dose,) = plan_for(found, request, {}).doses
    assert {(s.state, round(s.delay_ns)) for s in dose.sites} == {
        ("gil", 500_000),
        ("nogil", 1_000_000),
    }


def slowed(*profiles: SiteProfile) -> Discovery:
    code = CodeProfile(7, profiles, slowed=2.0)
    return Discovery((Function("m:f", "m.py", 1, 1.0, 0.0, 0.0, 0.0, (code,), 10.0),))


ENDS = SiteProfile("return", 40, 10.0, 1e-3, 0.0, 0.0)
WATCHED = slowed(SiteProfile("call", 20, 10.0, 1e-3, 0.0, 0.0, native=True), ENDS)


def universe_of(found: Discovery, delay_ns: float | None = None) -> Universe:
    return Universe.of(
        found, waits=True, delay_ns=delay_ns, point=Point("m:step"), event_ns={}, longest_s=1.0
    )


def test_where_seeing_native_calls_slows_code_plain_ones_carry_no_delay() -> None:
    found = slowed(
        SiteProfile("entry", -1, 10.0, 0.0, 0.0, 0.0),
        SiteProfile("call", 20, 50.0, 1e-3, 0.0, 0.0, native=True, plain=True),
        SiteProfile("return", 40, 10.0, 1e-3, 0.0, 0.0),
    )
    request = RunRequest(1, "search", 1, frozenset({"m:f"}), 0.5)
    (dose,) = plan_for(found, request, {}).doses
    assert [(s.at, round(s.delay_ns)) for s in dose.sites] == [("return", 3_000_000)]
    assert slowed_by_watching(found, request) == {}


def test_where_they_have_to_be_seen_what_that_adds_is_part_of_the_dose() -> None:
    found = slowed(
        SiteProfile("call", 20, 10.0, 1e-3, 0.0, 0.0, native=True),
        SiteProfile("call", 30, 10.0, 0.0, 0.0, 1e-3, native=True),
        SiteProfile("return", 40, 10.0, 1e-3, 0.0, 0.0),
    )
    request = RunRequest(1, "search", 1, frozenset({"m:f"}), 3.0)
    (dose,) = plan_for(found, request, {}).doses
    assert {(s.offset, s.state, round(s.delay_ns)) for s in dose.sites} == {
        (20, "gil", 1_000_000),
        (40, "gil", 1_000_000),
        (30, "wait", 3_000_000),
    }
    assert slowed_by_watching(found, request) == pytest.approx({"m:f": 4e-3})
    (small,) = plan_for(found, replace(request, dose=0.25), {}).doses
    # Watching alone is more: next to nothing is added, but it is watched.
    assert all(0.0 < s.delay_ns < 0.01 * 1e6 for s in small.sites if s.state == "gil")
    assert slowed_by_watching(found, replace(request, delay_ns=1000.0)) == {}


def test_plans_by_purpose() -> None:
    found = Discovery((function(SiteProfile("entry", -1, 1.0, 1e-3, 0.0, 0.0)),))
    targets = frozenset({"m:f"})
    assert plan_for(None, RunRequest(1, "discover", 0), {}).mode == "discover"
    assert not plan_for(None, RunRequest(1, "discover", 0, sites=False), {}).sites
    assert plan_for(found, RunRequest(2, "search", 1), {}).doses == ()
    (dose,) = plan_for(found, RunRequest(3, "search", 1, targets, 0.5), {}).doses
    assert dose.sites[0].delay_ns == pytest.approx(500_000)
    classic = plan_for(found, RunRequest(4, "search", 1, targets, 1.0, 10_000.0), {})
    assert (classic.rules, classic.delay_ns, classic.doses) == (("m:f",), 10_000.0, ())


@pytest.mark.parametrize(
    ("delay_ns", "expected"), [(None, (0.5, 0.5, 0.25)), (1e3, (0.25, 0.25, 0.25))]
)
def test_a_dose_of_computing_grows_where_processors_have_become_slower(
    delay_ns: float | None, expected: ByState
) -> None:
    """What waits goes by the clock, and so does a fixed delay."""
    found = Discovery((function(SiteProfile("entry", -1, 1.0, 1e-3, 0.0, 1e-3)),))
    assert universe_of(found, delay_ns).doses(("m:f",), 0.25, slower=2.0) == {0: expected}


def test_what_watching_adds_is_taken_off_computing_and_not_off_waits() -> None:
    """Else code that computes and waits would be given more of one than of the other."""
    (dose,) = universe_of(WATCHED).doses(("m:f",), 3.0).values()
    assert dose == pytest.approx((1.0, 3.0, 3.0))


def test_a_dose_that_watching_alone_exceeds_is_still_given() -> None:
    """Code that is not delayed at all is not watched either: it would be given nothing."""
    universe = universe_of(WATCHED)
    (dose,) = universe.doses(("m:f",), 0.25).values()
    assert 0.0 < dose[0] < 0.01
    assert set(universe.doses(("m:f",), 0.0).values()) == {(0.0, 0.0, 0.0)}


def test_a_dose_is_no_less_than_what_watching_adds_to_code_that_matters() -> None:
    other = function(SiteProfile("entry", -1, 1.0, 1.0, 0.0, 0.0))
    (watched,) = WATCHED.functions
    mild = replace(watched, codes=(replace(watched.codes[0], slowed=0.6),))
    assert least_dose(Discovery((mild,))) == pytest.approx(0.6)
    assert least_dose(WATCHED) == 1.0
    assert least_dose(slowed(ENDS)) == 0.0
    assert least_dose(Discovery((mild, other))) == 0.0


def test_where_processors_have_become_slower_watching_adds_as_much_more() -> None:
    universe = universe_of(WATCHED)
    request = RunRequest(1, "search", 1, frozenset({"m:f"}), 3.0)
    ((computing, *_),) = universe.doses(("m:f",), 3.0, slower=1.5).values()
    assert computing == pytest.approx(1.5)
    assert slowed_by_watching(WATCHED, request, slower=1.5) == pytest.approx({"m:f": 6e-3})


def native_function() -> Function:
    """Called at two places of one function; one of them hardly takes any time."""
    code = CodeProfile(
        7,
        (
            SiteProfile("call", 4, 100.0, 1e-7, 0.0, 0.0, native=True),
            SiteProfile("call", 8, 10.0, 0.0, 2e-3, 1e-3, native=True),
        ),
        of="m:f",
    )
    return Function("zlib:compress", "", 0, 110.0, 0.0, 0.0, 0.0, (code,), 110.0, kind="native")


def test_a_native_callable_is_delayed_where_it_is_called_and_all_its_calls_are_counted() -> None:
    (made,) = doses_of(native_function(), 0.5, callback_s=1e-7)
    assert (made.target, made.line, made.part) == ("m:f", 7, "zlib:compress")
    delays = {(s.at, s.offset, s.state): (s.delay_ns, s.share) for s in made.sites}
    assert delays == {
        ("call", 4, "gil"): (pytest.approx(50.0), 0.0),
        ("call", 8, "gil"): (0.0, 0.0),
        ("call", 8, "nogil"): (pytest.approx(1e6), 0.0),
        ("call", 8, "wait"): (pytest.approx(5e5), 0.5),
    }


def test_a_line_is_counted_also_where_its_delay_lies_elsewhere() -> None:
    code = CodeProfile(
        7,
        (
            SiteProfile("line", 9, 10.0, 0.0, 0.0, 0.0),
            SiteProfile("jump", 30, 100.0, 1e-4, 0.0, 0.0),
        ),
        of="m:f",
    )
    line = Function("m:f@9", "m.py", 9, 10.0, 0.0, 0.0, 0.0, (code,), 10.0, kind="line")
    (made,) = doses_of(line, 1.0)
    assert (made.target, made.part) == ("m:f", "m:f@9")
    assert {(s.at, s.offset) for s in made.sites} == {("line", 9), ("jump", 30)}


def test_a_fixed_delay_falls_where_calls_are_counted() -> None:
    found = Discovery((function(SiteProfile("entry", -1, 10.0, 1e-3, 0.0, 0.0)), native_function()))
    request = RunRequest(
        0, "search", 0, frozenset({"m:f", "zlib:compress"}), dose=1.0, delay_ns=1e4
    )
    plan = plan_for(found, request, {})
    assert plan.rules == ("m:f",)
    (made,) = plan.doses
    assert [(s.at, s.offset, s.delay_ns) for s in made.sites] == [
        ("call", 4, 1e4),
        ("call", 8, 1e4),
    ]
    universe = Universe.of(
        found, waits=True, delay_ns=1e4, point=Point("m:f"), event_ns={}, longest_s=1.0
    )
    assert {t: [e for e, _ in own] for t, own in universe.entries.items()} == {
        "m:f": [0],
        "zlib:compress": [1],
    }
