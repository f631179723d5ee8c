"""The decode loop, in its two forms.

Synchronous: launch, prepare the next inputs while the kernel runs, wait, sample, detokenise; the
device is idle from the end of the wait to the next launch, so what runs there is critical.
Pipelined: the next step is launched before the last one's results are looked at, so the device
always has work and all Python is hidden as long as it takes less time than a kernel.
"""

from __future__ import annotations

from serving.config import ServingConfig
from serving.detokenizer import Detokenizer
from serving.inputs import InputPreparer, StepInputs
from serving.metrics import StepMetrics
from serving.model import Model
from serving.sampler import Sampler
from serving.scheduler import Scheduler


class Engine:
    """One server: call `start`, then `step` as often as you like, then `finish`."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._scheduler = Scheduler(config)
        self._preparer = InputPreparer(config)
        self._model = Model(config)
        self._sampler = Sampler(config)
        self._detokenizer = Detokenizer(config)
        self._prepared: StepInputs | None = None
        self._tokens_of_last_step: list[int] = []
        self._texts: list[str] = []
        self.metrics = StepMetrics()

    def start(self) -> None:
        """Fill the pipeline."""
        self._prepared = self._prepare()
        if self._config.pipelined:
            self._launch_prepared()
            self._prepared = self._prepare()

    def step(self) -> int:
        """Decode one token for every sequence of the batch; returns how many."""
        self._launch_prepared()
        if self._config.pipelined:
            tokens = self._read_back()
            self._work_ahead(tokens)
        else:
            self._work_ahead(self._tokens_of_last_step)
            tokens = self._read_back()
        return len(tokens)

    def finish(self) -> None:
        """Let the device run dry."""
        while self._model.in_flight:
            self._model.collect()

    def _launch_prepared(self) -> None:
        assert self._prepared is not None
        self._model.launch(self._prepared)

    def _read_back(self) -> list[int]:
        logits = self._model.collect()
        tokens = self._sampler.sample(logits)
        self._texts = self._detokenizer.decode(tokens)
        self._tokens_of_last_step = tokens
        return tokens

    def _work_ahead(self, tokens: list[int]) -> None:
        self._scheduler.record(tokens)
        self.metrics.observe(len(tokens), self._texts)
        self._prepared = self._prepare()

    def _prepare(self) -> StepInputs:
        return self._preparer.prepare(self._scheduler.schedule())
