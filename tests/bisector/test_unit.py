"""Which call is the unit of work: from what was counted, a name, or why there is none."""

from __future__ import annotations

import pytest

from bisector.unit import Count, NoUnit, find_unit
from injector.records import Entry, ProcessRecord

LIBRARY = "/usr/lib/python3.13/asyncio/events.py"
INSTALLED = "/venv/lib/python3.13/site-packages/framework/core.py"
OURS = "program.py"


class Program:
    """What one process counted: functions with calls per second, CPU and waiting share, callers."""

    def __init__(self, pid=1, seconds=2.0):
        self.pid, self.seconds = pid, seconds
        self.functions, self.edges, self.rates = [], [], {}

    def function(self, name, per_s=0.0, cpu=0.0, wait=0.0, file=OURS, calls=1, rate=None):
        slot = len(self.functions) + 1
        made = round(per_s * self.seconds) or calls
        ns = (round(cpu * self.seconds * 1e9), round(wait * self.seconds * 1e9))
        target = name if ":" in name else f"__main__:{name}"
        fields = {"target": target, "line": slot, "file": file}
        self.functions.append(Entry("function", slot, fields, (made, ns[0], 0, ns[1], 0, 0, 1, 2)))
        self.rates[slot] = rate or (lambda t: per_s * t)
        return slot

    def calls(self, caller, callee, times=1000):
        fields = {"caller": caller, "callee": callee}
        self.edges.append(Entry("edge", 0, fields, (times, 0, 0, 0, 0, 0, 0, 0)))

    @property
    def record(self):
        header = {"pid": self.pid, "start_ns": self.pid}
        return ProcessRecord(header, [*self.functions, *self.edges])


def find(*programs, patient=False):
    counts = []
    for step in range(101):
        time_s = programs[0].seconds * step / 100
        calls = {
            (f"{p.pid}-{p.pid}", slot): int(rate(time_s))
            for p in programs
            for slot, rate in p.rates.items()
        }
        counts.append(Count(time_s, calls))
    return find_unit([p.record for p in programs], counts, patient)


def test_a_main_loop_is_counted_by_what_it_calls_with_the_most_work():
    program = Program()
    main = program.function("main")
    step = program.function("step", 100, cpu=0.1)
    for callee in (
        step,
        program.function("report", 100, cpu=0.01),
    ):
        program.calls(main, callee)
    program.calls(step, program.function("inner", 5000, cpu=0.8))
    unit = find(program)
    assert unit.target == "__main__:step"
    assert unit.per_s == pytest.approx(100, rel=0.05)
    assert "100 times a second, 99% of the work" in unit.why


def test_a_librarys_machinery_is_looked_through():
    program = Program()
    main = program.function("main")
    loop = program.function("BaseEventLoop._run_once", 3000, cpu=0.1, file=LIBRARY)
    handle = program.function("Handle._run", 3000, cpu=0.1, file=LIBRARY)
    request = program.function("handle_request", 50, cpu=0.5)
    program.calls(main, loop)
    program.calls(loop, handle)
    program.calls(handle, request)
    assert find(program).target == "__main__:handle_request"


def test_installed_code_is_taken_where_the_program_has_none_of_its_own():
    program = Program()
    program.function("serve", 40, cpu=0.6, file=INSTALLED)
    program.function("select", 400, cpu=0.1, file=LIBRARY)
    assert find(program).target == "__main__:serve"


def test_what_recursion_calls_is_not_further_out_than_itself():
    program = Program()
    main = program.function("main")
    solve = program.function("solve", 2000, cpu=0.8)
    branch = program.function("branch", 4000, cpu=0.1)
    program.calls(main, solve, 10)
    program.calls(solve, branch)
    program.calls(branch, solve)
    assert find(program).target in ("__main__:solve", "__main__:branch")


def test_a_helper_that_ticks_is_not_the_work():
    program = Program()
    program.function("beat", 20, wait=0.0001)
    program.function("step", 30, cpu=0.2, wait=0.7)
    assert find(program).target == "__main__:step"


def test_the_main_process_comes_before_its_helpers_if_it_holds_its_time():
    main, helper = Program(1), Program(2)
    main.function("train_step", 30, cpu=0.05, wait=0.8)
    helper.function("load", 30, cpu=0.9)
    assert find(main, helper).target == "__main__:train_step"


def test_a_main_process_that_only_collects_leaves_it_to_its_helpers():
    main, helper = Program(1), Program(2)
    main.function("collect", 30, cpu=0.001)
    helper.function("load", 30, cpu=0.9)
    unit = find(main, helper)
    assert unit.target == "__main__:load"
    assert "of a helper process" in unit.why


def test_nothing_recurs():
    program = Program()
    program.function("main", cpu=0.9)
    with pytest.raises(NoUnit, match="no function is called 10 times"):
        find(program)


def test_what_recurs_in_bursts_or_ever_faster_is_not_steady():
    program = Program()
    program.function("burst", 100, cpu=0.5, rate=lambda t: 200 if t > 1.9 else 0)
    program.function("faster", 100, cpu=0.5, rate=lambda t: 50 * t * t)
    with pytest.raises(NoUnit, match="steadily"):
        find(program)


def test_the_main_thread_sets_the_pace_and_not_a_thread_that_works_more():
    program = Program()
    body = program.function("<module>")
    main = program.function("main")
    program.calls(body, main)
    program.calls(main, program.function("answer", 100, cpu=0.3, wait=0.4))
    program.calls(program.function("archive"), program.function("compress", 60, cpu=0.6))
    assert find(program).target == "__main__:answer"


def test_a_main_thread_that_only_waits_for_the_others_sets_no_pace():
    program = Program()
    body = program.function("<module>")
    main = program.function("main")
    program.calls(body, main)
    program.calls(main, program.function("tick", 20, wait=1.0))
    program.calls(program.function("serve"), program.function("answer", 100, cpu=0.6))
    assert find(program).target == "__main__:answer"


def test_a_program_that_marks_its_units_is_taken_at_its_word():
    program = Program()
    program.function("step", 100, cpu=0.5)
    program.function("bisector.mark:token", 400, file=INSTALLED)
    program.function("bisector.mark:begin.request", 900, file=INSTALLED)
    unit = find(program)
    assert unit.target == "bisector.mark:token"
    assert unit.why.startswith("the program marks it")


def test_marks_that_do_not_come_steadily_are_waited_for():
    program = Program()
    program.function("step", 100, cpu=0.5)
    program.function("bisector.mark:unit", rate=lambda t: 40 if t > 1.9 else 0)
    with pytest.raises(NoUnit, match="marks its units"):
        find(program)


def test_patience_waits_for_the_best_call_to_become_steady():
    """A service that is only just being asked, and a helper that has found its pace."""
    program = Program()
    body = program.function("<module>")
    answer = program.function("answer", cpu=0.5, rate=lambda t: 100 * max(t - 1.2, 0.0))
    program.calls(body, answer)
    program.function("archive", 30, cpu=0.1, wait=0.7)
    with pytest.raises(NoUnit, match="__main__:answer does not recur steadily"):
        find(program, patient=True)
    assert find(program).target == "__main__:archive"


def test_a_helper_that_goes_by_a_clock_is_not_taken_for_work_that_never_becomes_steady():
    program = Program()
    body = program.function("<module>")
    answer = program.function("answer", cpu=0.8, rate=lambda t: 200 * max(t - 1.2, 0.0))
    program.calls(body, answer)
    program.function("archive", 37, cpu=0.05, wait=0.7)
    with pytest.raises(NoUnit, match="archive, which does, holds next to nothing of the work"):
        find(program)


def test_a_helper_is_not_taken_while_what_calls_the_work_may_yet_recur():
    """A server whose first connections are being made, each of them for many requests."""
    program = Program()
    body = program.function("<module>")
    serve = program.function("serve", rate=lambda t: 8 * min(t, 1.0))
    answer = program.function("answer", 200, cpu=0.8)
    program.calls(body, serve)
    program.calls(serve, answer)
    program.function("archive", 37, cpu=0.05, wait=0.7)
    with pytest.raises(NoUnit, match="__main__:answer is called by what may yet recur"):
        find(program, patient=True)
    assert find(program).target == "__main__:answer"


def test_marks_that_come_seldom_are_waited_for_too():
    program = Program()
    program.function("helper", 100, cpu=0.5)
    program.function("bisector.mark:unit", 3)
    with pytest.raises(NoUnit, match="does fewer than 10"):
        find(program)


def test_patience_waits_for_a_caller_that_has_not_had_the_time_to_recur():
    """A step of the program is slow while it is watched, and calls a part of it several times."""
    program = Program(seconds=1.0)
    main = program.function("main")
    step = program.function("step", 6, cpu=0.3)
    program.calls(main, step)
    program.calls(step, program.function("part", 48, cpu=0.4))
    with pytest.raises(NoUnit):
        find(program, patient=True)
    assert find(program).target == "__main__:part"
