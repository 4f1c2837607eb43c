"""What a person sees while a stage trains: a bar on a terminal, a plain line now and then elsewhere.

Lightning's own bars count epochs; a stage here is a number of steps.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)
SAY_EVERY, SHOW_EVERY = 10.0, 0.5
"""Seconds between two lines, and between two looks of the bar, at least: a loss that is shown has to be waited for."""


class PlainProgress(Callback):
    """One line now and then, and one at the end: stage, step of steps, loss, seconds a step.

    Args:
        clock: seconds from any beginning.
    """

    def __init__(self, stage: str, total_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage = stage
        self.total_steps = total_steps
        self.clock = clock
        self._since = (0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = (trainer.global_step, self.clock())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, now = trainer.global_step, self.clock()
        before, start = self._since
        if now - start < SAY_EVERY and step != self.total_steps:
            return
        pace = (now - start) / max(1, step - before)
        loss = float(outputs["loss"])
        log.info("%s: step %d of %d, loss %.4f, %.3f s a step", self.stage, step, self.total_steps, loss, pace)
        self._since = (step, now)


class TerminalProgress(Callback):
    """One bar a stage: steps, time left, loss. It stays on the screen when the stage ends.

    Args:
        clock: seconds from any beginning.
    """

    def __init__(self, stage: str, total_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total_steps = total_steps
        self.clock = clock
        self._shown = -math.inf
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
        step, now = trainer.global_step, self.clock()
        if now - self._shown < SHOW_EVERY and step != self.total_steps:
            return
        self._shown = now
        self._bar.update(self._task, completed=step, said=f"loss {float(outputs['loss']):.4f}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()


def progress(stage: str, total_steps: int) -> Callback:
    """The bar or the lines."""
    return (TerminalProgress if sys.stdout.isatty() else PlainProgress)(stage, total_steps)
