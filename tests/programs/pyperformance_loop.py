"""One of pyperformance's own benchmarks, unmodified, in a plain loop (richards, deltablue).

pyperf's runner starts workers with an emptied environment; the functions it would time are called
here directly. Prints rounds per second.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType


def load(name: str) -> ModuleType:
    """The benchmark's module as it lies in the installed package."""
    found = importlib.util.find_spec("pyperformance")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "data-files" / "benchmarks" / f"bm_{name}"
    spec = importlib.util.spec_from_file_location(name, path / "run_benchmark.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run it for a fixed number of rounds."""
    name, rounds = sys.argv[1], int(sys.argv[-1])
    module = load(name)
    begin = time.perf_counter()
    if name == "richards":
        module.Richards().run(rounds)
    else:
        for _ in range(rounds):
            module.delta_blue(200)
    print(f"throughput: {rounds / (time.perf_counter() - begin):.4f} rounds/s")


if __name__ == "__main__":
    main()
