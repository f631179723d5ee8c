"""The command line: finds the command, and turns every error into one sentence and its exit code.

One file per command under `bisector.commands`; only the one that was asked for is imported. A
command is a module with ``SUMMARY`` (one line), ``configure(parser)`` (its options) and
``execute(options, rest)``, which returns the exit code; ``rest`` is what follows the first ``--``,
or None where there is none. What does not begin with the name of a command is an investigation
(`bisector.commands.investigate`), so that a file named like a command still works as ``./name``.

argparse and not a richer parser: it starts in 15 ms, and every message is ours.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from bisector import __version__
from bisector.errors import CrashError, SpeedbumpError, UsageError

PROGRAM = "speedbump-bisect"

COMMANDS = {
    "resume": "bisector.commands.resume",
    "report": "bisector.commands.report",
    "inject": "bisector.commands.inject",
    "simulate": "bisector.commands.simulate",
    "mcp": "bisector.commands.mcp",
}
DEFAULT = "bisector.commands.investigate"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `UsageError`, with the nearest option named."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage and leaving."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            raise UsageError(self._unknown(unknown.split()[0]))
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return (
                f"{word!r} is one argument too many: the benchmark's own arguments go after --, "
                f"as in {PROGRAM} bench.py -- {word}"
            )
        known = [option for action in self._actions for option in action.option_strings]
        near = difflib.get_close_matches(word.split("=")[0], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        return f"there is no option {word}; {hint}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never raises.

    Args:
        argv: arguments without the program's name; the process's own by default.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except SpeedbumpError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (``| head``); nothing more can be said to it.
        _give_up_output()
        return 1
    except OSError as error:
        complain(f"{error.strerror or error}; nothing more could be done")
        _give_up_output()
        return 1
    except Exception as error:
        from bisector.crash import crash_log

        complain(str(crash_log(error)))
        return CrashError.exit_code


def complain(sentence: str) -> None:
    """One line on standard error, after the name of the program; a closed stream is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{PROGRAM}: {sentence}", file=sys.stderr, flush=True)


def _give_up_output() -> None:
    """Point standard output nowhere, so that leaving does not fail once more on what is unsaid."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    rest: list[str] | None = None
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, rest = arguments[:cut], arguments[cut + 1 :]
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    command: ModuleType = import_module(COMMANDS[name] if name else DEFAULT)
    parser = Parser(
        prog=f"{PROGRAM} {name}" if name else PROGRAM,
        description=command.SUMMARY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command.configure(parser)
    try:
        options = parser.parse_args(arguments[1:] if name else arguments)
    except SystemExit as leaving:  # --help
        return int(leaving.code or 0)
    return int(command.execute(options, rest))
