"""How often something is reported where nothing matters: programs that wait for a device.

    python tests/null.py [--trials 200] [--budget 20s] [--first 0]

Investigates programs whose Python is hidden, in turn, with a new seed each time. Whatever is
reported as sensitive, certified or only suspected, is false. Prints a line for each, and exits
with 1 where that happens more often than allowed (5 %, within what so many trials tell).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter

from investigation import ROOT, investigate

PROGRAMS = ("device_bound", "inline_hidden", "waits_ready_later")
ALLOWED = 0.05


def main() -> int:
    """Investigate again and again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    arguments = parser.parse_args()
    verdicts: Counter[str] = Counter()
    false = 0
    for seed in range(arguments.first, arguments.first + arguments.trials):
        name = PROGRAMS[seed % len(PROGRAMS)]
        script = ROOT / "tests" / "cases" / f"{name}.py"
        summary = investigate(script, budget=arguments.budget, seed=seed).summary
        verdict = summary["verdict"] if summary else "no summary"
        found = [entry["target"] for entry in summary["sensitive"]] if summary else []
        verdicts[verdict] += 1
        false += bool(found)
        print(f"{name:20} seed {seed:4} {verdict:12} {', '.join(found) or '-'}", flush=True)
    trials = arguments.trials
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    print(f"something was reported in {false} of {trials}; {said}")
    return int(false > trials * ALLOWED + 2.0 * math.sqrt(trials * ALLOWED))


if __name__ == "__main__":
    sys.exit(main())
