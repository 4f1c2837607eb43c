"""The LightningModule that distils: a student, and a source of knowledge that may or may not be a teacher."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hskd_lightning import ranks
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.losses import hidden_losses, label_loss, score_loss, soft_cross_entropy
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import PREDICTION
from hskd_lightning.training.module import EncoderModule


class Distiller(EncoderModule):
    """One stage of distillation.

    Stage `hidden`: the sum over kept layer pairs of the mean squared error between the teacher's compressed states
    and the same view of the student's. A student of another width gets one learned Linear(d -> D), shared by all
    layers (Liu et al. 2021; 312 -> 768 for TinyBERT4). Stage `prediction`: soft cross entropy with the teacher's
    logits; for a regression task, squared error with the teacher's score.

    The source is given to `attach`, outside the hyperparameters and the submodules: checkpoints hold the student and
    the learned map, and never a teacher.

    Args:
        teacher_width: D.
        temperature: of the prediction stage; the paper's is 1.
        soft_loss_mean: `examples`, or `elements` for the released code's mean over classes too.
        regression_target: `teacher`, or `labels` for the released code's STS-B.
        map_init: what the learned map starts from, see `learned_map`.
        kwargs: those of `EncoderModule`, with stage = hidden or prediction.
    """

    def __init__(
        self,
        *,
        teacher_width: int,
        temperature: float = 1.0,
        soft_loss_mean: str = "examples",
        regression_target: str = "teacher",
        map_init: str = "torch",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature
        self.soft_loss_mean = soft_loss_mean
        self.regression_target = regression_target
        self.widen = learned_map(self.model.config.hidden_size, teacher_width, map_init)
        self._source: tuple[KnowledgeSource, ...] = ()  # a tuple: Lightning registers what it finds on attributes
        self._selection_losses: list[tuple[Tensor, int]] = []

    def attach(self, source: KnowledgeSource, first: KnowledgeSource | None = None) -> Distiller:
        """Give the module its source of knowledge; returns the module.

        What no loss of the stage reads is trained no more: in the hidden stage all that lies above the highest state
        that is taught, in the prediction stage the learned map.

        Args:
            source: of every step.
            first: of the very first one, where the released code teaches something else there.
        """
        self._source = (source, first or source)
        if self.stage == PREDICTION:
            self.widen.requires_grad_(False)
        else:
            assert source.compression is not None
            encoder.freeze_above(self.model, max(source.compression.layer_map.student_states))
        return self

    def on_fit_start(self) -> None:
        super().on_fit_start()
        for source in self._source:
            source.to(self.device)

    def loss(self, batch: TokenBatch) -> Tensor:
        if self.stage == PREDICTION:
            return ranks.part_of_mean(self.prediction_loss(batch), len(batch.ids))
        source, first = self._source
        return self.hidden_loss(batch, first if self.global_step == 0 else source)

    def repeatable(self, batch: TokenBatch) -> bool:
        """Where a store teaches. A teacher looks at the batch on the CPU too, and may be another in the first step."""
        return batch.taught is not None

    def hidden_loss(self, batch: TokenBatch, source: KnowledgeSource) -> Tensor:
        """The hidden stage's loss: the mean squared error, summed over layer pairs."""
        compression = source.compression
        assert compression is not None
        target = source.hidden(batch)
        kept = encoder.kept_states(self.model, batch, compression.layer_map.student_states, target.tokens)
        with torch.autocast(self.device.type, enabled=False):
            view = compression.view(kept.float(), self.widen)
            return hidden_losses(view, target, ranks.mean).sum()

    def prediction_loss(self, batch: TokenBatch) -> Tensor:
        """The prediction stage's loss, against the teacher's logits or score."""
        predicted = encoder.logits(self.model, batch)
        if self.task.regression and self.regression_target == "labels":
            return label_loss(predicted, batch.labels)
        taught = self._source[0].logits(batch)
        if self.task.regression:
            return score_loss(predicted, taught.squeeze(-1))
        return soft_cross_entropy(predicted, taught, self.temperature, self.soft_loss_mean)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._selection_losses.clear()

    def validation_step(self, batch: TokenBatch, batch_idx: int) -> None:
        if self.stage == PREDICTION:
            super().validation_step(batch, batch_idx)
        else:
            loss = self.hidden_loss(batch, self._source[0])
            self._selection_losses.append((loss, len(batch.ids)))

    def on_validation_epoch_end(self) -> None:
        if self.stage == PREDICTION:
            super().on_validation_epoch_end()
            return
        losses, counts = zip(*self._selection_losses, strict=True)
        mean = sum(loss * count for loss, count in zip(torch.stack(losses).tolist(), counts, strict=True)) / sum(counts)
        self.log("hidden/selection_loss", mean, sync_dist=True)


def learned_map(width: int, teacher_width: int, start: str) -> nn.Module:
    """The map from the student's width to the teacher's, Linear(d -> D); the identity where the widths agree.

    Args:
        start: `torch`, its own default; `normal`, N(0, 0.02) without bias, as the released code draws every layer;
            `checkpoint`, as normal until the checkpoint's own is put there, if it has one.
    """
    if width == teacher_width:
        return nn.Identity()
    made = nn.Linear(width, teacher_width)
    if start != "torch":
        nn.init.normal_(made.weight, std=0.02)
        nn.init.zeros_(made.bias)
    return made
