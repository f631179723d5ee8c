"""What an agent may have run: the benchmarks that the user named when the server was started.

Invariant: nothing that an agent sends becomes a command, a path or an environment. It chooses a
benchmark by name, and options that change how it is investigated; how it is run, and where the
results are, are the user's. A run is taken up again only if it would still be allowed to begin.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bisector.deciding.matching import NoItems, check
from bisector.errors import UsageError
from bisector.quantities import format_time
from bisector.settings import Settings, field_of, read_settings
from bisector.workload import Workload

NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})=(.*)", re.DOTALL)

AGENTS_OPTIONS = (
    "budget",
    "threshold",
    "min_gain",
    "confidence",
    "include",
    "exclude",
    "dose",
    "mode",
    "seed",
    "strategy",
    "native",
    "lines",
)
"""The options that are left to the agent, each within what the user allows."""

USUAL_BUDGET_S = 600.0
MOST_ARGUMENTS, LONGEST_ARGUMENT = 50, 1000


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A command that the user allowed, under a name."""

    name: str
    script: str | None
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """As it was written."""
        return shlex.join((*([self.script] if self.script else []), *self.words))


@dataclass(frozen=True, slots=True)
class Allowed:
    """All that the user allowed. ``options`` are the user's own, for every run."""

    benchmarks: Mapping[str, Benchmark]
    most_budget_s: float
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: bool = False
    """Whether the agent may add arguments to a benchmark's."""

    def settings(
        self, name: str, given: Mapping[str, Any], arguments: Sequence[str], output: Path
    ) -> Settings:
        """The settings of a run.

        Raises:
            UsageError: it is not allowed, or an option cannot be used.
        """
        benchmark = self.benchmarks.get(name)
        if benchmark is None:
            known = ", ".join(self.benchmarks)
            raise UsageError(f"there is no benchmark {name[:64]!r} here; there are {known}")
        wanted = {k: v for k, v in given.items() if v is not None and v != []}
        if forbidden := sorted(wanted.keys() - set(AGENTS_OPTIONS)):
            raise UsageError(f"{forbidden[0]!r} is not for an agent to set")
        if arguments and not self.arguments:
            raise UsageError("arguments are not allowed here (--allow-arguments is the user's)")
        _check_arguments(arguments)
        for option in ("include", "exclude"):
            try:
                check(given.get(option) or ())
            except NoItems as error:
                raise UsageError(f"{option}: {error}") from None
        words = (*benchmark.words, *arguments)
        budget = format_time(min(USUAL_BUDGET_S, self.most_budget_s))
        usual = {"budget": budget, **self.options, "output": str(output)}
        users = read_settings(benchmark.script, words, usual)
        if not wanted:
            return users
        settings = read_settings(benchmark.script, words, {**usual, **wanted})
        if (why := self._objection(settings, users)) is not None:
            raise UsageError(why)
        return settings

    def _objection(self, settings: Settings, users: Settings) -> str | None:
        """Why an agent may not have set that, where ``users`` is what the user did."""
        if not settings.budget_s <= self.most_budget_s:  # so that what is no number is not either
            most = format_time(self.most_budget_s)
            return f"budget: {format_time(settings.budget_s)} is more than the user allows, {most}"
        stricter = "an agent may only be stricter; give at"
        if not settings.min_gain <= users.min_gain:
            return f"min_gain: {stricter} most {100 * users.min_gain:g}%"
        if not settings.confidence >= users.confidence:
            return f"confidence: {stricter} least {100 * users.confidence:g}%"
        return None

    def benchmark_of(self, settings: Settings) -> str | None:
        """The benchmark that a run with these settings is of; None where it could not have been
        begun here."""
        for name, benchmark in self.benchmarks.items():
            began = settings.args if benchmark.script is not None else settings.command
            arguments = began[len(benchmark.words) :]
            if arguments and not self.arguments:
                continue
            ours = self.settings(name, {}, arguments, Path(settings.output or "."))
            if self._objection(settings, ours) is None and all(
                getattr(ours, field) == getattr(settings, field) for field in _USERS_FIELDS
            ):
                return name
        return None


_USERS_FIELDS = set(Settings.model_fields).difference(["output"], map(field_of, AGENTS_OPTIONS))
"""Fields of settings that only the user sets; `decider` is one, and is never set here."""


def read_allowed(texts: Iterable[str], rest: Sequence[str] | None) -> dict[str, Benchmark]:
    """The benchmarks of ``--allow [NAME=]COMMAND`` and of what stands after ``--``.

    Raises:
        UsageError: there is none, one cannot be read, or two have the same name.
    """
    found: dict[str, Benchmark] = {}
    written: list[tuple[str | None, tuple[str, ...]]] = []
    for text in texts:
        named = NAMED.fullmatch(text)
        name, command = (named[1], named[2]) if named else (None, text)
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise UsageError(f"--allow: {text!r} cannot be read: {error}") from None
        if not words:
            raise UsageError(f"--allow: {text!r} names no benchmark; write --allow 'bench.py -n 8'")
        written.append((name, words))
    if rest:
        written.append((None, tuple(rest)))
    for name, words in written:
        is_script = words[0].endswith(".py")
        name = name or _name_of(words)
        if name in found:
            raise UsageError(
                f"--allow: two benchmarks are named {name!r}; name one of them, as in "
                f"--allow 'other={shlex.join(words)}'"
            )
        script = words[0] if is_script else None
        found[name] = Benchmark(name, script, words[1:] if is_script else words)
    if not found:
        raise UsageError(
            "nothing is allowed to be run; say what, as in speedbump-bisect mcp --allow 'bench.py'"
        )
    return found


def check_all(allowed: Allowed) -> None:
    """See that each benchmark can be started.

    Raises:
        UsageError: one cannot.
    """
    for name in allowed.benchmarks:
        Workload.of(allowed.settings(name, {}, (), allowed.folder))


def _name_of(words: Sequence[str]) -> str:
    """A script's or module's own name."""
    word = words[0]
    if "-m" in words[:-1]:
        word = words[words.index("-m") + 1]
    elif scripts := [w for w in words if w.endswith(".py")]:
        word = scripts[0]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(word).name.removesuffix(".py")).strip("-.")
    return name[:64] or "benchmark"


def _check_arguments(arguments: Sequence[str]) -> None:
    if len(arguments) > MOST_ARGUMENTS:
        raise UsageError(f"{len(arguments)} arguments are too many; at most {MOST_ARGUMENTS}")
    for argument in arguments:
        if len(argument) > LONGEST_ARGUMENT or "\0" in argument:
            raise UsageError(f"the argument {argument[:40]!r} cannot be used")
