"""Run one stage to its end, going on where a killed process stopped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, Timer
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from hskd_lightning.artifacts import write_json
from hskd_lightning.data.loader import ResumableLoader
from hskd_lightning.runs.metrics_csv import MetricsCsv
from hskd_lightning.training.module import EncoderModule
from hskd_lightning.training.progress import progress

log = logging.getLogger(__name__)
EXPECTED = (
    "Checkpoint directory .* exists and is not empty",  # a resumed stage's is not
    "The '.*_dataloader' does not have many workers",  # batches are ready long before they are needed
    "You defined a `validation_step` but have no `val_dataloader`",  # nothing is held out: nothing to select on
    "Found \\d+ module\\(s\\) in eval mode at the start of training",  # stage.*.dropout=false, asked for
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning's own, with this torch
)
"""Warnings that say nothing to the user."""
RESUME, LAST, BEST, FACTS = "resume.ckpt", "last.ckpt", "best.ckpt", "facts.json"


@dataclass(frozen=True)
class Selection:
    """What a stage looks at while it trains, and whether it keeps the best checkpoint by it."""

    loader: DataLoader[Any]
    monitor: str | None = None
    """The logged figure whose highest value is the best checkpoint's; None: only look."""
    every_steps: int | None = None
    """Look every so many steps; None: at the end of each epoch."""


def fit_stage(
    module: EncoderModule,
    train: ResumableLoader,
    folder: Path,
    trainer: Mapping[str, Any],
    selection: Selection | None = None,
    loggers: Sequence[Logger] = (),
) -> dict[str, float]:
    """Train `module` for its kept_steps; leaves last.ckpt, best.ckpt (if one is chosen) and facts.json in `folder`.

    resume.ckpt is written every `checkpoint_every` steps and taken up again if it is there, so a killed stage ends
    with the weights of an unbroken one. It is deleted once the stage is whole: it holds the optimiser's state.

    Returns:
        the facts: seconds and optimiser steps, those before a kill included.
    """
    settings = dict(trainer)
    folder.mkdir(parents=True, exist_ok=True)
    timer = Timer()
    resume = folder / RESUME
    callbacks: list[Callback] = [timer, _resumer(folder, settings.pop("checkpoint_every"))]
    if selection is not None and selection.monitor is not None:
        callbacks.append(_best(folder, selection.monitor))
    callbacks.append(progress(module.stage, module.kept_steps))
    runner = pl.Trainer(
        **settings,
        **_look_at(selection),
        max_steps=module.kept_steps,
        max_epochs=-1,
        callbacks=callbacks,
        logger=list(loggers),
        default_root_dir=folder,
        log_every_n_steps=1,  # the module logs when it wants to
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    _forget_repeated(loggers, module.stage, resume)
    with warnings.catch_warnings():
        for known in EXPECTED:
            warnings.filterwarnings("ignore", message=known)
        runner.fit(
            module,
            train_dataloaders=train,
            val_dataloaders=None if selection is None else selection.loader,
            ckpt_path=resume if resume.exists() else None,
            weights_only=True,
        )
    facts = {"seconds": round(timer.time_elapsed("train"), 3), "steps": runner.global_step}
    write_json(folder / FACTS, facts)
    _save_last(runner, folder / LAST)
    resume.unlink(missing_ok=True)
    return facts


def _forget_repeated(loggers: Sequence[Logger], stage: str, resume: Path) -> None:
    """Drop logged rows that the stage is about to write again."""
    step = 0
    if resume.exists():
        step = int(torch.load(resume, map_location="cpu", weights_only=True)["global_step"])
        log.info("%s: resumed at step %d", stage, step)
    for logger in loggers:
        if isinstance(logger, MetricsCsv):
            logger.forget_after(stage, step)


def _look_at(selection: Selection | None) -> dict[str, Any]:
    """Trainer arguments for how often to look at the selection split."""
    if selection is None or selection.every_steps is None:
        return {}
    return {"val_check_interval": selection.every_steps, "check_val_every_n_epoch": None}


def is_whole(folder: Path) -> bool:
    """Whether the stage that keeps its files here has ended."""
    return (folder / LAST).exists()


def load_weights(path: Path) -> dict[str, Tensor]:
    """The module's state in a checkpoint. Nothing is unpickled."""
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return state


def _resumer(folder: Path, every: int) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder, filename=Path(RESUME).stem, every_n_train_steps=every, enable_version_counter=False
    )


def _best(folder: Path, monitor: str) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename=Path(BEST).stem,
        monitor=monitor,
        mode="max",
        save_weights_only=True,
        enable_version_counter=False,
    )


def _save_last(runner: pl.Trainer, path: Path) -> None:
    """Whole or not there: `is_whole` goes by this file."""
    temporary = path.with_suffix(".partial")
    runner.save_checkpoint(temporary, weights_only=True)
    temporary.replace(path)
