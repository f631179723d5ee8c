"""The benchmark as a command: what is started, where, and what is known to be wrong beforehand.

Invariant: arms of an experiment differ only in the content of the plan file. The command line and
the size of the environment are the same in every run, because both move the stack and with it the
speed of a program; so the slot directory keeps its name, and the hash seed of a block always has
ten digits.

Everything that can be known before the first run (no such file, a directory, a syntax error in the
target's own Python, an interpreter that does not start) is a `UsageError` here, not a failed run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import injector.plan
from bisector.errors import UsageError
from bisector.settings import Settings

INJECTOR = Path(injector.plan.__file__).parent
"""Found through a module of ours: another distribution may own the name ``injector`` itself."""
BOOTSTRAP = INJECTOR / "bootstrap"
SLOT_VARIABLE = "SPEEDBUMP_BISECT"
PYTHON_NAME = re.compile(r"(?:python|pypy)[\d.]*(?:t|d)?(?:\.exe)?")
OLDEST_PYTHON = (3, 11)
PROBE_TIMEOUT_S = 30.0

_PROBE = """
import json, sys
report = {"version": list(sys.version_info[:3])}
if len(sys.argv) > 1:
    try:
        with open(sys.argv[1], "rb") as file:
            compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
    except SyntaxError as error:
        report["syntax"] = [error.msg, error.lineno, type(error).__name__]
    except ValueError as error:
        report["syntax"] = [str(error), None, "ValueError"]
print(json.dumps(report))
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A benchmark that can be started. ``python`` is the interpreter it is known or guessed to use.

    ``environment`` lacks only what a run adds: the slot, the path of the injector, the hash seed.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: dict[str, str]
    python: str
    python_is_certain: bool
    prepare: str | None
    fingerprint: str
    source_hash: str

    @classmethod
    def of(cls, settings: Settings) -> Workload:
        """The workload that the settings name.

        Raises:
            UsageError: it cannot be started, for a reason that is known without starting it.
        """
        environment = {**os.environ, **dict(settings.env)}
        environment.pop(SLOT_VARIABLE, None)
        if settings.script is not None:
            python = _interpreter(settings.python, settings.cwd, environment)
            path = _script_path(settings.script, settings.cwd)
            _probe(python, path, settings)
            argv = (python, settings.script, *settings.args)
            certain = True
            source: Path | None = path
        else:
            argv = settings.command
            program = _program(argv[0], settings, environment)
            certain = PYTHON_NAME.fullmatch(os.path.basename(program)) is not None
            python = program if certain else sys.executable
            if certain:
                _probe(python, None, settings)
            source = _named_script(settings)
        return cls(
            argv=argv,
            cwd=settings.cwd,
            environment=environment,
            python=python,
            python_is_certain=certain,
            prepare=settings.prepare,
            fingerprint=_hash("\0".join(settings.command_line).encode("utf-8", "surrogateescape")),
            source_hash=_hash(source.read_bytes()) if source is not None else "",
        )

    def environment_for(self, slot: Path, seed: int, block: int) -> dict[str, str]:
        """The environment of one run; its size does not depend on ``block``.

        Args:
            slot: the directory with the plan of the run.
            seed: of the investigation.
            block: runs of one block get the same hash seed, unless the user fixed one.
        """
        environment = dict(self.environment)
        paths = [str(BOOTSTRAP), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        environment[SLOT_VARIABLE] = str(slot)
        environment.setdefault("PYTHONHASHSEED", hash_seed(seed, block))
        return environment

    def why_nothing_attached(self) -> str:
        """The likely reason that no process of a run left a record, in one sentence."""
        for word in self.argv[1:]:
            if not word.startswith("-") or word in ("-m", "-c"):
                break
            if re.fullmatch(r"-[bBdhiIOPqsSuvxE]*[IES][bBdhiIOPqsSuvxE]*", word):
                culprit = next(letter for letter in word if letter in "IES")
                what = "site" if culprit == "S" else "PYTHONPATH"
                return (
                    f"nothing attached: python -{culprit} ignores {what}, through which the "
                    f"injector is loaded; run the benchmark without {word}"
                )
        if any("PYTHONPATH" in word or os.path.basename(word) == "env" for word in self.argv):
            reason = "the command changes the environment; it must hand PYTHONPATH on"
        elif self.python_is_certain:
            reason = (
                "the interpreter did not load the injector from PYTHONPATH; check for -I, -E or -S "
                "and for code that clears the environment"
            )
        else:
            reason = (
                f"{self.argv[0]} seems to start no Python 3.11 or newer that inherits its "
                "environment (pyperf needs --inherit-environ PYTHONPATH,SPEEDBUMP_BISECT)"
            )
        return f"nothing attached: {reason}"


def hash_seed(seed: int, block: int) -> str:
    """PYTHONHASHSEED of a block: ten digits, a pure function of its arguments."""
    digest = hashlib.sha256(f"{seed} {block}".encode()).digest()
    return str(1_000_000_000 + int.from_bytes(digest[:4], "big") % 3_294_967_295)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _script_path(script: str, cwd: str) -> Path:
    path = Path(cwd, script)
    if path.is_dir():
        raise UsageError(
            f"{script} is a directory; name the script in it, or write -- python -m {path.name}"
        )
    if not path.exists():
        raise UsageError(f"{script}: there is no such file in {cwd}; name a Python script")
    if not path.is_file():
        raise UsageError(f"{script} is not a file; name a Python script")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise UsageError(f"{script} cannot be read: {error.strerror}") from None
    if b"\0" in head:
        raise UsageError(f"{script} is not Python (it is a binary file); name a Python script")
    return path


def _named_script(settings: Settings) -> Path | None:
    """The first argument of a command that is a Python file, to notice that it changed later."""
    for word in settings.command:
        path = Path(settings.cwd, word)
        if word.endswith(".py") and path.is_file():
            return path
    return None


def _program(name: str, settings: Settings, environment: dict[str, str]) -> str:
    found = (
        shutil.which(os.path.join(settings.cwd, name))
        if os.sep in name
        else shutil.which(name, path=environment.get("PATH"))
    )
    if found is None:
        raise UsageError(f"{name}: there is no such program; check the command after --")
    return found


def _interpreter(python: str | None, cwd: str, environment: dict[str, str]) -> str:
    if python is None:
        return sys.executable
    name = os.path.join(cwd, python) if os.sep in python else python
    found = shutil.which(name, path=environment.get("PATH"))
    if found is None:
        raise UsageError(f"--python: {python!r} is not a program; name a Python interpreter")
    return found


def _probe(python: str, script: Path | None, settings: Settings) -> None:
    """Try the interpreter by running it, and have it compile the script, if there is one."""
    said = b""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", _PROBE, *([str(script)] if script else [])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=settings.cwd,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        said = done.stderr
        report = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        words = said.decode(errors="replace").strip().partition("\n")[0].strip()
        because = f" ({words})" if words else ""
        raise UsageError(
            f"{python} does not work as a Python interpreter{because}; name another"
        ) from None
    version = tuple(report["version"][:2])
    if version < OLDEST_PYTHON:
        raise UsageError(
            f"{python} is Python {version[0]}.{version[1]}; 3.11 is the oldest that can be "
            "measured, name another"
        )
    if "syntax" in report:
        message, line, kind = report["syntax"]
        if kind == "ValueError" or "codec can't decode" in message or "Non-UTF-8" in message:
            raise UsageError(f"{settings.script} is not Python: {message}")
        raise UsageError(f"{settings.script}, line {line}: syntax error: {message}; mend it first")


def usable_cores() -> int:
    """Processors that this process, and so the benchmark, may use; 0 where unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0
