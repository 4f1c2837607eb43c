"""One optimiser step of a stage, by hand of the program's own parts, and by its Trainer.

Whatever is inside hskd_lightning.training is touched here alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from benchmarks.models import TASK, conf, device
from hskd_lightning.assets.corpus import TILE
from hskd_lightning.data.loader import BucketedBatches, Collate, ResumableLoader, train_loader
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.settings.groups import TrainerSettings
from hskd_lightning.settings.stages import HIDDEN, PREDICTION
from hskd_lightning.training.distiller import Distiller
from hskd_lightning.training.fit import fit_stage
from hskd_lightning.training.metrics_csv import MetricsCsv
from hskd_lightning.training.module import EncoderModule, FineTuner, plain_config
from hskd_lightning.training.vocabulary import keep_rows_in_use

TEACHER = "teacher"
SETTINGS: dict[str, dict[str, Any]] = {
    TEACHER: {"epochs": 1.0, "lr": 2e-5},
    HIDDEN: {"epochs": 1.0, "lr": 5e-5, "dropout": False},
    PREDICTION: {"epochs": 1.0, "lr": 2e-5},
}
"""As conf/stage, conf/shared/teacher and preset=default have them."""
PARTS = ("data", "forward", "loss", "backward", "update")
"""Of a step; clip and optimiser are one pass over the parameters, the update."""


@dataclass(frozen=True)
class Stage:
    """A stage of training: which, of what model, on which examples, taught by whom."""

    name: str
    config: PreTrainedConfig
    split: TokenSplit
    source: KnowledgeSource | None = None
    batch: int = 32
    teacher_width: int = 768

    def module(self, steps: int = 1_000_000) -> EncoderModule:
        """Its LightningModule, for so many steps, with random weights."""
        common: dict[str, Any] = {
            "stage": self.name,
            "config": plain_config(self.config),
            "task": dataclasses.asdict(TASK),
            "settings": SETTINGS[self.name],
            "total_steps": steps,
            "seed": 0,
        }
        if self.source is None:
            return FineTuner(**common)
        return Distiller(teacher_width=self.teacher_width, **common).attach(self.source)

    def loader(self) -> ResumableLoader:
        """The program's own batches."""
        read = None if self.source is None else self.source.reader(self.name == HIDDEN)
        gpu = device().type == "cuda"
        make = Collate(self.split, 0, None, read, TILE if gpu else 1)
        batches = BucketedBatches(self.split.lengths, self.batch, seed=0)
        return train_loader(make, batches, device=device() if gpu else None)

    def batches(self) -> Iterator[TokenBatch]:
        """Without end."""
        loader = self.loader()
        while True:
            yield from loader


class ByHand:
    """A stage's step without Lightning.

    Args:
        stage: which.
        autocast: run the models in bfloat16, as `trainer.precision=bf16-mixed` does.
    """

    compact = True
    """Whether the word embedding has only the rows that the texts name."""

    def __init__(self, stage: Stage, autocast: bool = False) -> None:
        self.module = stage.module()
        rows = keep_rows_in_use(self.module.model, [stage.loader().loader.collate_fn]) if self.compact else None
        self.module.to(device())
        self.module.on_fit_start()
        self.optimizer = self.module.configure_optimizers()
        if rows is not None:
            rows.follow(self.optimizer)
        self.batches = stage.batches()
        self.autocast = autocast
        self._modelled = 0.0

    def __call__(self) -> None:
        """One step."""
        for _ in self._step(next(self.batches)):
            pass

    def parts(self) -> dict[str, float]:
        """One step; seconds of each of `PARTS`, waiting for the device after each."""
        leaves = [module for module in self.module.model.modules() if not list(module.children())]
        hooks = [leaf.register_forward_hook(self._mark) for leaf in leaves]
        clock = [_now()]
        clock += [_now() for _ in self._step(next(self.batches))]
        for hook in hooks:
            hook.remove()
        clock.insert(2, self._modelled)  # the loss begins where the model's last part ended
        return {part: end - start for part, start, end in zip(PARTS, clock, clock[1:], strict=False)}

    def loss(self, batch: TokenBatch) -> Tensor:
        """The stage's loss of a batch on the device."""
        with torch.autocast(device().type, torch.bfloat16, enabled=self.autocast):
            return self.module.loss(batch)

    def update(self) -> None:
        """Clip, and take the step."""
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _step(self, batch: TokenBatch) -> Iterator[None]:
        batch = batch.to(device())
        yield
        loss = self.loss(batch)
        yield
        loss.backward()
        yield
        self.update()
        yield

    def _mark(self, *_: object) -> None:
        self._modelled = _now()


class _Watched(ResumableLoader):
    """A loader that notes something whenever a batch is handed out: between two notes lies a step."""

    def __init__(self, loader: ResumableLoader, note: Callable[[], float]) -> None:
        super().__init__(loader.loader, loader.batches, loader.device)
        self.note = note
        self.notes: list[float] = []

    def __iter__(self) -> Iterator[TokenBatch]:
        for batch in super().__iter__():
            self.notes.append(self.note())
            yield batch


def by_trainer(
    stage: Stage, steps: int, folder: Path, note: Callable[[], float] = time.perf_counter, **trainer: Any
) -> list[float]:
    """`fit_stage` for so many steps; by how much `note` grew in each but the first two, which warm up.

    Args:
        stage: which.
        steps: more than 3.
        folder: for what the stage leaves.
        note: a clock, or a count.
        trainer: settings other than conf/trainer/auto has them.
    """
    quiet = {**conf("trainer/auto"), "checkpoint_every": 10**9, **trainer}
    watched = _Watched(stage.loader(), note)
    fit_stage(
        stage.module(steps), watched, folder, TrainerSettings(**quiet), None, [MetricsCsv(folder / "metrics.csv")]
    )
    return [end - start for start, end in zip(watched.notes[2:], watched.notes[3:], strict=False)]


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _now() -> float:
    synchronize()
    return time.perf_counter()
