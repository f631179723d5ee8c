"""Discovery of real programs: calls counted exactly, own time by state and by site."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attached_runs import Run, version

from injector.plan import Plan

pytestmark = pytest.mark.process

Attached = Callable[..., Run]

COUNTED = """
    import json
    class Tool:
        @staticmethod
        def use(n):
            return n
        def numbers(self):
            yield 1
            yield 2
    def run():
        tool = Tool()
        for n in range(50):
            tool.use(n)
            sum(tool.numbers())
        try:
            fail(3)
        except ValueError:
            pass
    def fail(depth):
        if depth:
            fail(depth - 1)
        raise ValueError
    for _ in range(3):
        run()
"""


def test_calls_are_counted_exactly(attached: Attached, compiled: bool) -> None:
    run = attached(COUNTED, Plan(mode="discover", compiled=compiled))
    calls = {
        e.fields["target"].removeprefix("__main__:"): e["calls"]
        for e in run.main.of("function")
        if e.fields["target"].startswith("__main__:")
    }
    assert calls == {
        "<module>": 1,
        "Tool": 1,
        "run": 3,
        "Tool.use": 150,
        "Tool.numbers": 150,
        "fail": 12,
    }
    assert run.one("function", "__main__:Tool.numbers").fields["generator"]
    assert not run.one("function", "__main__:run").fields["generator"]
    assert run.main.errors == []


def test_calls_between_functions_too(attached: Attached, compiled: bool) -> None:
    run = attached(COUNTED, Plan(mode="discover", compiled=compiled))
    names = {e.slot: e.fields["target"] for e in run.main.of("function")}
    edges = {
        (names[e.fields["caller"]], names[e.fields["callee"]]): e["calls"]
        for e in run.main.of("edge")
    }
    assert edges["__main__:<module>", "__main__:run"] == 3
    assert edges["__main__:run", "__main__:Tool.use"] == 150
    assert edges["__main__:run", "__main__:fail"] == 3
    assert edges["__main__:fail", "__main__:fail"] == 9


def test_imports_are_known_with_their_first_importer(attached: Attached, compiled: bool) -> None:
    run = attached("import wave\nimport argparse", Plan(mode="discover", compiled=compiled))
    imports = {e.fields["module"]: e.fields["importer"] for e in run.main.of("import")}
    assert imports["wave"] == "__main__"
    assert imports["__main__"] is None
    assert imports.get("gettext", "argparse") == "argparse"


def test_a_progress_point_is_counted_in_either_mode(attached: Attached, compiled: bool) -> None:
    for mode in ("discover", "delay"):
        plan = Plan(mode=mode, progress="__main__:run", compiled=compiled)  # type: ignore[arg-type]
        run = attached(COUNTED, plan)
        (point,) = run.main.of("progress")
        assert point["calls"] == 3
        assert point["last_ns"] > point["first_ns"] > run.main.attached_ns


SPENT = """
    import time, zlib
    DATA = bytes(range(256)) * 2000
    def spin(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
    def work(n):
        x = 0
        for i in range(n):
            x += i * i
    took = 0.0
    def launch():
        global ready
        ready = time.perf_counter() + 0.01 + 2 * took
    def alone():
        now = time.perf_counter()
        if ready > now:
            time.sleep(ready - now)
    def hidden():
        global took
        launch()
        began = time.perf_counter()
        x = 0
        for i in range(2000):
            x += i
        now = time.perf_counter()
        took = now - began
        if ready > now:
            time.sleep(ready - now)
    def critical():
        time.sleep(0.004)
        x = 0
        for i in range(9000):
            x += i
        return x
    for _ in range(25):
        launch()
        spin(0.001)
        alone()
        hidden()
        critical()
"""


def test_waits_and_cpu_time_are_where_the_design_wants_them(
    attached: Attached, compiled: bool
) -> None:
    run = attached(SPENT, Plan(mode="discover", compiled=compiled))
    assert run.main.errors == []
    loops = version() >= (3, 12)

    alone = run.charged("__main__:alone", "wait_ns")
    assert alone["entry", -1] > 0.9

    hidden = run.charged("__main__:hidden", "wait_ns")
    # While the loop's back-edge is watched, what comes after its last visit is anchored there.
    between = ("jump", "call") if loops else ("call",)
    assert sum(share for (at, _), share in hidden.items() if at in between) > 0.9

    critical = run.charged("__main__:critical", "wait_ns")
    assert critical["entry", -1] > 0.9
    cpu = run.charged("__main__:critical", "gil_ns")
    at = next(iter(cpu))[0]
    assert at in (("jump", "return") if loops else ("return",))

    for name in ("alone", "critical"):
        entry = run.one("function", f"__main__:{name}")
        assert entry["wait_ns"] > 25 * 2_000_000
    assert run.one("function", "__main__:critical")["gil_ns"] > 25 * 100_000


def test_without_sites_only_totals_are_discovered(attached: Attached, compiled: bool) -> None:
    run = attached(SPENT, Plan(mode="discover", sites=False, compiled=compiled))
    assert run.main.errors == []
    assert run.main.of("site") == []
    for name in ("alone", "hidden", "critical"):
        assert run.one("function", f"__main__:{name}")["calls"] == 25
    critical = run.one("function", "__main__:critical")
    assert critical["wait_ns"] > 25 * 2_000_000
    assert critical["gil_ns"] > 25 * 100_000


ONE_CALL = """
    import time
    def often():
        return sum(range(3000))
    def steps():
        for _ in range(20):
            often()
            time.sleep(0.002)
    steps()
"""


def test_native_calls_are_seen_in_a_frame_that_began_before_they_were_wanted(
    attached: Attached, compiled: bool
) -> None:
    run = attached(ONE_CALL, Plan(mode="discover", compiled=compiled))
    assert run.main.errors == []
    waits = run.charged("__main__:steps", "wait_ns")
    assert sum(share for (at, _), share in waits.items() if at == "call") > 0.8
    assert run.one("function", "__main__:steps")["wait_ns"] > 20 * 1_500_000


THREADS = """
    import threading, time, zlib
    DATA = bytes(range(256)) * 4000
    stop = False
    def squeeze():
        while not stop:
            zlib.compress(DATA, 9)
    def beat():
        while not stop:
            time.sleep(0.01)
    def hold(n):
        return sorted(range(n, 0, -1))
    threads = [threading.Thread(target=f) for f in (squeeze, beat)]
    for t in threads: t.start()
    end = time.perf_counter() + 0.8
    while time.perf_counter() < end:
        hold(50_000)
        time.sleep(0.003)
    stop = True
    for t in threads: t.join()
"""


def test_native_code_that_drops_the_gil_is_found(attached: Attached, compiled: bool) -> None:
    # Both threads must be on a core at once for it to be seen: a busy machine may need more tries.
    for _ in range(8):
        run = attached(THREADS, Plan(mode="discover", compiled=compiled))
        assert run.main.errors == []
        squeeze = run.one("function", "__main__:squeeze")
        if squeeze["nogil_ns"] > 3 * squeeze["gil_ns"]:
            break
    assert squeeze["nogil_ns"] > 3 * squeeze["gil_ns"]
    sites = run.charged("__main__:squeeze", "nogil_ns")
    assert next(iter(sites))[0] == "call"
    hold = run.one("function", "__main__:hold")
    assert hold["nogil_ns"] == 0
    beat = run.one("function", "__main__:beat")
    assert beat["wait_ns"] > 20 * (beat["gil_ns"] + beat["nogil_ns"])
    threads = {e.fields["entry"]: e for e in run.main.of("thread")}
    assert len(threads) >= 2


def test_a_loop_in_the_scripts_body_is_seen_while_it_runs(
    attached: Attached, compiled: bool
) -> None:
    if version() < (3, 12):
        pytest.skip("no back-edges on 3.11")
    source = """
        x = 0
        for i in range(400_000):
            x += i
        import os
        os._exit(0)
    """
    run = attached(source, Plan(mode="discover", compiled=compiled))
    charged = run.charged("__main__:<module>", "gil_ns")
    assert next(iter(charged))[0] == "jump"
    assert run.one("function", "__main__:<module>")["gil_ns"] > 1_000_000


def test_a_function_that_never_calls_is_armed_in_the_middle_of_its_loop(
    attached: Attached, compiled: bool
) -> None:
    if version() < (3, 12):
        pytest.skip("no back-edges on 3.11")
    source = """
        import os
        def loop():
            x = 0
            for i in range(3_000_000):
                x += i
            os._exit(0)
        loop()
    """
    run = attached(source, Plan(mode="discover", compiled=compiled))
    charged = run.charged("__main__:loop", "gil_ns")
    assert next(iter(charged))[0] == "jump"


def test_stacks_keep_their_level_through_coroutines_and_exceptions(
    attached: Attached, compiled: bool
) -> None:
    source = """
        import asyncio, contextlib
        async def ping(n):
            for _ in range(n):
                await asyncio.sleep(0)
            return n
        async def agen():
            for i in range(5):
                yield i
                await asyncio.sleep(0)
        @contextlib.contextmanager
        def guard():
            try:
                yield
            except KeyError:
                pass
        def delegating():
            yield from inner()
        def inner():
            try:
                yield 1
                yield 2
            finally:
                pass
        async def main():
            await asyncio.gather(*(ping(3) for _ in range(20)))
            async for _ in agen():
                break
            with guard():
                raise KeyError
            g = delegating()
            next(g)
            with contextlib.suppress(RuntimeError):
                g.throw(RuntimeError)
            g = delegating()
            next(g)
            g.close()
            task = asyncio.create_task(asyncio.sleep(10))
            await asyncio.sleep(0)
            task.cancel()
        for _ in range(20):
            asyncio.run(main())
        def probe():
            pass
        probe()
    """
    run = attached(source, Plan(mode="discover", compiled=compiled))
    assert run.main.errors == []
    assert run.one("function", "__main__:ping")["calls"] == 400
    assert run.one("function", "__main__:main")["calls"] == 20
    # If the stack had lost its level, `probe` would not be called by the script's body.
    names = {e.slot: e.fields["target"] for e in run.main.of("function")}
    callers = [
        names[e.fields["caller"]]
        for e in run.main.of("edge")
        if names[e.fields["callee"]] == "__main__:probe"
    ]
    assert callers == ["__main__:<module>"]


def test_discovered_sites_can_be_delayed(attached: Attached, compiled: bool) -> None:
    """The loop closed: a quarter of each site's time, put back at that site."""
    from injector.plan import Dose, Site

    found = attached(SPENT, Plan(mode="discover", compiled=compiled))
    function = found.one("function", "__main__:critical")
    sites = []
    for (at, offset), entry in found.sites("__main__:critical").items():
        for state in ("gil", "wait"):
            if entry["visits"] and entry[f"{state}_ns"] and not entry["given_up"]:
                each = 0.25 * entry[f"{state}_ns"] / entry["visits"]
                sites.append(Site(at, offset, state, each))  # type: ignore[arg-type]
    best = {}
    for site in sites:  # one delay a site: the larger
        key = (site.at, site.offset)
        if key not in best or site.delay_ns > best[key].delay_ns:
            best[key] = site
    dose = Dose("__main__:critical", function.fields["line"], tuple(best.values()))
    # A wait that is woken late was longer than asked: of a few runs the least disturbed.
    runs = [attached(SPENT, Plan(doses=(dose,), compiled=compiled)) for _ in range(3)]
    run = min(runs, key=lambda run: run.one("target", "__main__:critical")["delayed_ns"])
    entry = run.one("target", "__main__:critical")
    asked = sum(
        site.delay_ns * found.sites("__main__:critical")[site.at, site.offset]["visits"]
        for site in best.values()
    )
    assert entry["calls"] == function["calls"] == 25
    assert entry["delayed_ns"] == pytest.approx(asked, rel=0.15)
    assert run.main.of("unplaced") == []
