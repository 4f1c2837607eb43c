"""What a person sees while a stage trains: a bar on a terminal, one plain line every so many steps elsewhere.

Lightning's own bars count epochs; a stage here is a number of steps.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
LINES = 10
"""How many lines a stage prints, about."""


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


class TerminalProgress(Callback):
    """One bar a stage: steps, time left, loss. It stays on the screen when the stage ends."""

    def __init__(self, stage: str, total_steps: int) -> None:
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[said]}"),
        )
        self._bar = Progress(*columns)
        self._task = self._bar.add_task(stage, total=total_steps, said="")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.update(self._task, completed=trainer.global_step)
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._bar.update(self._task, completed=trainer.global_step, said=f"loss {float(outputs['loss']):.4f}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()


def progress(stage: str, total_steps: int) -> Callback:
    """The bar or the lines."""
    return (TerminalProgress if sys.stdout.isatty() else PlainProgress)(stage, total_steps)
