"""The targets-file language: which functions a rule means.

One pattern a line, ``module_glob:qualname_glob``; ``#`` starts a comment; a leading ``!`` excludes.
The module glob matches the dotted module name and, where it contains ``/`` or ends in ``.py``, the
path of the file instead. Two readings make a pattern mean exactly one node of the module tree:
``numpy.*:*`` covers ``numpy`` itself as well, and ``pkg.mod:Class.*`` covers ``Class.method`` and
everything nested in it.

Invariant: the last matching line wins, so that ``!`` takes away from what stands above it and a
later line can give back. Every pattern becomes one regular expression, compiled once.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class PatternError(ValueError):
    """A line of a targets file is not a pattern; the message says which and what was expected."""


class Patterns:
    """A parsed targets file."""

    __slots__ = ("_rules", "sources")

    def __init__(self, rules: list[tuple[bool, bool, re.Pattern[str], re.Pattern[str]]]) -> None:
        self._rules = rules
        self.sources: tuple[str, ...] = ()
        """The lines that hold a pattern, as written, in order."""

    def matches(self, module: str, qualname: str, file: str = "", whole: bool = False) -> bool:
        """Whether the target is meant; the last line that matches decides.

        ``whole``: a function's name means its lines (``function@42``) as well.
        """
        names = (qualname, qualname.partition("@")[0]) if whole else (qualname,)
        for include, by_path, module_re, name_re in reversed(self._rules):
            if module_re.match(file if by_path else module) and any(map(name_re.match, names)):
                return include
        return False

    def __bool__(self) -> bool:
        return bool(self._rules)


def parse(lines: Iterable[str]) -> Patterns:
    """Read a targets file, given as its lines.

    Raises:
        PatternError: naming the line (counted from 1) and what was expected there.
    """
    rules = []
    sources = []
    for number, raw in enumerate(lines, 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        include = not line.startswith("!")
        module, separator, name = line.removeprefix("!").strip().rpartition(":")
        if not separator:
            raise PatternError(
                f"line {number}: {line!r} has no ':'; expected module_glob:qualname_glob, "
                "for example package.module:Class.*"
            )
        if not module or not name or any(c.isspace() for c in module + name if "/" not in module):
            raise PatternError(
                f"line {number}: {line!r} is not module_glob:qualname_glob; both sides of ':' must "
                "be there, without spaces, for example package.*:*"
            )
        by_path = "/" in module or module.endswith(".py")
        module_re = _path_regex(module) if by_path else _module_regex(module)
        rules.append((include, by_path, re.compile(module_re), re.compile(_glob(name) + r"\Z")))
        sources.append(line)
    patterns = Patterns(rules)
    patterns.sources = tuple(sources)
    return patterns


def _module_regex(glob: str) -> str:
    if glob.endswith(".*"):
        return _glob(glob[:-2]) + r"(?:\..*)?\Z"
    return _glob(glob) + r"\Z"


def _path_regex(glob: str) -> str:
    # A relative path means the file wherever its folder is: `pkg/mod.py` is `/src/pkg/mod.py` too.
    return ("" if glob.startswith(("/", "*")) else r"(?:.*/)?") + _glob(glob) + r"\Z"


def _glob(glob: str) -> str:
    """The regular expression of a glob; an unclosed bracket stands for itself, as in `fnmatch`."""
    out = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[" and (end := glob.find("]", at + 1 + (glob[at : at + 1] == "!"))) > 0:
            body = glob[at:end].replace("\\", r"\\").replace("[", r"\[")
            body = "^" + body[1:] if body.startswith("!") else body.replace("^", r"\^")
            out.append(f"[{body}]")
            at = end + 1
        else:
            out.append(re.escape(char))
    return "(?s:" + "".join(out) + ")"
