"""A stand-in for the engine: asks for a fixed number of runs and answers with what it was told.

As a program (``python scripted.py RUNS ARGUMENTS...``) it is the command line with that engine, so
that a session can be killed and resumed without a search deciding how long it is.
"""

import sys

from bisector import session
from bisector.answer import Answer, Baseline, Interval
from bisector.calibration import Calibration
from bisector.events import PhaseBegan
from bisector.observations import RunRequest

CALIBRATION = Calibration("3", "monitoring", "", True, {"entry": 30.0, "site": 30.0}, {})


class ScriptedEngine:
    """Asks for ``RUNS`` control runs; its answer is a function of all that it was told."""

    RUNS = 5

    def __init__(self, settings):
        self.settings = settings
        self.told = []
        self.events = [PhaseBegan("script")]

    def ask(self):
        number = len(self.told)
        return RunRequest(number, "baseline", number) if number < self.RUNS else None

    def tell(self, observed):
        assert observed.seq == len(self.told), "each observation once, in order"
        self.told.append(observed)
        self.events.append(PhaseBegan(f"told {observed.seq}"))

    def answer(self):
        walls = [observed.wall_s for observed in self.told]
        mean = (sum(walls) / len(walls) if walls else 0.0) or 1.0
        failures = [o.reason for o in self.told if o.status == "failed"]
        finished = self.ask() is None
        return Answer(
            verdict="insensitive" if finished and not failures else "inconclusive",
            stop_reason=("failed" if failures else "certified") if finished else "interrupted",
            baseline=Baseline(Interval(1 / mean, 1 / mean, 1 / mean), mean, 0.0, len(walls)),
            runs=len(walls),
            failure=failures[0] if failures else None,
        )

    def drain_events(self):
        events, self.events = self.events, []
        return events


def install():
    session.Engine = ScriptedEngine
    session.calibrate = lambda workload: CALIBRATION


if __name__ == "__main__":
    from bisector.cli import main

    ScriptedEngine.RUNS = int(sys.argv[1])
    install()
    sys.exit(main(sys.argv[2:]))
