"""Native callables: their names, exact counts of their calls, delays at them, their own time."""

from __future__ import annotations

import enum
import functools
import hashlib
import itertools
import operator
import queue
import re
import time
import zlib
from collections.abc import Callable

import pytest
from attached_runs import Run, version

from injector.natives import BY_OBJECT, BY_TYPE, NOT_AT_ALL, identify
from injector.plan import Dose, Plan, Site

Attached = Callable[..., Run]


class Inherits(list):  # type: ignore[type-arg]
    pass


class Initialised:
    def __init__(self) -> None: ...


class Calls:
    def __call__(self) -> None: ...


class Colour(enum.Enum):
    RED = 1


@functools.lru_cache
def cached() -> None: ...


NAMES = [
    (len, "builtins:len"),
    ([].append, "builtins:list.append"),
    (list.append, "builtins:list.append"),
    (Inherits().append, "builtins:list.append"),
    (zlib.compress, "zlib:compress"),
    (zlib.compressobj().compress, "zlib:Compress.compress"),
    (re.compile("a").match, "re:Pattern.match"),
    (time.sleep, "time:sleep"),
    (queue.SimpleQueue().get, "_queue:SimpleQueue.get"),
    (hashlib.sha256().update, "_hashlib:HASH.update"),
    (dict.fromkeys, "builtins:dict.fromkeys"),
    (int, "builtins:int"),
    (itertools.chain, "itertools:chain"),
    (itertools.chain.from_iterable, "itertools:chain.from_iterable"),
    (functools.partial(len), "functools:partial"),
    (operator.itemgetter(1), "operator:itemgetter"),
    (cached, "functools:_lru_cache_wrapper"),
    ([].__len__, "builtins:list.__len__"),
    (Inherits, f"{__name__}:Inherits"),
    (Initialised, None),
    (Colour, None),
    (Calls(), None),
]


@pytest.mark.parametrize(
    ("called", "name"), NAMES, ids=[str(name or number) for number, (_, name) in enumerate(NAMES)]
)
def test_what_they_are_called(called: object, name: str | None) -> None:
    assert identify(called)[0] == name


def test_an_answer_holds_as_long_as_what_it_is_about_can_be_told_apart() -> None:
    assert identify(len)[1] == BY_OBJECT
    assert identify(functools.partial(len))[1] == BY_TYPE
    assert identify(type("Local", (), {}))[1:] == (NOT_AT_ALL, None)
    assert identify(functools.lru_cache(len))[1:] == (NOT_AT_ALL, None)
    assert identify(cached)[1:] == (BY_OBJECT, cached)


def test_nothing_of_the_programs_runs_to_find_a_name() -> None:
    class Loud(functools.partial):  # type: ignore[type-arg]
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

        @property
        def __name__(self) -> str:
            raise AssertionError

    assert identify(Loud(len))[0] == f"{__name__}:{Loud.__qualname__}"


CALLED = """
    import zlib, math, sys
    def pack(n):
        for _ in range(n):
            zlib.compress(b"x")
    def through(function, *arguments):
        return function(*arguments)
    def python(data):
        return data
    pack(10)
    for function in (zlib.compress, python, math.sqrt, zlib.compress):
        try:
            through(function, b"y")
        except TypeError:
            pass
    compressor = zlib.compressobj()
    compressor.compress(b"a")
    bound = compressor.compress
    bound(b"b")
    sorted([3, 1, 2], key=abs)
    items = bytearray()
    for n in range(250):
        items.append(n)
    keyed = dict(a=1)
    far = math.hypot(*[3.0, 4.0])
"""

COUNTS = {
    "zlib:compress": 12,
    "math:sqrt": 1,
    "zlib:compressobj": 1,
    "zlib:Compress.compress": 2,
    "builtins:sorted": 1,
    "builtins:bytearray.append": 250,
    "math:hypot": 1,
}
WITH_TYPES = {"builtins:dict": 1, "builtins:range": 2}
"""Calls of which the interpreter tells from 3.12 on."""


@pytest.mark.process
def test_by_hand_their_calls_are_counted_exactly(attached: Attached, compiled: bool) -> None:
    rules = ("zlib:*", "math:*", "builtins:*")
    run = attached(CALLED, Plan(rules=rules, native=True, delay_ns=1.0, compiled=compiled))
    assert (run.returncode, run.stderr, run.main.errors) == (0, "", [])
    counted = {e.fields["target"]: e["calls"] for e in run.main.of("target")}
    expected = COUNTS | (WITH_TYPES if version() >= (3, 12) else {})
    assert {target: counted.get(target) for target in expected} == expected
    assert all(entry.fields["native"] for entry in run.main.of("target"))
    assert not any(target.startswith("__main__") for target in counted)


@pytest.mark.process
def test_a_function_and_what_it_calls_are_two_targets(attached: Attached, compiled: bool) -> None:
    rules = ("__main__:pack", "zlib:compress")
    run = attached(CALLED, Plan(rules=rules, native=True, delay_ns=1e5, compiled=compiled))
    pack, compress = run.one("target", "__main__:pack"), run.one("target", "zlib:compress")
    assert (pack["calls"], pack["delays"]) == (1, 1)
    assert compress["calls"] == 12
    assert 0.95 * 12 * 1e5 <= compress["delayed_ns"] <= 12 * 1e5 + 10e6  # a busy machine overshoots


@pytest.mark.process
def test_without_being_asked_for_they_are_no_targets(attached: Attached, compiled: bool) -> None:
    run = attached(CALLED, Plan(rules=("zlib:*", "*:*"), delay_ns=1.0, compiled=compiled))
    assert not any(e.fields["target"].startswith("zlib") for e in run.main.of("target"))


PLACED = """
    import zlib, math
    def work(function, data):
        function(data)
        function(data)
    for n in range(40):
        work(zlib.crc32, b"x")
        work(len, b"x")
    def work2():
        zlib.crc32(b"y")
    work2()
"""


@pytest.mark.process
def test_at_a_place_only_calls_of_the_one_that_is_meant_are_delayed(
    attached: Attached, compiled: bool
) -> None:
    """Discovery names the places; a plan for them delays nothing else there, nor elsewhere."""
    found = attached(PLACED, Plan(mode="discover", native=True, compiled=compiled))
    slots = {e.slot: e.fields["target"] for e in found.main.of("native")}
    sites = [e for e in found.main.of("site") if slots.get(e.fields.get("native")) == "zlib:crc32"]
    assert sorted(e["visits"] for e in sites) == [1, 40, 40]
    assert {slots[e.slot]: e["calls"] for e in found.main.of("native")}["zlib:crc32"] == 81
    owner = next(e for e in found.main.of("function") if e.fields["target"] == "__main__:work")
    offsets = sorted(e.fields["offset"] for e in sites if e.fields["function"] == owner.slot)
    assert len(offsets) == 2
    own = Site("call", offsets[1], "gil", 0.0)
    doses = (
        Dose("__main__:work", 3, (Site("call", offsets[0], "gil", 5e4),), part="zlib:crc32"),
        Dose("__main__:work", 3, (Site("entry", -1, "gil", 0.0), own)),
    )
    run = attached(PLACED, Plan(doses=doses, compiled=compiled))
    crc32 = run.one("target", "zlib:crc32")
    assert crc32["calls"] == 40
    assert 0.95 * 40 * 5e4 <= crc32["delayed_ns"] <= 40 * 5e4 + 10e6  # a busy machine overshoots
    work = run.one("target", "__main__:work")
    assert (work["calls"], work["delays"]) == (80, 0)


OWN_TIME = """
    import time, zlib
    BLOCK = bytes(range(256)) * 400
    def busy(ms):
        end = time.thread_time() + ms / 1e3
        while time.thread_time() < end:
            pass
    taken = 0
    def step():
        global taken
        busy(1)
        begin = time.thread_time_ns()
        zlib.compress(BLOCK, 9)
        taken += time.thread_time_ns() - begin
        time.sleep(0.002)
    for _ in range(40):
        step()
    print(taken)
"""


@pytest.mark.process
def test_their_cpu_time_is_theirs_and_their_waiting_their_caller_s(
    attached: Attached, compiled: bool
) -> None:
    run = attached(OWN_TIME, Plan(mode="discover", native=True, compiled=compiled))
    assert run.main.errors == []
    sleep, compress = run.one("native", "time:sleep"), run.one("native", "zlib:compress")
    assert (sleep["calls"], compress["calls"]) == (40, 40)
    cpu_ns = compress["gil_ns"] + compress["nogil_ns"]
    # By the thread's own CPU clock. The twin takes what interrupts its events for work of others.
    assert cpu_ns == pytest.approx(float(run.stdout), rel=0.1 if compiled else 0.5)
    step = run.one("function", "__main__:step")
    assert step["gil_ns"] + step["nogil_ns"] < 0.1 * cpu_ns
    # Waiting is the caller's.
    assert sleep["wait_ns"] == 0
    assert step["wait_ns"] >= 0.9 * 40 * 2e6
    assert sleep["gil_ns"] + sleep["nogil_ns"] < 0.2 * step["wait_ns"]
    sites = [e for e in run.main.of("site") if e.fields.get("native") == compress.slot]
    assert sum(e["visits"] for e in sites) == 40
    charged = sum(e["gil_ns"] + e["nogil_ns"] for e in sites)
    assert charged == pytest.approx(cpu_ns, rel=0.01)


@pytest.mark.process
def test_what_they_call_back_is_not_their_own(attached: Attached, compiled: bool) -> None:
    source = """
        import time
        def key(n):
            end = time.thread_time() + 0.001
            while time.thread_time() < end:
                pass
            return -n
        def step():
            sorted(range(10), key=key)
        for _ in range(5):
            step()
    """
    run = attached(source, Plan(mode="discover", native=True, compiled=compiled))
    ordered, key = run.one("native", "builtins:sorted"), run.one("function", "__main__:key")
    clock = run.one("native", "time:thread_time")
    assert (ordered["calls"], key["calls"], ordered["callee_calls"]) == (5, 50, 50)
    assert ordered["gil_ns"] < 0.2 * (key["gil_ns"] + clock["gil_ns"])
