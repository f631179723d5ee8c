"""Writes the program of a recipe: a `bench.py`, packages and modules, and the truth about them.

The same recipe gives the same text. Every module takes part in every phase with a little work of
its own (less than a thousandth of a unit), and holds planted functions of any phase, critical and
hidden ones side by side; those of one phase run in the order of the recipe. Each planted function
has its amount of work in a constant of its module, so that a test can lengthen it without the tool.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cases.truth import Case, Gain, left_by, waited
from generated.recipes import TURNING, Kind, Phase, Recipe, Work

OVERSLEPT_S = 0.0002
"""A sleep lasts about that much longer than asked for."""

ENDLESS = ("--steps", "10000000")
"""Lets a program run for as long as it is looked at."""

PLACES = """
anvil basket bobbin bridge canal compass convoy crate depot furnace garden harbour invoice kiln
lantern ledger loom meadow orchard parcel quarry shelf spindle voucher wagon well
"""
"""Names of packages and modules; functions are named after a verb and things."""
VERBS = "bind check clean count fold gather join mark match merge pair rank scan sift sort trim"
THINGS = "bits cells codes edges keys lines marks notes pages parts rows runs tags terms"

_LOOP = """\
    total = unit
    for index in range({turns}):
        total = (total * 31 + index) % 1_000_003
"""
_LITTLE = "def {name}(unit):\n" + _LOOP.format(turns=20) + "    return total\n"
_FUNCTION = "def {name}(unit):\n" + _LOOP.format(turns="{constant}") + "    return total\n"
_METHOD = """\
class {owner}:
    def {name}(self, unit):
        total = unit
        for index in range({constant}):
            total = (total * 31 + index) % 1_000_003
        return total
"""
_GENERATOR = """\
def {name}(unit):
    total = unit
    for _ in range(8):
        for index in range({constant} // 8):
            total = (total * 31 + index) % 1_000_003
        yield total
"""
_RECURSION = (
    "def {name}(unit, level=8):\n"
    + _LOOP.format(turns="{constant} // 8")
    + "    return {name}(total, level - 1) if level > 1 else total\n"
)
_TEXTS: dict[Kind, str] = {
    "function": _FUNCTION,
    "method": _METHOD,
    "generator": _GENERATOR,
    "recursion": _RECURSION,
    "pack": "def {name}(unit):\n    return len(zlib.compress(BLOCK[:{constant}], 6))\n",
    "digest": "def {name}(unit):\n    return hashlib.blake2b(BLOB[:{constant}]).digest()[0]\n",
    "wait": "def {name}(unit):\n    time.sleep({constant} / 1e6)\n",
}


@dataclass(frozen=True)
class Planted:
    """A planted function: where it is, and the constant that says how much it works."""

    target: str
    constant: str
    work: Work
    critical: bool


@dataclass(frozen=True)
class Program:
    """A program that was written: its script, and what is true of it."""

    recipe: Recipe
    script: Path
    planted: tuple[Planted, ...]

    @property
    def case(self) -> Case:
        """The truth, as of any other case."""
        return Case(
            program=self.script.name,
            args=ENDLESS,
            verdict="sensitive" if self.recipe.critical else "insensitive",
            must_be_sensitive=frozenset(p.target for p in self.planted if p.critical),
            must_not_be_sensitive=frozenset(p.target for p in self.planted if not p.critical),
            waiting=frozenset(p.target for p in self.planted if p.work.kind == "wait"),
            gains=dict(self._gains()),
        )

    def _gains(self) -> Iterator[tuple[str, Gain]]:
        """Shares of a unit: of waits by their length, of turns by their number; with native work
        among them neither is known."""
        critical = [p for p in self.planted if p.critical]
        turning = [p.work.us_per_unit for p in critical if p.work.kind in TURNING]
        waits = [p.work.us_per_unit for p in critical if p.work.kind == "wait"]
        if len(turning) + len(waits) < len(critical):
            return
        if self.recipe.longest == "device":
            waits.append(self.recipe.kernel_us)
        wait_s = sum(waits) / 1e6 + OVERSLEPT_S * len(waits)
        for planted in critical:
            us = planted.work.us_per_unit
            if planted.work.kind == "wait":
                yield planted.target, waited(us / 1e6 + OVERSLEPT_S)
            else:
                yield planted.target, left_by(wait_s, us / sum(turning))


@dataclass
class _Module:
    """A module while it is being written: what it defines, and what it calls in each phase."""

    name: str
    texts: list[str] = field(default_factory=list)
    calls: dict[Phase, list[str]] = field(default_factory=dict)

    def text(self) -> str:
        """Its source."""
        phases = [
            f"def {phase}(unit):\n" + "".join(f"    {line}\n" for line in lines)
            for phase, lines in self.calls.items()
        ]
        imports = "import hashlib\nimport time\nimport zlib\n\nfrom support import BLOB, BLOCK\n"
        return "\n\n".join([imports, *self.texts, *phases])


def write(recipe: Recipe, folder: Path) -> Program:
    """Write the program below ``folder``, which has to be empty or new."""
    names = random.Random(f"{recipe.name} {recipe.seed}")
    places = names.sample(PLACES.split(), recipe.depth * recipe.fan_out)
    packages: dict[str, list[str]] = {}
    modules = list(_grow(recipe, names, places, packages))
    pairs = list(itertools.product(VERBS.split(), THINGS.split()))
    names.shuffle(pairs)
    functions = (f"{verb}_{thing}" for verb, thing in pairs)
    phases = recipe.phases
    for module in modules:
        for phase in phases:
            name = next(functions)
            module.texts.append(_LITTLE.format(name=name))
            module.calls[phase] = [f"{name}(unit)"]
    planted = tuple(
        _plant(home, next(functions), phase, work, recipe.is_critical(phase))
        for phase in phases
        for home, work in _homes(recipe, phase, modules, names)
    )
    _save(recipe, folder, packages, modules)
    return Program(recipe, folder / "bench.py", planted)


def _grow(
    recipe: Recipe,
    names: random.Random,
    places: list[str],
    packages: dict[str, list[str]],
    package: str = "",
) -> Iterator[_Module]:
    """The modules below a package, in the order in which they are called. One of its parts is a
    package, down to the depth, the others are modules. Notes in ``packages`` what is in each (the
    folder of the script is the one without a name)."""
    packages[package] = [f"{package}.{places.pop()}".lstrip(".") for _ in range(recipe.fan_out)]
    inner = names.choice(packages[package]) if len(packages) < recipe.depth else None
    for name in packages[package]:
        if name == inner:
            yield from _grow(recipe, names, places, packages, name)
        else:
            yield _Module(name)


def _homes(
    recipe: Recipe, phase: Phase, modules: Sequence[_Module], names: random.Random
) -> Iterator[tuple[_Module, Work]]:
    """What is planted in a phase, and where: anywhere, one that responds in the deepest package."""
    works = recipe.works(phase)
    homes = names.choices(range(len(modules)), k=len(works))
    if phase == "respond":
        depths = [module.name.count(".") for module in modules]
        homes[0] = names.choice([n for n, depth in enumerate(depths) if depth == max(depths)])
    for home, work in zip(sorted(homes), works, strict=True):
        yield modules[home], work


def _plant(home: _Module, name: str, phase: Phase, work: Work, critical: bool) -> Planted:
    """Define a function in a module, and call it as often as it wants to be."""
    constant = f"{name.upper()}_{'US' if work.kind == 'wait' else 'AMOUNT'}"
    owner = name.title().replace("_", "")
    text = _TEXTS[work.kind].format(name=name, constant=constant, owner=owner)
    home.texts.append(f"{constant} = {work.amount:_}\n\n\n{text}")
    qualname = f"{owner}.{name}" if work.kind == "method" else name
    call = f"{owner}().{name}(unit)" if work.kind == "method" else f"{name}(unit)"
    if work.kind == "generator":
        call = f"sum({call})"
    if work.calls > 1:
        call = f"for _ in range({work.calls}):\n        {call}"
    if work.every > 1:
        call = f"if unit % {work.every} == 0:\n    {call}".replace("\n", "\n    ")
    home.calls[phase].append(call)
    return Planted(f"{home.name}:{qualname}", f"{home.name}:{constant}", work, critical)


def _save(
    recipe: Recipe,
    folder: Path,
    packages: dict[str, list[str]],
    modules: Sequence[_Module],
) -> None:
    """Every file of a program."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("support.py"), folder)
    for package, inside in packages.items():
        if not package:
            continue
        path = folder.joinpath(*package.split("."))
        path.mkdir()
        (path / "__init__.py").write_text(_package(recipe, inside), encoding="utf-8")
    for module in modules:
        path = folder.joinpath(*module.name.split(".")).with_suffix(".py")
        path.write_text(module.text(), encoding="utf-8")
    script = _bench(recipe, _package(recipe, packages[""]))
    (folder / "bench.py").write_text(script, encoding="utf-8")


def _package(recipe: Recipe, inside: Sequence[str]) -> str:
    """What a package does in each phase: let everything in it do its part."""
    imports = "".join(f"import {name}\n" for name in sorted(inside))
    functions = [
        f"def {phase}(unit):\n" + "".join(f"    {name}.{phase}(unit)\n" for name in inside)
        for phase in recipe.phases
    ]
    return "\n\n".join([imports, *functions])


def _bench(recipe: Recipe, phases: str) -> str:
    """The script: a unit, many of them, and the command line."""
    device, worker = bool(recipe.kernel_us), bool(recipe.assist)
    kind = {"thread": "ThreadWorker", "process": "ProcessWorker"}[recipe.worker]
    step = [
        *["device.launch()"] * device,
        *["worker.submit(unit)"] * worker,
        *["prepare(unit)"] * ("prepare" in recipe.phases),
        *["worker.collect()"] * worker,
        *["device.synchronize()"] * device,
        "respond(unit)",
    ]
    begin = [
        *[f"device = support.Device({recipe.kernel_us} / 1e6)"] * device,
        *["device.launch()"] * recipe.ahead,
        *[f"worker = support.{kind}(assist)"] * worker,
    ]
    parameters = ", ".join(["unit", *["device"] * device, *["worker"] * worker])
    lines = [
        f'"""{recipe.why}"""',
        "",
        "import argparse",
        "import time",
        "",
        "import support",
        phases,
        "",
        f"def step({parameters}):",
        *(f"    {line}" for line in step),
        "",
        "",
        "def run(steps):",
        *(f"    {line}" for line in begin),
        "    begin = time.monotonic()",
        "    for unit in range(steps):",
        f"        step({parameters})",
        "    taken = time.monotonic() - begin",
        *["    worker.close()"] * worker,
        "    return taken / steps",
        "",
        "",
        "def main():",
        "    parser = argparse.ArgumentParser(description=__doc__)",
        '    parser.add_argument("--steps", type=int, default=160)',
        '    print(f"throughput: {1 / run(parser.parse_args().steps):.3f} units/s")',
        "",
        "",
        'if __name__ == "__main__":',
        "    main()",
        "",
    ]
    return "\n".join(lines)
