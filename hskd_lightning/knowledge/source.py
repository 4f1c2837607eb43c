"""The seam between whoever knows (a teacher, a store) and whoever learns."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.data.loader import Reader
from hskd_lightning.hsk import HiddenTarget, TokenBatch

DevScores = dict[str, dict[str, float]]
"""Dev split -> name of a figure -> its value."""


class KnowledgeSource(Protocol):
    """Gives the two stages of distillation their targets, batch by batch."""

    @property
    def compression(self) -> Compression | None:
        """How the student's states must be looked at to be compared; None where no hidden states are distilled."""
        ...

    @property
    def origin(self) -> str | None:
        """The name of the store that the logits come from; None where a teacher in memory gives them."""
        ...

    def teacher_scores(self) -> DevScores:
        """The figures that the teacher behind the logits reaches on each dev split."""
        ...

    def teacher_weights(self) -> str:
        """A hash of that teacher's weights."""
        ...

    def hidden(self, batch: TokenBatch) -> HiddenTarget:
        """The hidden stage's target on the batch's device."""
        ...

    def logits(self, batch: TokenBatch) -> Tensor:
        """The prediction stage's target: (B, C) logits in the order of the task's labels, or (B, 1) scores."""
        ...

    def reader(self, hidden: bool) -> Reader | None:
        """Looks knowledge up by (B,) example ids where batches are made, maybe in another process: the hidden stage's,
        or the logits. None where a teacher must see the batch first. Asked for once a stage, before its first batch.
        """
        ...

    def to(self, device: torch.device) -> None:
        """Get ready to serve batches that live on this device."""
        ...
