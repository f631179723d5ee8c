"""Where own time is charged, with a clock that the test moves: the rules of `injector.observer`.

Times are microseconds. ``cpu`` passes on both clocks, ``idle`` only on the wall's: a wait, or a GIL
or a processor that was missing.
"""

from __future__ import annotations

import gc
from types import CodeType, FunctionType

import pytest

from injector import charging, observer, shadow
from injector.ledger import COUNTERS, WIDTH
from injector.observer import Observer

DISABLE = object()


class Stage:
    """A thread with two clocks, and an observer that watches what is played on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, window: tuple[int, int] = (0, 0)) -> None:
        self.wall = 1_000_000_000
        self.used = 5_000_000
        for module in (observer, shadow):
            monkeypatch.setattr(module, "monotonic_ns", lambda: self.wall)
        monkeypatch.setattr(shadow, "thread_time_ns", lambda: self.used)
        self.counters = memoryview(bytearray(WIDTH * 8 * 500)).cast("Q")
        self.slots: dict[tuple[object, ...], int] = {}
        self.armed: list[str] = []
        self.errors: list[BaseException] = []
        self.observer = Observer(
            self.counters,
            lambda code, _: (self.slot("function", code.co_name), 0, False),
            lambda function, at, offset: self.slot("site", function, at, offset),
            lambda caller, callee: self.slot("edge", caller, callee),
            lambda function: self.slot("thread"),
            lambda code: self.armed.append(code.co_name),
            self.errors.append,
            DISABLE,
            window,
        )

    def slot(self, *key: object) -> int:
        return self.slots.setdefault(key, len(self.slots) + 1)

    def cpu(self, us: float) -> None:
        self.wall += round(us * 1000)
        self.used += round(us * 1000)

    def idle(self, us: float) -> None:
        self.wall += round(us * 1000)

    def native(self, code: CodeType, offset: int, cpu: float = 0, idle: float = 0) -> None:
        """Call something native that takes so long."""
        self.observer.call(code, offset, len, None)
        self.cpu(cpu)
        self.idle(idle)
        self.observer.native_return(code, offset, len, None)

    def function(self, code: CodeType, counter: str) -> float:
        """A counter of a function; times in microseconds."""
        return self._read("function", ("function", code.co_name), counter)

    def site(self, code: CodeType, at: str, offset: int, counter: str) -> float:
        slot = self.slots["function", code.co_name]
        return self._read("site", ("site", slot, at, offset), counter)

    def charged(self, code: CodeType, state: str) -> dict[tuple[str, int], float]:
        """What the sites of a function were charged in a state, µs, those with nothing left out."""
        slot = self.slots["function", code.co_name]
        found = {}
        for key in self.slots:
            if key[:2] == ("site", slot):
                at, offset = str(key[2]), int(str(key[3]))
                value = self.site(code, at, offset, f"{state}_ns")
                if value:
                    found[at, offset] = value
        return found

    def _read(self, kind: str, key: tuple[object, ...], counter: str) -> float:
        slot = self.slots.get(key)
        if slot is None:
            return 0
        value = self.counters[slot * WIDTH + COUNTERS[kind].index(counter)]
        return value / 1000 if counter.endswith("_ns") else value


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(monkeypatch)
    yield stage  # type: ignore[misc]
    assert stage.errors == []


def code(name: str) -> CodeType:
    """A code object of that name."""
    made: dict[str, FunctionType] = {}
    exec(f"def {name}(): pass", made)
    return made[name].__code__


def armed(stage: Stage, name: str) -> CodeType:
    """Code that has been armed by an earlier activation; its counters are zero again."""
    made = code(name)
    stage.observer.start(made, 0)
    stage.cpu(100)
    stage.observer.return_(made, 90, None)
    stage.observer.start(made, 0)
    stage.observer.return_(made, 90, None)
    assert name in stage.armed
    for index in range(len(stage.counters)):
        stage.counters[index] = 0
    return made


# Own time, in three states.


def test_own_time_is_time_in_a_function_and_in_no_other(stage: Stage) -> None:
    outer, inner = code("outer"), code("inner")
    stage.observer.start(outer, 0)
    stage.cpu(3)
    for _ in range(2):
        stage.observer.start(inner, 0)
        stage.cpu(5)
        stage.observer.return_(inner, 2, None)
        stage.cpu(1)
    stage.observer.return_(outer, 2, None)
    assert stage.function(outer, "gil_ns") == 3 + 1 + 1
    assert stage.function(inner, "gil_ns") == 5 + 5
    assert stage.function(inner, "calls") == 2
    assert stage.function(outer, "callee_calls") == 2
    edge = stage.slots["edge", stage.slots["function", "outer"], stage.slots["function", "inner"]]
    assert stage.counters[edge * WIDTH] == 2


def test_code_that_is_not_armed_waits_when_it_does_not_compute(stage: Stage) -> None:
    made = code("made")
    stage.observer.start(made, 0)
    stage.cpu(7)
    stage.idle(500)
    stage.observer.return_(made, 2, None)
    assert stage.function(made, "gil_ns") == 7
    assert stage.function(made, "wait_ns") == 500


def test_what_armed_python_lacks_is_the_gil_and_is_dropped(stage: Stage) -> None:
    made = armed(stage, "made")
    stage.observer.start(made, 0)
    stage.cpu(50)
    stage.idle(5_000)
    stage.observer.return_(made, 90, None)
    assert stage.function(made, "gil_ns") == 50
    assert stage.function(made, "wait_ns") == 0


def test_short_stretches_between_long_ones_are_cpu_time(stage: Stage) -> None:
    outer, inner = code("outer"), code("inner")
    stage.observer.start(outer, 0)
    for _ in range(100):
        stage.observer.start(inner, 0)
        stage.cpu(2)
        stage.observer.return_(inner, 2, None)
    stage.cpu(30)
    stage.idle(400)
    stage.observer.return_(outer, 2, None)
    assert stage.function(inner, "gil_ns") == 200
    assert stage.function(outer, "gil_ns") == 30
    assert stage.function(outer, "wait_ns") == 400


def test_a_native_call_that_was_seen_to_release_the_gil_computes_without_it(stage: Stage) -> None:
    made = armed(stage, "made")
    stage.observer.start(made, 0)
    stage.native(made, 10, cpu=1_000)
    stage.observer.released(made, 10)
    stage.native(made, 10, cpu=2_000, idle=4_000)  # the GIL, on its way back
    stage.native(made, 20, cpu=300)
    stage.observer.return_(made, 90, None)
    assert stage.function(made, "gil_ns") == 300
    assert stage.function(made, "nogil_ns") == 3_000  # the first one too, though counted before
    assert stage.function(made, "wait_ns") == 0
    assert stage.charged(made, "nogil") == {("call", 10): 3_000}
    assert stage.charged(made, "gil") == {("call", 20): 300}


# Which site: the examples of the design.


def test_sleeping_until_a_deadline_alone_in_a_function_waits_at_its_entry(stage: Stage) -> None:
    finish = armed(stage, "finish")
    stage.observer.start(finish, 0)
    stage.cpu(1)
    stage.native(finish, 10, cpu=0.1)  # now = clock()
    stage.cpu(1)
    stage.native(finish, 30, idle=3_000)  # sleep(f - now)
    stage.observer.return_(finish, 90, None)
    assert stage.charged(finish, "wait") == {("entry", -1): 3_000}


def test_after_inline_work_cpu_and_wait_are_at_the_call_of_the_clock(stage: Stage) -> None:
    step = armed(stage, "step")
    stage.observer.start(step, 0)
    stage.cpu(3_000)
    stage.native(step, 10, cpu=0.1)  # now = clock()
    stage.cpu(1)
    stage.native(step, 30, idle=3_000)  # sleep(f - now)
    stage.observer.return_(step, 90, None)
    assert stage.charged(step, "wait") == {("call", 10): 3_000}
    assert stage.charged(step, "gil")["call", 10] == 3_000


def test_a_wait_and_then_inline_work_waits_at_entry_and_computes_at_return(stage: Stage) -> None:
    sample = armed(stage, "sample")
    stage.observer.start(sample, 0)
    stage.native(sample, 10, idle=3_000)
    stage.cpu(2_000)
    stage.observer.return_(sample, 90, None)
    assert stage.charged(sample, "wait") == {("entry", -1): 3_000}
    assert stage.charged(sample, "gil") == {("return", 90): 2_000}


def test_between_python_callees_time_is_at_the_calls(stage: Stage) -> None:
    step, callee = armed(stage, "step"), code("callee")
    stage.observer.start(step, 0)
    for offset, us in ((10, 4), (20, 6)):
        stage.cpu(us)
        stage.observer.call(step, offset, armed, None)
        stage.observer.start(callee, 0)
        stage.cpu(1)
        stage.observer.return_(callee, 2, None)
    stage.cpu(2)
    stage.observer.return_(step, 90, None)
    assert stage.charged(step, "gil") == {("call", 10): 4, ("call", 20): 6, ("return", 90): 2}


def test_a_wait_after_a_python_callee_is_at_the_next_site(stage: Stage) -> None:
    step, callee = armed(stage, "step"), code("callee")
    stage.observer.start(step, 0)
    stage.observer.call(step, 10, armed, None)
    stage.observer.start(callee, 0)
    stage.observer.return_(callee, 2, None)
    stage.native(step, 20, cpu=0.1)
    stage.native(step, 30, idle=900)
    stage.observer.return_(step, 90, None)
    assert stage.charged(step, "wait") == {("call", 20): 900}


def test_in_a_loop_waits_are_at_the_back_edge_but_the_first(stage: Stage) -> None:
    loop = armed(stage, "loop")
    stage.observer.start(loop, 0)
    for _ in range(4):
        stage.native(loop, 10, idle=100)
        stage.cpu(1)
        assert stage.observer.jump(loop, 40, 8) is None
    stage.observer.return_(loop, 90, None)
    assert stage.charged(loop, "wait") == {("entry", -1): 100, ("jump", 40): 300}
    assert stage.site(loop, "jump", 40, "visits") == 4


def test_a_long_loop_without_calls_is_charged_at_its_back_edge(stage: Stage) -> None:
    loop = armed(stage, "loop")
    stage.observer.start(loop, 0)
    for _ in range(1000):
        stage.cpu(0.5)
        stage.observer.jump(loop, 40, 8)
    stage.observer.return_(loop, 90, None)
    charged = stage.charged(loop, "gil")
    assert charged["jump", 40] >= 480
    assert sum(charged.values()) == 500


def test_small_native_calls_run_on_into_the_next_site_that_ends_a_stretch(stage: Stage) -> None:
    made = armed(stage, "made")
    stage.observer.start(made, 0)
    for _ in range(9):
        stage.native(made, 10, cpu=1)
        stage.cpu(1)
    stage.observer.return_(made, 90, None)
    assert stage.charged(made, "gil") == {("return", 90): 18}
    assert stage.site(made, "call", 10, "visits") == 9


def test_a_native_call_that_calls_python_is_one_call_site(stage: Stage) -> None:
    step, key = armed(stage, "step"), code("key")
    stage.observer.start(step, 0)
    stage.observer.call(step, 10, sorted, None)
    for _ in range(3):
        stage.cpu(4)
        stage.observer.start(key, 0)
        stage.cpu(1)
        stage.observer.return_(key, 2, None)
    stage.cpu(30)
    stage.observer.native_return(step, 10, sorted, None)
    stage.observer.return_(step, 90, None)
    assert stage.charged(step, "gil") == {("call", 10): 42}
    assert stage.site(step, "call", 10, "visits") == 1


# Arming.


def test_tiny_code_stays_unarmed_even_if_it_was_interrupted_once(stage: Stage) -> None:
    tiny = code("tiny")
    for number in range(200):
        stage.observer.start(tiny, 0)
        stage.cpu(0.2)
        if number == 150:
            stage.idle(80)
        stage.observer.return_(tiny, 2, None)
    assert stage.armed == []


def test_code_that_goes_on_for_long_is_armed_while_it_runs(stage: Stage) -> None:
    long, callee = code("long"), code("callee")
    stage.observer.start(long, 0)
    for _ in range(30):
        stage.cpu(1)
        stage.observer.start(callee, 0)
        stage.observer.return_(callee, 2, None)
    assert stage.armed == ["long"]


def test_code_without_events_is_armed_from_outside(stage: Stage) -> None:
    loop = code("loop")
    stage.observer.start(loop, 0)
    stage.cpu(3_000)
    ((_, seen, age_ns, offset),) = stage.observer.look()
    assert (seen, age_ns, offset) == (loop, 3_000_000, -1)
    stage.observer.arm(loop)
    assert stage.armed == ["loop"]


def test_a_look_shows_the_native_call_that_is_running(stage: Stage) -> None:
    made = armed(stage, "made")
    stage.observer.start(made, 0)
    stage.observer.call(made, 10, len, None)
    assert [look[3] for look in stage.observer.look()] == [10]
    stage.observer.native_return(made, 10, len, None)
    assert [look[3] for look in stage.observer.look()] == [-1]


def test_a_dense_inner_back_edge_gives_way_to_the_one_around_it(stage: Stage) -> None:
    loop = armed(stage, "loop")
    stage.observer.start(loop, 0)
    answers = []
    for _ in range(30):
        for _ in range(100):
            stage.cpu(0.3)
            answers.append(stage.observer.jump(loop, 40, 20))
        stage.observer.jump(loop, 60, 8)
    stage.observer.return_(loop, 90, None)
    assert DISABLE in answers
    # Its charges moved out; the test went on playing it, which the interpreter would not.
    first = answers.index(DISABLE)
    assert first == 1023
    assert stage.site(loop, "jump", 40, "given_up") == 1


def test_a_dense_back_edge_with_nothing_around_it_stays(stage: Stage) -> None:
    loop = armed(stage, "loop")
    stage.observer.start(loop, 0)
    for _ in range(3000):
        stage.cpu(0.3)
        assert stage.observer.jump(loop, 40, 20) is None


def dense_calls(stage: Stage, every: int, callee: object = len) -> list[object]:
    """What a loop of small calls answers of which one of so many takes long."""
    loop = armed(stage, "loop")
    stage.observer.start(loop, 0)
    answers = []
    for number in range(3000):
        stage.cpu(0.3)
        answers.append(stage.observer.call(loop, 40, callee, None))
        stage.cpu(0.1 if number % every else 50)
        stage.observer.native_return(loop, 40, callee, None)
    return answers


def test_dense_native_calls_are_given_up_though_one_was_interrupted(stage: Stage) -> None:
    answers = dense_calls(stage, every=2000)
    assert answers.index(DISABLE) == 1023


def test_a_native_call_that_takes_long_now_and_then_stays(stage: Stage) -> None:
    assert DISABLE not in dense_calls(stage, every=200)


def test_a_call_of_python_stays(stage: Stage) -> None:
    assert DISABLE not in dense_calls(stage, every=2000, callee=dense_calls)


def test_a_jump_forward_is_no_site(stage: Stage) -> None:
    assert stage.observer.jump(armed(stage, "made"), 40, 60) is DISABLE


# Generators, exceptions, recursion, frames that nobody saw begin.


def test_a_generator_is_one_call_and_owns_its_time_between_yields(stage: Stage) -> None:
    outer, numbers = code("outer"), code("numbers")
    stage.observer.start(outer, 0)
    stage.observer.start(numbers, 0)
    stage.cpu(2)
    stage.observer.yield_(numbers, 10, None)
    stage.cpu(1)
    stage.observer.resume(numbers, 12)
    stage.cpu(3)
    stage.observer.return_(numbers, 20, None)
    stage.observer.return_(outer, 2, None)
    assert stage.function(numbers, "calls") == 1
    assert stage.function(numbers, "gil_ns") == 5
    assert stage.function(outer, "gil_ns") == 1


def test_a_wait_after_a_resume_is_at_the_resume(stage: Stage) -> None:
    numbers = armed(stage, "numbers")
    stage.observer.resume(numbers, 12)
    stage.native(numbers, 14, idle=700)
    stage.observer.yield_(numbers, 20, None)
    assert stage.charged(numbers, "wait") == {("resume", -1): 700}


def test_an_exception_pops_frame_by_frame(stage: Stage) -> None:
    outer, inner = code("outer"), code("inner")
    stage.observer.start(outer, 0)
    stage.observer.start(inner, 0)
    stage.cpu(2)
    stage.observer.unwind(inner, 4, ValueError())
    stage.cpu(5)
    stage.observer.unwind(outer, 4, ValueError())
    assert stage.function(inner, "gil_ns") == 2
    assert stage.function(outer, "gil_ns") == 5
    assert stage.observer.look() == []


def test_recursion_counts_each_activation(stage: Stage) -> None:
    fib = code("fib")
    for _ in range(3):
        stage.observer.start(fib, 0)
        stage.cpu(1)
    for _ in range(3):
        stage.cpu(1)
        stage.observer.return_(fib, 2, None)
    assert stage.function(fib, "calls") == 3
    assert stage.function(fib, "gil_ns") == 6


def test_a_frame_that_nobody_saw_begin_is_passed_over(stage: Stage) -> None:
    before, known = code("before"), code("known")
    stage.observer.return_(before, 2, None)
    stage.observer.start(known, 0)
    stage.observer.call(before, 4, len, None)
    stage.observer.unwind(before, 4, ValueError())
    stage.cpu(3)
    stage.observer.return_(known, 2, None)
    assert stage.function(known, "gil_ns") == 3


def test_frames_whose_end_nobody_saw_are_dropped_at_the_next_event(stage: Stage) -> None:
    outer, lost = code("outer"), code("lost")
    stage.observer.start(outer, 0)
    stage.observer.start(lost, 0)
    stage.cpu(500)
    stage.observer.return_(outer, 2, None)
    assert stage.observer.look() == []
    assert stage.function(outer, "gil_ns") == 0


# Window and fork.


def test_outside_the_window_nothing_is_counted_but_code_is_armed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opens = 1_000_000_000 + 1_000_000
    stage = Stage(monkeypatch, (opens, opens + 1_000_000))
    made = code("made")
    for _ in range(5):  # calls 0.5 ms apart, from 0.1 ms on: the third and fourth are inside
        stage.cpu(100)
        stage.observer.start(made, 0)
        stage.cpu(400)
        stage.observer.return_(made, 2, None)
    assert stage.armed == ["made"]
    assert stage.function(made, "calls") == 2
    assert stage.errors == []


def test_after_a_fork_only_the_childs_own_time_counts(stage: Stage) -> None:
    made = armed(stage, "made")
    stage.observer.start(made, 0)
    stage.cpu(300)
    mine = memoryview(bytearray(stage.counters.nbytes)).cast("Q")
    stage.observer.forked(mine)
    stage.counters = mine
    stage.used = 0  # the CPU clock of the child's thread begins anew
    stage.observer.forked(mine)
    stage.cpu(50)
    stage.observer.return_(made, 90, None)
    assert stage.function(made, "gil_ns") == 50
    assert stage.charged(made, "gil") == {("return", 90): 50}


def test_code_that_is_gone_is_forgotten(stage: Stage) -> None:
    made = code("made")
    stage.observer.start(made, 0)
    stage.observer.return_(made, 2, None)
    assert len(stage.observer._codes) == 1
    del made
    gc.collect()
    assert stage.observer._codes == {}


def test_the_names_of_the_counters_are_the_ledgers() -> None:
    function = COUNTERS["function"]
    assert function[charging.GIL] == "gil_ns"
    assert function[charging.WAIT] == "wait_ns"
    assert function[charging.EVENTS] == "events"
    assert COUNTERS["site"][1:4] == ("gil_ns", "nogil_ns", "wait_ns")


def test_work_before_an_anchor_does_not_move_what_waits_after_it(stage: Stage) -> None:
    step = armed(stage, "step")
    stage.observer.start(step, 0)
    stage.cpu(3_000)
    stage.observer.jump(step, 8, 4)
    stage.cpu(15)
    stage.observer.jump(step, 8, 4)  # the loop ends here, 15 µs not yet charged
    stage.cpu(3)
    stage.native(step, 10, cpu=0.1)  # now = clock()
    stage.cpu(4)
    stage.native(step, 30, idle=3_000)  # sleep(f - now)
    stage.observer.return_(step, 90, None)
    assert stage.charged(step, "wait") == {("jump", 8): 3_000}


@pytest.mark.parametrize(("before_us", "at"), [(40, ("entry", -1)), (400, ("call", 20))])
def test_a_little_cpu_time_on_the_way_to_a_wait_is_no_work_beside_it(
    stage: Stage, before_us: float, at: tuple[str, int]
) -> None:
    """A slow processor, or one that was disturbed, takes a while from the entry to the wait; a
    twentieth of the wait and more is work that the wait may be ready for."""
    wait = armed(stage, "wait")
    stage.observer.start(wait, 0)
    stage.cpu(before_us)
    stage.native(wait, 20, idle=5_000)
    stage.observer.return_(wait, 90, None)
    assert stage.charged(wait, "wait") == {at: pytest.approx(5_000)}
