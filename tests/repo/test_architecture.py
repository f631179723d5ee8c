"""Import direction: `bisector` uses `strategies` and `injector`, which use nothing of ours.

Read from the source text, not by importing, so that an import inside a function counts too; what
stands under ``if TYPE_CHECKING`` is not an import at run time and does not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "bisector": {"bisector", "strategies", "injector"},
    "strategies": {"strategies"},
    "injector": {"injector"},
}


def module_name(path: Path) -> str:
    """The dotted name of a source file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for package in ALLOWED
    for path in sorted((ROOT / package).rglob("*.py"))
}


def statements(tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import, and whether it happens as the module is imported (not in a function)."""
    pending = [(tree, True)]
    while pending:
        node, at_import = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_import
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending += [(child, at_import and not inside) for child in ast.iter_child_nodes(node)]


def imported(module: str) -> Iterator[tuple[str, bool]]:
    """Absolute names a module imports; ``from a import b`` is ``a.b`` where that is a module."""
    path = SOURCES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node, at_import in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, at_import
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            name = f"{origin}.{alias.name}"
            yield (name if name in SOURCES else origin), at_import


def imports_at_import_time() -> nx.DiGraph:
    """Which of our modules need which others before they can be imported themselves."""
    graph = nx.DiGraph()
    for module in SOURCES:
        graph.add_node(module)
        for name, at_import in imported(module):
            if at_import and name in SOURCES and name != module:
                graph.add_edge(module, name)
    return graph


def modules_of(package: str) -> list[str]:
    """Our modules below one of the three packages."""
    return [name for name in SOURCES if name.split(".")[0] == package]


def tops_imported(module: str) -> set[str]:
    """The top-level names a module imports, anywhere in it."""
    return {name.split(".")[0] for name, _ in imported(module)}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_downwards(package: str) -> None:
    for module in modules_of(package):
        assert tops_imported(module) & set(ALLOWED) <= ALLOWED[package], module


def test_no_module_needs_itself() -> None:
    assert list(nx.simple_cycles(imports_at_import_time())) == []


def test_the_injector_needs_the_standard_library_only() -> None:
    for module in modules_of("injector"):
        assert tops_imported(module) - {"injector"} <= sys.stdlib_module_names, module


def test_the_injector_imports_itself_relatively() -> None:
    """It runs under a private name in target processes; ``import injector`` is a stranger there."""
    for module in modules_of("injector"):
        for node, _ in statements(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [] if node.level else [node.module or ""]
            assert "injector" not in {name.split(".")[0] for name in names}, module


def test_the_injector_is_no_regular_package() -> None:
    """`injector` is also the name of an unrelated package: ours must not shadow its contents."""
    assert not (ROOT / "injector" / "__init__.py").exists()


def test_strategies_do_no_input_or_output() -> None:
    """Pure search: no clock, no process, no file."""
    forbidden = {"time", "subprocess", "os", "socket", "threading", "multiprocessing", "asyncio"}
    for module in modules_of("strategies"):
        assert tops_imported(module).isdisjoint(forbidden), module


def test_the_engine_is_free_of_clocks_and_processes() -> None:
    forbidden = {"time", "subprocess", "socket", "threading", "multiprocessing", "sqlite3", "rich"}
    for module in ("engine", "search", "certificate", "statistics"):
        assert tops_imported(f"bisector.{module}").isdisjoint(forbidden), module


def test_files_stay_readable() -> None:
    long = [name for name, path in SOURCES.items() if len(path.read_text().splitlines()) > 400]
    assert long == []
