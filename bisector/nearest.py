"""Names near a pattern that matched nothing, read from the source files beside the benchmark.

Only a hint for people: files are parsed, never imported, and no more than a few hundred of them.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_FILES = 300
MOST_BYTES = 1_000_000


def nearest(pattern: str, names: Iterable[str], most: int = 3) -> list[str]:
    """The names that look most like ``pattern``, best first.

    Those with the same function part come first: what is mistaken is mostly the module.
    """
    known = sorted(set(names))
    wanted = pattern.removeprefix("!").strip()
    function = wanted.rpartition(":")[2]
    same = [n for n in known if n.rpartition(":")[2].rpartition(".")[2] == function]
    close = difflib.get_close_matches(wanted, known, most, 0.6)
    functions = {n.rpartition(":")[2]: n for n in known}
    alike = [functions[f] for f in difflib.get_close_matches(function, functions, most, 0.75)]
    return list(dict.fromkeys([*same[:most], *close, *alike]))[:most]


def names_beside(script: Path | None, folder: Path) -> set[str]:
    """``module:qualname`` of functions in Python files of the script's folder and of ``folder``.

    The script's own are in ``__main__``, as they are when it runs.
    """
    found: set[str] = set()
    roots = [folder] if script is None else [script.parent, folder]
    if script is not None:
        found |= {f"__main__:{name}" for name in _functions(script)}
    seen: set[Path] = set() if script is None else {script}
    for root in roots:
        for path in _python_files(root):
            if path not in seen and len(seen) < MOST_FILES:
                seen.add(path)
                parts = path.relative_to(root).with_suffix("").parts
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                found |= {f"{module}:{name}" for name in _functions(path)}
    return found


def _python_files(root: Path) -> Iterator[Path]:
    """Python files up to two folders down, outside of hidden folders."""
    for glob in ("*.py", "*/*.py", "*/*/*.py"):
        for path in root.glob(glob):
            if not any(part.startswith(".") for part in path.relative_to(root).parts):
                yield path


def _functions(path: Path) -> set[str]:
    try:
        if path.stat().st_size > MOST_BYTES:
            return set()
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    return set(_qualnames(tree, ""))


def _qualnames(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name
            yield from _qualnames(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _qualnames(child, f"{prefix}{child.name}.")
        else:
            yield from _qualnames(child, prefix)
