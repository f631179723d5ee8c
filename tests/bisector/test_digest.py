"""From raw records to rates per unit: window, correction, aggregation."""

from __future__ import annotations

import pytest

from bisector.digest import digest
from injector.records import Entry, ProcessRecord

S = 1_000_000_000
MS = 1_000_000


def function(
    slot: int,
    target: str,
    calls: int,
    gil: int,
    first: int,
    last: int,
    *,
    wait: int = 0,
    callees: int = 0,
) -> Entry:
    counters = (calls, gil, 0, wait, callees, 0, first, last)
    return Entry("function", slot, {"target": target, "line": slot, "file": "x.py"}, counters)


def site(slot: int, at: str, offset: int, visits: int, gil: int = 0, *more: int) -> Entry:
    fields = {"function": 1, "at": at, "offset": offset}
    return Entry("site", slot, fields, (visits, gil, *more, *(0,) * (6 - len(more))))


def native(slot: int, target: str, calls: int, gil: int, first: int, last: int) -> Entry:
    return Entry("native", slot, {"target": target}, (calls, gil, 0, 0, 0, calls, first, last))


def process(*entries: Entry, name: str = "bench.py") -> ProcessRecord:
    attached = Entry("process", 0, {}, (0, 3 * S, 0, 0, 0, 0, 0, 0))
    return ProcessRecord({"name": name, "start_ns": 0, "backend": "b"}, [attached, *entries])


def made(*records: ProcessRecord, unit_s: float = 0.01, **changes: object):  # type: ignore[no-untyped-def]
    options = {"window": None, "whole_run_is_unit": False, "overheads": {}, **changes}
    found = digest(list(records), time_per_unit_s=unit_s, **options)  # type: ignore[arg-type]
    return {f.target: f for f in found.functions}


def test_start_up_does_not_dilute_rates() -> None:
    """One second of imports, then 100 steps of 10 ms: a step's function is called once per unit."""
    step = function(1, "m:step", 100, 400 * MS, 1 * S, 1 * S + 990 * MS)
    load = function(2, "m:load", 50, 200 * MS, 0, S // 2)
    functions = made(process(step, load))
    assert functions["m:step"].calls == pytest.approx(1.0, rel=0.02)
    assert functions["m:step"].gil_s == pytest.approx(4e-3, rel=0.02)
    assert functions["m:load"].calls == 0.0
    assert functions["m:load"].own_per_call_s == pytest.approx(4e-3)


def test_a_main_loop_called_once_counts_in_the_window() -> None:
    step = function(1, "m:step", 100, 400 * MS, 1 * S, 1 * S + 990 * MS)
    main = function(2, "m:main", 1, 200 * MS, S // 2, S // 2)
    assert made(process(step, main))["m:main"].gil_s > 0.0


def test_a_whole_run_is_one_unit() -> None:
    load = function(2, "m:load", 50, 200 * MS, 0, S // 2)
    functions = made(process(load), unit_s=2.0, whole_run_is_unit=True)
    assert functions["m:load"].calls == 50
    assert functions["m:load"].gil_s == pytest.approx(0.2)


def test_the_cost_of_watching_is_taken_out() -> None:
    f = function(1, "m:f", 1000, 1 * MS, 0, S, callees=2000)
    plain = made(process(f), unit_s=2.0, whole_run_is_unit=True)
    fair = made(
        process(f),
        unit_s=2.0,
        whole_run_is_unit=True,
        overheads={"callee": 100.0, "caller": 50.0},
    )
    assert plain["m:f"].gil_s == pytest.approx(1e-3)
    assert fair["m:f"].gil_s == pytest.approx(0.8e-3)


def test_processes_add_up_and_are_named() -> None:
    one = process(function(1, "m:f", 100, 100 * MS, S, 2 * S))
    two = process(function(1, "m:f", 300, 300 * MS, S, 2 * S), name="worker")
    functions = made(one, two, unit_s=2.0, whole_run_is_unit=True)
    assert functions["m:f"].calls == 400
    assert functions["m:f"].processes == ("main", "worker")


def test_sites_keep_their_function_s_own_time() -> None:
    f = function(1, "m:f", 10, 10 * MS, 0, S, wait=40 * MS)
    entry = site(2, "entry", -1, 10, 0, 0, 40 * MS)
    back = site(3, "return", 44, 10, 10 * MS, 0, 0)
    functions = made(
        process(f, entry, back),
        unit_s=2.0,
        whole_run_is_unit=True,
        overheads={"callee": 100_000.0},
    )
    (code,) = functions["m:f"].codes
    spent = {site.at: (site.gil_s, site.wait_s) for site in code.sites}
    assert spent["entry"] == (0.0, pytest.approx(4e-3))
    assert spent["return"] == (pytest.approx(0.9e-3), 0.0)


def test_sites_watched_late_hold_what_a_call_holds() -> None:
    """Sites are watched from the first long call on: here in 80 of 720 calls."""
    f = function(1, "m:f", 720, 72 * MS, 0, S, wait=36 * MS)
    call = site(2, "call", 4, 160, 2 * MS, 0, 4 * MS)
    back = site(3, "return", 44, 80, 6 * MS, 0, 0)
    done = made(process(f, call, back), unit_s=2.0, whole_run_is_unit=True)["m:f"]
    assert done.own_per_call_s == pytest.approx(150e-6)
    first, last = done.codes[0].sites
    assert (first.visits, last.visits) == (1440.0, 720.0)
    assert (first.gil_s, last.gil_s) == (pytest.approx(12.5e-6), pytest.approx(75e-6))
    assert first.wait_s == pytest.approx(25e-6)


def test_work_in_a_script_s_body_is_not_left_out_for_the_imports_around_it() -> None:
    body = function(1, "__main__:<module>", 1, 900 * MS, S, S)
    load = function(2, "importlib:load", 50, 2 * MS, S, S + 5 * MS)
    functions = made(process(body, load), unit_s=0.001)
    assert functions["__main__:<module>"].gil_s == pytest.approx(0.9e-3 / 2, rel=0.2)


def test_being_told_large_offsets_is_taken_off_as_well() -> None:
    """100 back-edges far down, each with two such numbers, of a function with 10 ms."""
    spin = function(1, "m:spin", 10, 10 * MS, 0, S)
    functions = made(
        process(spin, site(2, "jump", 600, 100), site(3, "jump", 200, 100)),
        unit_s=2.0,
        whole_run_is_unit=True,
        overheads={"wide": 10_000.0},
    )
    assert functions["m:spin"].gil_s == pytest.approx(0.008)


def called(entry: Entry, native_slot: int) -> Entry:
    """A site as a place where a native callable is called."""
    return Entry(entry.kind, entry.slot, entry.fields | {"native": native_slot}, entry.counters)


def test_a_native_callable_is_a_target_in_the_code_that_calls_it() -> None:
    f = function(1, "m:f", 10, 10 * MS, 0, S)
    compress = native(2, "zlib:compress", 30, 60 * MS, 0, S)
    sites = [
        site(3, "call", 4, 20, 2 * MS, 0, 0, 0, 2),
        called(site(4, "call", 4, 20, 50 * MS, 0, 0, 0, 0), 2),
        called(site(5, "call", 8, 10, 10 * MS, 0, 0, 0, 0), 2),
        site(6, "return", 44, 10, 8 * MS),
    ]
    edge = Entry("edge", 7, {"caller": 1, "callee": 2}, (30, *(0,) * 7))
    record = process(f, compress, *sites, edge)
    found = digest(
        [record],
        time_per_unit_s=2.0,
        window=None,
        whole_run_is_unit=True,
        overheads={"site": 100_000.0},
    )
    functions = {f.target: f for f in found.functions}
    done = functions["zlib:compress"]
    assert (done.kind, done.file, done.line, done.calls) == ("native", "", 0, 30)
    assert done.gil_s == pytest.approx(60e-3 - 30 * 0.1e-3)
    (code,) = done.codes
    assert (code.of, code.line) == ("m:f", 1)
    assert [(s.at, s.offset, s.visits) for s in code.sites] == [("call", 4, 20), ("call", 8, 10)]
    assert sum(s.visits * s.gil_s for s in code.sites) == pytest.approx(done.gil_s)
    assert functions["m:f"].gil_s == pytest.approx(10e-3)
    assert found.calls_between == (("m:f", "zlib:compress", 30.0),)


def test_a_native_call_too_dense_to_be_watched_stays_its_caller_s() -> None:
    f = function(1, "m:f", 10, 10 * MS, 0, S)
    compress = native(2, "builtins:len", 1024, 1 * MS, 0, S)
    given_up = called(site(4, "call", 4, 1024, 1 * MS, 0, 0, 1, 0), 2)
    short = called(site(5, "call", 8, 1000, 1 * MS // 2), 2)
    functions = made(process(f, compress, given_up, short), unit_s=2.0, whole_run_is_unit=True)
    assert "builtins:len" not in functions
    assert functions["m:f"].gil_s == pytest.approx(11.5e-3)


def test_a_function_that_holds_little_is_not_split_into_its_lines() -> None:
    f = function(1, "m:f", 10, 50 * MS, 0, S)
    line = with_line(site(3, "line", 5, 10, 50 * MS), 5)
    assert "m:f@5" in made(process(f, line), unit_s=1.0, whole_run_is_unit=True)
    assert "m:f@5" not in made(process(f, line), unit_s=3.0, whole_run_is_unit=True)


def with_line(entry: Entry, line: int | None) -> Entry:
    return Entry(entry.kind, entry.slot, entry.fields | {"line": line}, entry.counters)


def test_lines_are_targets_with_what_was_spent_in_them() -> None:
    f = function(1, "m:f", 10, 100 * MS, 0, S, wait=40 * MS)
    sites = [
        with_line(site(2, "entry", -1, 10), None),
        with_line(site(3, "line", 5, 10, 20 * MS), 5),
        with_line(site(4, "line", 6, 300, 50 * MS), 6),
        with_line(site(5, "jump", 30, 300, 10 * MS), 6),
        with_line(site(6, "line", 7, 10, 0, 0, 40 * MS), 7),
        with_line(site(7, "return", 44, 10, 20 * MS), 9),
    ]
    functions = made(process(f, *sites), unit_s=1.0, whole_run_is_unit=True)
    own = {t: (f.kind, f.line, f.calls, round(f.own_s, 6)) for t, f in functions.items()}
    assert own == {
        "m:f": ("function", 1, 10, 0.02),  # what lies in a line that was never begun
        "m:f@5": ("line", 5, 10, 0.02),
        "m:f@6": ("line", 6, 300, 0.06),
        "m:f@7": ("line", 7, 10, 0.04),
    }
    (code,) = functions["m:f@6"].codes
    assert (code.of, code.line) == ("m:f", 1)
    assert {(s.at, s.offset) for s in code.sites} == {("line", 6), ("jump", 30)}
