"""What the user asked for: all options of an investigation, checked once, stored with the run.

`Settings` holds plain values in base units (seconds, nanoseconds, fractions). `read_settings` makes
them from what people write on a command line or as keywords (``budget="10m"``, ``min_gain="1%"``)
and turns each bad value into one sentence that names the option, the value and a good example. A
stored run is resumed with exactly the settings it began with, so nothing here depends on when it is
read: the working directory and the seed are fixed when the settings are made.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from bisector.errors import UsageError
from bisector.metric import MetricSpec
from bisector.quantities import parse_fraction, parse_time
from injector.patterns import PatternError, parse

T = TypeVar("T")

LONGEST_S = 366 * 86_400.0
LONGEST_DELAY_S = 10.0
EXTERNAL = "external"
"""The strategy for which somebody else decides."""


class Settings(BaseModel):
    """One investigation's options.

    Either ``script`` (run by ``python``, or this interpreter, with ``args``) or ``command`` is set.
    ``dose`` None lets the tool choose; ``delay_ns`` replaces it by a fixed delay per call.
    ``timeout_s`` None is ten times the first run. ``duration_s`` None is "to the end of the run".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: str | None = None
    args: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    budget_s: float = 600.0
    metric: str = "auto"
    lower_is_better: bool = False
    dose: float | None = None
    delay_ns: float | None = None
    min_gain: float = 0.01
    threshold: float = 0.05
    confidence: float = 0.95
    strategy: str = "bisect"
    decider: tuple[str, ...] = ()
    decider_timeout_s: float = 600.0
    mode: Literal["auto", "runs", "live"] = "auto"
    seed: int = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    native: bool = False
    lines: bool = False
    warmup_s: float = 0.0
    duration_s: float | None = None
    prepare: str | None = None
    timeout_s: float | None = None
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    python: str | None = None
    output: str | None = None

    @property
    def command_line(self) -> tuple[str, ...]:
        """The benchmark as the user would run it, without the interpreter in the script form."""
        return (self.script, *self.args) if self.script is not None else self.command


def read_settings(
    benchmark: str | os.PathLike[str] | None,
    rest: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from what was written.

    Args:
        benchmark: the script, or None in the command form.
        rest: the script's arguments, or the whole command where there is no script.
        options: names as on the command line with underscores (``min_gain``), values as written;
            None means not given.

    Raises:
        UsageError: one sentence about the first value that cannot be used.
    """
    given = {name: value for name, value in (options or {}).items() if value is not None}
    values: dict[str, Any] = _what_is_run(benchmark, rest)
    for name, value in given.items():
        if name not in _READERS:
            raise UsageError(f"there is no option {name!r}")
        field, read = _READERS[name]
        try:
            values[field] = read(value)
        except ValueError as error:
            raise UsageError(f"--{name.replace('_', '-')}: {error}") from None
    values.setdefault("seed", random.SystemRandom().randrange(2**31))
    cwd = os.path.abspath(values.get("cwd") or os.getcwd())
    if not os.path.isdir(cwd):
        raise UsageError(f"--cwd: {cwd!r} is not a directory; name one that exists")
    if values.get("cwd") and values.get("script"):
        # The script is named from where the user is, not from where it runs.
        values["script"] = os.path.abspath(values["script"])
    values["cwd"] = cwd
    if values.get("output"):
        values["output"] = os.path.abspath(values["output"])
    settings = Settings(**values)
    _check_together(settings)
    return settings


def field_of(option: str) -> str:
    """The field of `Settings` that an option sets."""
    return _READERS[option][0]


def _what_is_run(
    benchmark: str | os.PathLike[str] | None, rest: Sequence[str] | None
) -> dict[str, Any]:
    if benchmark is not None:
        script = os.fspath(benchmark)
        if not script:
            raise UsageError("the name of the benchmark is empty; name a Python script")
        return {"script": script, "args": tuple(rest or ())}
    if not rest:
        raise UsageError(
            "no benchmark given; write speedbump-bisect bench.py, or put a command after --, "
            "as in speedbump-bisect -- python -m package"
        )
    return {"command": tuple(rest)}


def _check_together(settings: Settings) -> None:
    if settings.python is not None and settings.script is None:
        raise UsageError(
            "--python goes with a script; in the command form the command names its interpreter"
        )
    if settings.dose is not None and settings.delay_ns is not None:
        raise UsageError("--dose and --delay exclude each other; give one of them")
    if settings.mode == "live" and not settings.metric.startswith(
        ("progress:", "latency:", "auto")
    ):
        raise UsageError(
            f"--mode live measures a progress point, not --metric {settings.metric}; "
            "give --metric progress:MODULE:QUALNAME, or leave it out"
        )
    if settings.metric.startswith("progress:") and settings.lower_is_better:
        raise UsageError("--lower-is-better does not go with progress:, which is a rate; drop it")
    windowed = settings.warmup_s or settings.duration_s is not None
    if settings.metric.startswith("latency:") and settings.mode == "runs" and windowed:
        raise UsageError(
            "--warmup and --duration do not go with latency: in whole runs, since what began "
            "before would be missed; drop them, or --mode runs"
        )
    if settings.metric.startswith("latency:") and settings.lower_is_better:
        raise UsageError("--lower-is-better goes without saying for latency:; drop it")
    if settings.decider and settings.strategy != EXTERNAL:
        raise UsageError("--decider decides for --strategy external; give that too, or drop it")
    for name, patterns in (("include", settings.include), ("exclude", settings.exclude)):
        for pattern in patterns:
            try:
                parse([pattern])
            except PatternError as error:
                reason = str(error).removeprefix("line 1: ")
                raise UsageError(f"--{name}: {reason}") from None


def _time(low: float, high: float, zero: bool = False) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        seconds = parse_time(_text(value, "a time such as '90s'"))
        if seconds < 0 or seconds > high or (seconds < low and not (zero and seconds == 0)):
            raise ValueError(
                f"{value!r} is out of range; give at least {low:g}s, at most {high:g}s"
            )
        return seconds

    return read


def _delay(value: Any) -> float:
    return _time(1e-9, LONGEST_DELAY_S)(value) * 1e9


def _fraction(low: float, high: float, example: str) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        fraction = value if isinstance(value, float) else parse_fraction(_text(value, example))
        if not low <= fraction <= high:
            raise ValueError(
                f"{value!r} is out of range; give {low:.3g} to {high:.3g}, for example {example}"
            )
        return fraction

    return read


def _dose(value: Any) -> float | None:
    return None if value == "auto" else _fraction(0.001, 10.0, "25%")(value)


def _seed(value: Any) -> int:
    try:
        seed = int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a whole number (write 7)") from None
    if not 0 <= seed < 2**63:
        raise ValueError(f"{value!r} is out of range; give a whole number from 0 on")
    return seed


def _mode(value: Any) -> str:
    if value not in ("auto", "runs", "live"):
        raise ValueError(f"{value!r} is not a mode; give auto, runs or live")
    return str(value)


def _metric(value: Any) -> str:
    return MetricSpec.parse(_text(value, "auto, time, regex:PATTERN")).text


def _env(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = [f"{k}={v}" for k, v in value.items()] if isinstance(value, Mapping) else value
    pairs = [pairs] if isinstance(pairs, str) else pairs
    read = []
    for pair in pairs:
        name, equals, content = pair.partition("=")
        if not name or not equals or "\0" in pair:
            raise ValueError(f"{pair!r} is not NAME=VALUE (write OMP_NUM_THREADS=1)")
        if name == "SPEEDBUMP_BISECT":
            raise ValueError(f"{name} is this tool's own; leave it alone")
        read.append((name, content))
    return tuple(read)


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(_text(v, "a pattern") for v in value)


def _text(value: Any, expected: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"{value!r} is not text; write {expected}")
    text = os.fspath(value)
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is empty or not text; write {expected}")
    return text


def _strategy(value: Any) -> str:
    from strategies.registry import BUILT_IN, names

    if value not in BUILT_IN and value not in names():
        raise ValueError(f"there is no strategy {value!r}; give one of {', '.join(names())}")
    return str(value)


def _command(value: Any) -> tuple[str, ...]:
    from bisector.deciding.process import read_command

    return read_command(value)


def _name(value: Any) -> str:
    return _text(value, "a name")


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "budget": ("budget_s", _time(1.0, LONGEST_S)),
    "metric": ("metric", _metric),
    "lower_is_better": ("lower_is_better", bool),
    "dose": ("dose", _dose),
    "delay": ("delay_ns", _delay),
    "min_gain": ("min_gain", _fraction(0.0001, 0.9, "1%")),
    "threshold": ("threshold", _fraction(0.001, 0.9, "5%")),
    "confidence": ("confidence", _fraction(0.5, 0.9999, "95%")),
    "strategy": ("strategy", _strategy),
    "decider": ("decider", _command),
    "decider_timeout": ("decider_timeout_s", _time(0.1, LONGEST_S)),
    "mode": ("mode", _mode),
    "seed": ("seed", _seed),
    "include": ("include", _texts),
    "exclude": ("exclude", _texts),
    "native": ("native", bool),
    "lines": ("lines", bool),
    "warmup": ("warmup_s", _time(0.0, LONGEST_S)),
    "duration": ("duration_s", _time(0.001, LONGEST_S)),
    "prepare": ("prepare", _name),
    "timeout": ("timeout_s", _time(0.001, LONGEST_S)),
    "env": ("env", _env),
    "cwd": ("cwd", _name),
    "python": ("python", _name),
    "output": ("output", _name),
}
"""Option -> (field, reader). A reader raises ValueError with the rest of the sentence."""
