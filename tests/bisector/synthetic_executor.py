"""An executor whose runs are computed, for sessions with a real engine and no benchmark."""

import os
import time

import numpy as np
from planted import program

from bisector.metric import MetricSpec, RunOutput, resolve

LASTS_S = float(os.environ.get("TEST_RUN_LASTS_S", "0"))
"""What a run really takes."""


class SyntheticExecutor:
    """Every run takes a second of the synthetic program; its noise depends on its number alone, and
    so does what comes of a run that is made again."""

    before = staticmethod(lambda request: None)

    def __init__(self, settings, workload, warden, slot, calibration, elapsed_s, metric):
        self.metric = metric
        self.program = program()

    def run(self, request):
        SyntheticExecutor.before(request)
        self.metric = self.metric or resolve(
            MetricSpec.parse("time"), False, RunOutput("", "", 1.0)
        )
        time.sleep(LASTS_S)
        self.program._noise = iter([np.random.default_rng(request.seq).normal(0.0, 0.004)])
        self.program.elapsed_s = float(request.seq)
        return self.program.run(request)

    def recall(self, request, observed):
        assert request.is_run

    def drain_warnings(self):
        return []

    def close(self):
        pass
