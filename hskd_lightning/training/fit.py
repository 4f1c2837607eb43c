"""Run one stage to its end, going on where a killed process stopped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, Timer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler
from torch import Tensor
from torch.utils.data import DataLoader

from hskd_lightning import ranks
from hskd_lightning.allocator import keep_freed_memory
from hskd_lightning.data.loader import ResumableLoader
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import check_file, digest, read_json, write_json
from hskd_lightning.models.precision import float32_products
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.types import TF32
from hskd_lightning.training import checkpoints, rendezvous
from hskd_lightning.training.graphs import Replays
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import EncoderModule
from hskd_lightning.training.optim import clipped_steps
from hskd_lightning.training.rendezvous import KeepSignals
from hskd_lightning.training.step_progress import progress
from hskd_lightning.training.vocabulary import VocabularyInUse

log = logging.getLogger(__name__)
EXPECTED = (
    "Checkpoint directory .* exists and is not empty",  # a resumed stage's is not
    "The '.*_dataloader' does not have many workers",  # batches are ready long before they are needed
    "You defined a `validation_step` but have no `val_dataloader`",  # nothing is held out: nothing to select on
    "`ModelCheckpoint\\(monitor=.*could not find the monitored key",  # a stage of less than an epoch: its last counts
    "The number of training batches .* is smaller than the logging interval",  # a step counts on from epoch to epoch
    "Found \\d+ module\\(s\\) in eval mode at the start of training",  # stage.*.dropout=false, asked for
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning's own, with this torch
)
"""Warnings that say nothing to the user."""
RESUME, LAST, BEST, FACTS = "resume.ckpt", "last.ckpt", "best.ckpt", "facts.json"
DIGESTS = "checkpoints"
"""The field of facts.json with the digests of the others."""


@dataclass(frozen=True)
class Selection:
    """What a stage looks at while it trains, and whether it keeps the best checkpoint by it."""

    loader: DataLoader[Any]
    monitor: str | None = None
    """The logged figure whose highest value is the best checkpoint's; None: only look."""
    every_steps: int | None = None
    """Look every so many steps; None: at the end of each epoch."""


class Unprofiled(PassThroughProfiler):
    """Nothing is timed: Lightning's own makes a generator of each of the fifty actions of a step to do so."""

    NOTHING = nullcontext()

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        return self.NOTHING


def fit_stage(
    module: EncoderModule,
    train: ResumableLoader,
    folder: Path,
    trainer: TrainerSettings,
    selection: Selection | None = None,
    loggers: Sequence[Logger] = (),
) -> dict[str, float]:
    """Train `module` for its kept_steps; leaves last.ckpt, best.ckpt (if one is chosen) and facts.json in `folder`.

    The loss is logged every `log_every` steps of `trainer`. resume.ckpt is written every `checkpoint_every` steps and
    taken up again if it is there, so a killed stage ends with the weights of an unbroken one. It is deleted once the
    stage is whole: it holds the optimiser's state. One that is damaged is left aside, and the stage begins anew:
    nothing is lost but time.

    Returns:
        the facts: seconds and optimiser steps, those before a kill included; `clipped`, the share of these steps whose
        gradients were clipped, 0 to 1; and, where a checkpoint was chosen, `selection`: the figure that chose it.
    """
    keep_freed_memory()
    timer = Timer()
    resume = ranks.from_first(lambda: _resumable(folder / RESUME, module.stage))
    train.batches.part = (ranks.rank(), ranks.size())
    runner = pl.Trainer(
        **_machine(trainer),
        **_validation_interval(selection),
        max_steps=module.kept_steps,
        max_epochs=-1,
        callbacks=[timer, *_callbacks(module, train, folder, trainer, selection)],
        plugins=[checkpoints.CheckedCheckpoints()],
        profiler=Unprofiled(),
        logger=list(loggers),
        default_root_dir=folder,
    )
    _forget_repeated(loggers, module.stage, resume)
    with warnings.catch_warnings(), float32_products(trainer.precision):
        for known in EXPECTED:
            warnings.filterwarnings("ignore", message=known)
        runner.fit(
            module,
            train_dataloaders=train,
            val_dataloaders=None if selection is None else selection.loader,
            ckpt_path=resume,
            weights_only=True,
        )
    facts = _measured(runner, timer)
    runner.save_checkpoint(folder / LAST, weights_only=True)
    if ranks.rank() == 0:
        _finish(folder, facts)
    return facts


def _measured(runner: pl.Trainer, timer: Timer) -> dict[str, float]:
    """What a stage that has just ended took, and what came of its clipping and its choice of a checkpoint."""
    clipped = clipped_steps(runner.optimizers[0]) / max(1, runner.global_step)
    facts = {
        "seconds": round(timer.time_elapsed("train"), 3),
        "steps": runner.global_step,
        "clipped": round(clipped, 6),
    }
    for kept in runner.checkpoint_callbacks:
        if isinstance(kept, ModelCheckpoint) and kept.best_model_score is not None:
            facts["selection"] = float(kept.best_model_score)
    return facts


def _callbacks(
    module: EncoderModule,
    train: ResumableLoader,
    folder: Path,
    trainer: TrainerSettings,
    selection: Selection | None,
) -> Iterator[Callback]:
    """What goes along with a stage on this rank. What keeps checkpoints is on every one: they agree on each."""
    reads = [train.loader] if selection is None else [train.loader, selection.loader]
    yield VocabularyInUse([loader.collate_fn for loader in reads])  # type: ignore[misc]
    yield _resumer(folder, trainer.checkpoint_every)
    if selection is not None and selection.monitor is not None:
        yield _best(folder, selection.monitor)
    if trainer.graphs and ranks.size() == 1:
        yield Replays()
    if ranks.rank() == 0:
        yield progress(module.stage, module.kept_steps)
    if ranks.size() > 1:
        yield KeepSignals()


def _machine(trainer: TrainerSettings) -> dict[str, Any]:
    """Trainer arguments for where a stage runs, and for what Lightning is to leave out."""
    return {
        "accelerator": trainer.accelerator,
        "devices": trainer.devices,
        "precision": "32-true" if trainer.precision == TF32 else trainer.precision,
        "log_every_n_steps": trainer.log_every,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        **rendezvous.trainer_options(trainer),
    }


def _finish(folder: Path, facts: Mapping[str, float]) -> None:
    """Write facts.json: from here on the stage is whole. Notes go after it, for a stage that is killed here resumes."""
    kept = [path for path in (folder / LAST, folder / BEST) if path.exists()]
    digests = {path.name: digest(checkpoints.checked(path, anew(folder))) for path in kept}
    write_json(folder / FACTS, {**facts, DIGESTS: digests})
    for path in kept:
        checkpoints.forget(path)
    checkpoints.remove(folder / RESUME)


def _resumable(path: Path, stage: str) -> Path | None:
    """The checkpoint to go on from; None where the stage begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return None
    try:
        return checkpoints.checked(path, remedy="none is needed: the stage begins anew")
    except ConfigError as error:
        log.warning("%s: cannot be resumed.\n%s", stage, error)
        for name in (RESUME, BEST):
            checkpoints.remove(path.with_name(name))
        return None


def _forget_repeated(loggers: Sequence[Logger], stage: str, resume: Path | None) -> None:
    """Drop logged rows that the stage is about to write again."""
    step = 0
    if resume is not None:
        step = int(torch.load(resume, map_location="cpu", weights_only=True)["global_step"])
        log.info("%s: resumed at step %d", stage, step)
    for logger in loggers:
        if isinstance(logger, MetricsCsv):
            logger.forget_after(stage, step)


def _validation_interval(selection: Selection | None) -> dict[str, Any]:
    """Trainer arguments for how often to look at the selection split."""
    if selection is None or selection.every_steps is None:
        return {}
    return {"val_check_interval": selection.every_steps, "check_val_every_n_epoch": None}


def is_whole(folder: Path) -> bool:
    """Whether the stage that keeps its files here has ended."""
    return (folder / FACTS).exists()


def read_facts(folder: Path) -> dict[str, float]:
    """What `fit_stage` returned for the stage that keeps its files here.

    Raises:
        ConfigError: the file is not what was written.
    """
    return {name: value for name, value in _facts(folder).items() if name != DIGESTS}


def best(folder: Path) -> str:
    """The name of the checkpoint that a whole stage is judged by: its best, or its last where none was chosen."""
    return BEST if BEST in _facts(folder)[DIGESTS] else LAST


def checked(path: Path) -> Path:
    """The path of a whole stage's checkpoint, once it is found to be what was written.

    Raises:
        ConfigError: it is not; it is named.
    """
    check_file(path, _facts(path.parent)[DIGESTS][path.name], checkpoints.KEY, anew(path.parent))
    return path


def _facts(folder: Path) -> dict[str, Any]:
    return read_json(folder / FACTS, checkpoints.KEY, anew(folder), (DIGESTS, "seconds", "steps"))


def anew(folder: Path) -> str:
    """What a person types to train a stage again."""
    return f"rm -r {folder}, and the same command trains this stage again (digests are in {folder / FACTS})"


def load_weights(path: Path) -> dict[str, Tensor]:
    """The module's state in a checkpoint. Nothing is unpickled.

    Raises:
        ConfigError: as `checked`.
    """
    state: dict[str, Tensor] = torch.load(checked(path), map_location="cpu", weights_only=True)["state_dict"]
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
