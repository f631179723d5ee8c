"""The display while it runs: in place on a terminal, plain lines elsewhere, never in the way."""

from __future__ import annotations

import io
import math

import hostile
import pytest
from rich.console import Console

from bisector.answer import Interval
from bisector.events import (
    EstimateUpdated,
    NodeJudged,
    PhaseBegan,
    RunBegan,
    RunEnded,
    Warned,
)
from bisector.observations import RunObserved, RunRequest
from bisector.reporting.live import HEARTBEAT_S, REDRAWS_PER_S, LiveDisplay
from bisector.reporting.progress import SHOWN, Progress
from bisector.wording import visible


class Budget:
    budget_s = 120.0


class Clock:
    """Seconds, moved by hand."""

    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def request(seq=1, label="pkg.sampler:*"):
    return RunRequest(seq=seq, purpose="search", block=1, label=label)


def ended(seq, elapsed_s):
    return RunEnded(request(seq), RunObserved(seq, "ok", elapsed_s, 1.0))


def judged(target="pkg.sampler:*"):
    return NodeJudged(target, 3, "sensitive", Interval(0.31, 0.28, 0.34))


def piped(clock=None):
    stream = io.StringIO()
    return stream, LiveDisplay(Console(file=stream, width=80), Budget(), clock or Clock())


def test_in_a_pipe_there_is_a_line_for_each_phase_verdict_and_warning_and_none_for_runs():
    stream, display = piped()
    with display:
        display.handle(PhaseBegan("search", "14 functions"))
        for seq in range(1, 20):
            display.handle(RunBegan(request(seq)))
            display.handle(ended(seq, seq * 0.1))
            display.handle(EstimateUpdated("pkg.sampler:*", 3, Interval(0.3, 0.2, 0.4), seq))
        display.handle(judged())
        display.handle(Warned("the machine is busy"))
    assert stream.getvalue().splitlines() == [
        "search: 14 functions",
        "sensitive    pkg.sampler:* (3 functions)  gain 31% [28% … 34%]",
        "warning: the machine is busy",
    ]


def test_in_a_pipe_a_sign_of_life_comes_at_most_every_ten_seconds():
    clock = Clock()
    stream, display = piped(clock)
    display.handle(PhaseBegan("certificate", "fresh runs"))
    for seq in range(1, 61):
        clock.now_s += 1.0
        display.handle(ended(seq, float(seq)))
    beats = stream.getvalue().splitlines()[1:]
    assert len(beats) == 60 / HEARTBEAT_S
    assert beats[0] == "certificate · 10 runs · 10 s of 2 min, 1 min 50 s left"


def test_no_redraws_faster_than_four_a_second():
    assert REDRAWS_PER_S <= 4


def test_on_a_terminal_the_picture_is_drawn_and_taken_away_again():
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    with LiveDisplay(console, Budget(), Clock()) as display:
        display.handle(PhaseBegan("search", "14 functions"))
        display.handle(judged())
        display.handle(Warned("loud [red]neighbour[/red]\x1b[2J"))
        display.draw()
        drawn = stream.getvalue()
    assert "search: 14 functions" in drawn
    assert "sensitive    pkg.sampler:* (3 functions)" in drawn
    assert "warning: loud [red]neighbour[/red]\\x1b[2J" in drawn
    assert stream.getvalue().endswith("\r\x1b[1A\x1b[J"), "the last thing done is to erase both"


@pytest.mark.parametrize("name", hostile.NAMES)
def test_names_are_shown_and_nothing_in_them_is_interpreted(name):
    events = (
        PhaseBegan("search", name),
        judged(name),
        RunBegan(request(label=name)),
        Warned(name),
    )
    stream, display = piped()
    progress = Progress(120.0)
    with display:
        for event in events:
            display.handle(event)
            progress.take(event, 0.0)
    said = stream.getvalue()
    assert all(line.isprintable() for line in said.splitlines())
    assert said.count(visible(name)) == 3, "the phase, the verdict and the warning"
    assert all(line.isprintable() for line in progress.lines(0.0, 100))


def test_after_three_windows_an_interval_may_be_none():
    progress = Progress(None)
    progress.take(EstimateUpdated("a:*", 1, Interval(-0.1, -8e15, 8e15), 3), 0.0)
    assert progress.lines(0.0, 80)[-1] == "▸ a:*  gain not known yet after 3 runs"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    with LiveDisplay(Console(file=stream, width=80, force_terminal=True), Budget()) as display:
        display.handle(PhaseBegan("root", "slowing all 9 functions"))
    assert stream.getvalue() == "root: slowing all 9 functions\n"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_picture_fits_and_shows_phase_tree_estimate_runs_and_time_left(width):
    progress = Progress(120.0)
    progress.take(PhaseBegan("search", "412 functions"), 0.0)
    for i in range(SHOWN + 3):
        target = f"company.platform.inference.module_{i}:Scheduler.dispatch_everything"
        progress.take(judged(target), 1.0)
    progress.take(ended(57, 30.0), 31.0)
    progress.take(
        EstimateUpdated("company.platform.sampler:*", 12, Interval(0.3, 0.1, 0.5), 4), 32.0
    )
    lines = progress.lines(now_s=41.0, width=width)
    assert max(map(len, lines)) <= width
    assert len(lines) == SHOWN + 3
    if width >= 80:
        assert lines[0].endswith("57 runs · 40 s of 2 min, 1 min 20 s left")
        assert lines[1].strip() == "3 earlier verdicts"
        assert "gain 31% [28% … 34%]" in lines[2]
        assert lines[-1].endswith("gain 30% [10% … 50%] after 4 runs")


def test_between_estimates_the_run_in_flight_is_named():
    progress = Progress(None)
    progress.take(PhaseBegan("sweep"), 0.0)
    progress.take(RunBegan(request(label="pkg\x1b.sampler:*")), 0.0)
    assert progress.lines(1.0, 80)[-1] == "▸ pkg\\x1b.sampler:*"


def test_a_resumed_investigation_counts_what_it_has_behind_it():
    progress = Progress(120.0)
    progress.take(PhaseBegan("search"), 500.0)
    progress.take(ended(41, 80.0), 505.0)
    assert progress.clock(506.0) == "41 runs · 1 min 21 s of 2 min, 39 s left"


def test_after_the_budget_the_last_run_is_announced():
    progress = Progress(120.0)
    progress.take(ended(9, 125.0), 0.0)
    assert progress.clock(0.0).endswith("the last run")


def test_an_estimate_without_bounds_is_shown_as_such():
    progress = Progress(None)
    progress.take(EstimateUpdated("a:*", 1, Interval(0.1, -math.inf, math.inf), 1), 0.0)
    progress.take(EstimateUpdated("a:*", 1, Interval(math.nan, math.nan, math.nan), 1), 0.0)
    assert progress.lines(0.0, 80)[-1] == "▸ a:*  gain — after 1 run"


def test_a_closed_stream_costs_nothing():
    stream, display = piped()
    stream.close()
    with display:
        display.handle(PhaseBegan("search"))
