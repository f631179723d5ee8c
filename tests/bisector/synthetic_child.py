"""The process of an investigation, with runs that are computed: for tests of the server."""

import sys

import scripted
from synthetic_executor import SyntheticExecutor

from bisector import session
from bisector.agent import child


def calibrate(workload):
    print("what prints by accident does not reach the wire", flush=True)
    return scripted.CALIBRATION


if __name__ == "__main__":
    session.RunExecutor = SyntheticExecutor
    session.calibrate = calibrate
    sys.exit(child.main())
