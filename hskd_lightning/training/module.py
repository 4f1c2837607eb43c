"""What training a teacher and training a student have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig

from hskd_lightning import ranks
from hskd_lightning.data import metrics
from hskd_lightning.data.examples import Task
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.losses import label_loss
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import StageSettings
from hskd_lightning.training.finite import Losses, check_weights
from hskd_lightning.training.graphs import StepGraphs
from hskd_lightning.training.optim import build_optimizer, rate_factor


class EncoderModule(pl.LightningModule):
    """A Hugging Face classifier in training. All that it is built from is plain JSON, so every checkpoint loads with
    `weights_only=True` and no arguments.

    Args:
        stage: its name: teacher, hidden or prediction. It heads the names of what is logged.
        config: the model's configuration as a dict, with `model_type`.
        task: the fields of `Task`.
        settings: the fields of `StageSettings`.
        total_steps: optimiser steps of this stage, over which its schedule runs.
        seed: with the stage and the step it decides all randomness of that step, dropout above all: a resumed run
            is the unbroken one, and a run with a teacher in the loop is the one without.
    """

    def __init__(
        self,
        stage: str,
        config: Mapping[str, Any],
        task: Mapping[str, Any],
        settings: Mapping[str, Any],
        total_steps: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.stage = stage
        self.task = Task(task["name"], task["metric"], None if task["labels"] is None else tuple(task["labels"]))
        self.settings = StageSettings(**settings)
        self.total_steps = total_steps
        self.seed = seed
        torch.manual_seed(step_seed(seed, stage, step=-1))  # for weights that nothing is loaded into
        plain = dict(config)
        self.model = encoder.build_classifier(AutoConfig.for_model(plain.pop("model_type"), **plain))
        self.losses = Losses()
        self.graphs: StepGraphs | None = None
        self._replayed = False
        self._scored: list[tuple[Tensor, Tensor]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes each hook that it calls, and a module looks at whatever it is given as a layer: forty times
        a step, 2% of a tiny student's.
        """
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def kept_steps(self) -> int:
        """The steps that are made: all, but with `saved_every` those that the kept weights have seen."""
        return self.settings.kept(self.total_steps)

    def loss(self, batch: TokenBatch) -> Tensor:
        """The stage's loss of a batch."""
        raise AssertionError("a stage says what its loss is")

    def repeatable(self, batch: TokenBatch) -> bool:
        """Whether the loss is a function of what such a batch has on its device, so that its step can be replayed."""
        return True

    def on_fit_start(self) -> None:
        self.train()
        self.model.train(self.settings.dropout)

    def on_train_batch_start(self, batch: TokenBatch, batch_idx: int) -> None:
        step = self.global_step
        reseed(step_seed(self.seed, self.stage, step, ranks.rank()), self.device)
        rate = self.settings.lr * rate_factor(self.settings, self.total_steps, step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: TokenBatch, batch_idx: int) -> Tensor:
        replayed = self.graphs(batch) if self.graphs is not None and self.repeatable(batch) else None
        self._replayed = replayed is not None
        loss, step = self.loss(batch) if replayed is None else replayed, self.global_step
        self.losses.add(step, loss)
        if step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_loss(self.losses.read(self.stage), step)
        elif self.device.type == "cpu":  # where nothing has to be waited for
            self.losses.read(self.stage)
        return loss

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """A replayed step has its gradients already: Lightning asks for this after the loss."""
        if self._replayed:
            return
        for group in optimizer.param_groups:  # torch's own zero_grad takes as long as a layer of a tiny student
            for parameter in group["params"]:
                parameter.grad = None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if not self._replayed:
            super().backward(loss, *args, **kwargs)

    def _log_loss(self, loss: float, step: int) -> None:
        """To the loggers directly: what `self.log` was told once, Lightning logs again at every later step."""
        for logger in self.loggers:
            logger.log_metrics({f"{self.stage}/loss": loss}, step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Nothing is kept of a stage whose loss or weights are no numbers any more."""
        self.losses.read(self.stage)
        check_weights(checkpoint["state_dict"], self.stage, self.global_step)

    def on_validation_epoch_start(self) -> None:
        self._scored.clear()

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        self._scored.append((self.forward(batch), batch.labels))

    def on_validation_epoch_end(self) -> None:
        scored, labels = (torch.cat(parts).cpu() for parts in zip(*self._scored, strict=True))
        for name, value in metrics.compute(self.task, scored, labels).items():
            self.log(f"{self.stage}/selection_{name}", value, sync_dist=True)
        self._scored.clear()

    def forward(self, batch: TokenBatch) -> Tensor:
        """(B, C) logits."""
        return encoder.logits(self.model, batch).float()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self, self.settings)


class FineTuner(EncoderModule):
    """Fits gold labels: how a teacher is made, and the baseline `knowledge=labels`."""

    def loss(self, batch: TokenBatch) -> Tensor:
        return ranks.part_of_mean(label_loss(encoder.logits(self.model, batch), batch.labels), len(batch.labels))


def plain_config(config: PreTrainedConfig) -> dict[str, Any]:
    """A model configuration as JSON values, from which `EncoderModule` rebuilds the model."""
    plain: dict[str, Any] = config.to_dict()
    return plain


def reseed(seed: int, device: torch.device) -> None:
    """`torch.manual_seed`, for one device.

    That one seeds all kinds of device, and takes down a stack trace for each kind that is not in use: at every step,
    6% of a small student's training.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def step_seed(seed: int, stage: str, step: int, rank: int = 0) -> int:
    """One seed for each (seed, stage, step), and for each rank: what they draw is for different examples."""
    drawn = (seed, int.from_bytes(stage.encode(), "big"), step)
    return hash((*drawn, rank) if rank else drawn) & 0x7FFFFFFF
