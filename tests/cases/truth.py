"""What is true of each case program: the table that tests read and a person can check.

Each program states the reason in its docstring; the numbers in `gains` were measured by making the
named piece of work a quarter longer in the program's own text, with no tool involved, and are
shares of the time per unit; where a wait of known length and work make up a unit, what each is
depends on the processor, and is told from the time that a unit takes. A function in neither list
may or may not be reported: it is too near a threshold for its presence to be right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["sensitive", "insensitive"]
Gain = float | Callable[[float], float]
"""A share of the time per unit, or what makes it out of that time in seconds."""


@dataclass(frozen=True)
class Case:
    """One run of one program of this folder.

    ``must_be_sensitive`` have to be reported, ``must_not_be_sensitive`` must not, whatever the
    budget. ``waiting`` are those whose time is mostly waiting and must be called so.
    ``co_critical`` must come out as one group. ``slack_ms`` is the range of the slack per unit
    where there is one to report. ``gains`` are measured values and depend a little on the machine.
    ``not_on_311`` gives the reason where Python 3.11 has no way to place the delay; the tool must
    say so there.
    """

    program: str
    verdict: Verdict
    args: tuple[str, ...] = ()
    must_be_sensitive: frozenset[str] = frozenset()
    must_not_be_sensitive: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    co_critical: frozenset[str] = frozenset()
    slack_ms: tuple[float, float] | None = None
    gains: dict[str, Gain] = field(default_factory=dict)
    not_on_311: str | None = None
    options: tuple[str, ...] = ()
    """Of the command line."""
    since: tuple[int, int] = (3, 11)
    """The first Python that has these."""

    @property
    def name(self) -> str:
        """Program and arguments, as the id of a test."""
        return "-".join((self.program.removesuffix(".py"), *self.args))


def main_(*names: str) -> frozenset[str]:
    """Targets of the script itself."""
    return frozenset(f"__main__:{name}" for name in names)


def waited(wait_s: float) -> Gain:
    """The gain of a wait of this length."""
    return lambda unit_s: wait_s / unit_s


def left_by(wait_s: float, share: float = 1.0) -> Gain:
    """The gain of the work that such a wait leaves of a unit, or of a share of it."""
    return lambda unit_s: share * (1.0 - wait_s / unit_s)


CASES: tuple[Case, ...] = (
    Case(
        "device_bound.py",
        "insensitive",
        must_not_be_sensitive=main_("build_batch", "log_step", "synchronize", "launch"),
        slack_ms=(2.0, 6.3),
    ),
    Case(
        "hidden_hot_small_critical.py",
        "sensitive",
        must_be_sensitive=main_("postprocess"),
        must_not_be_sensitive=main_("prepare_inputs", "synchronize", "launch"),
        gains={"__main__:postprocess": left_by(0.0122)},
    ),
    Case(
        "inline_hidden.py",
        "insensitive",
        must_not_be_sensitive=main_("step", "synchronize", "launch"),
        slack_ms=(3.5, 9.0),
    ),
    Case(
        "inline_critical.py",
        "sensitive",
        must_be_sensitive=main_("sample"),
        must_not_be_sensitive=main_("wait", "launch", "main"),
        gains={"__main__:sample": left_by(0.0042)},
    ),
    Case(
        "wait_dominates.py",
        "sensitive",
        must_be_sensitive=main_("run_on_device"),
        must_not_be_sensitive=main_("count_step", "main"),
        waiting=main_("run_on_device"),
        gains={"__main__:run_on_device": 0.98},
    ),
    Case(
        "single_threaded.py",
        "sensitive",
        must_be_sensitive=main_("tokenize", "rank", "render"),
        must_not_be_sensitive=main_("handle", "analyse", "answer", "main"),
        gains={"__main__:tokenize": 0.55, "__main__:rank": 0.25, "__main__:render": 0.2},
    ),
    Case(
        "heavy_once_tiny_million.py",
        "sensitive",
        must_be_sensitive=main_("solve"),
        must_not_be_sensitive=main_("main"),
        gains={"__main__:solve": 0.9},
    ),
    Case(
        "waits_ready_later.py",
        "insensitive",
        must_not_be_sensitive=main_("filter_sample", "take", "feed", "wait_for_tick")
        | {"queue:Queue.get", "threading:Condition.wait"},
        slack_ms=(2.0, 5.8),
    ),
    Case(
        "remote_call.py",
        "sensitive",
        must_be_sensitive=main_("fetch_profile", "render_page"),
        must_not_be_sensitive=main_("handle", "main"),
        waiting=main_("fetch_profile"),
        gains={
            "__main__:fetch_profile": waited(0.0052),
            "__main__:render_page": left_by(0.0052),
        },
    ),
    Case(
        "long_loop.py",
        "sensitive",
        must_be_sensitive=main_("crunch"),
        must_not_be_sensitive=main_("main"),
        gains={"__main__:crunch": 1.0},
        not_on_311="a call lasts most of a second in a loop that calls nothing",
    ),
    Case(
        "script_body_loop.py",
        "sensitive",
        must_be_sensitive=main_("<module>"),
        gains={"__main__:<module>": 1.0},
        not_on_311=(
            "the body is entered once, before anything is measured, and 3.11 reports no back-edges"
        ),
    ),
    Case(
        "hidden_zlib_thread.py",
        "sensitive",
        must_be_sensitive=main_("transform", "store"),
        must_not_be_sensitive=main_("compress_block", "archive", "wait_for_turn"),
        waiting=main_("store"),
        gains={"__main__:transform": left_by(0.0042, 0.97), "__main__:store": waited(0.0042)},
    ),
    Case(
        "heartbeat_thread.py",
        "sensitive",
        must_be_sensitive=main_("transform", "store"),
        must_not_be_sensitive=main_("beat", "heartbeat"),
        waiting=main_("store"),
        gains={"__main__:transform": left_by(0.0042), "__main__:store": waited(0.0042)},
    ),
    Case(
        "two_stage_processes.py",
        "sensitive",
        args=("unequal",),
        must_be_sensitive=main_("parse"),
        must_not_be_sensitive=main_("index_item", "second_stage"),
        gains={"__main__:parse": 1.0},
    ),
    Case(
        "two_stage_processes.py",
        "sensitive",
        args=("equal",),
        must_be_sensitive=main_("parse", "index_item"),
        co_critical=main_("parse", "index_item"),
    ),
    Case(
        "two_stage_threads.py",
        "sensitive",
        args=("unequal",),
        must_be_sensitive=main_("pack"),
        must_not_be_sensitive=main_("verify", "second_stage"),
        gains={"__main__:pack": 1.0},
    ),
    Case(
        "two_stage_threads.py",
        "sensitive",
        args=("equal",),
        must_be_sensitive=main_("pack", "verify"),
        co_critical=main_("pack", "verify"),
    ),
    Case(
        "ping_pong.py",
        "sensitive",
        must_be_sensitive=main_("ping", "pong"),
        must_not_be_sensitive=main_("other_side", "main"),
        gains={"__main__:ping": 0.88, "__main__:pong": 0.11},
    ),
    Case(
        "pool_of_4.py",
        "sensitive",
        must_be_sensitive=main_("answer"),
        must_not_be_sensitive=main_("main"),
        gains={"__main__:answer": 0.98},
    ),
    Case(
        "native_parts.py",
        "sensitive",
        options=("--native",),
        must_be_sensitive=frozenset({"zlib:compress", "_hashlib:openssl_sha256"}) | main_("handle"),
        must_not_be_sensitive=frozenset({"zlib:crc32"}) | main_("main"),
    ),
    Case(
        "lines_of_one_function.py",
        "sensitive",
        options=("--lines",),
        since=(3, 12),
        must_be_sensitive=main_("step@17", "step@20", "step@21"),
        must_not_be_sensitive=main_("step@14", "step@15", "step@18", "step@22"),
        waiting=main_("step@21"),
        gains={"__main__:step@21": waited(0.0031)},
    ),
)
