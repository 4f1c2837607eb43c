"""What a person sees while a stage trains: bars on a terminal, one plain line every so many steps elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, RichProgressBar

log = logging.getLogger(__name__)
LINES = 10
"""About so many lines a stage."""


class PlainProgress(Callback):
    """One line now and then: stage, step of steps, loss, seconds a step."""

    def __init__(self, stage: str, total_steps: int) -> None:
        self.stage = stage
        self.total_steps = total_steps
        self.every = max(1, total_steps // LINES)
        self._since = (0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = (trainer.global_step, time.perf_counter())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step % self.every and step != self.total_steps:
            return
        before, start = self._since
        now = time.perf_counter()
        pace = (now - start) / max(1, step - before)
        loss = float(outputs["loss"])
        log.info("%s: step %d of %d, loss %.4f, %.3f s a step", self.stage, step, self.total_steps, loss, pace)
        self._since = (step, now)


def progress_callbacks(stage: str, total_steps: int) -> list[Callback]:
    """The bar or the lines, and nothing of Lightning's own choosing."""
    if sys.stderr.isatty():
        return [RichProgressBar(refresh_rate=10, leave=False)]
    return [PlainProgress(stage, total_steps)]
