"""The seam between whoever knows (a teacher, a store) and whoever learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.store import Store


class KnowledgeSource(Protocol):
    """Gives the two stages of distillation their targets, batch by batch."""

    compression: Compression | None
    """How the student's states must be looked at to be compared; None where no hidden states are distilled."""

    @property
    def store(self) -> Store | None:
        """Where the logits are kept; None where a teacher gives them."""
        ...

    def hidden(self, batch: TokenBatch, step: int) -> HiddenTarget:
        """The hidden stage's target on the batch's device, after `step` optimiser steps."""
        ...

    def logits(self, batch: TokenBatch) -> Tensor:
        """The prediction stage's target: (B, C) logits in the order of the task's labels, or (B, 1) scores."""
        ...

    def reader(self, hidden: bool) -> Callable[[Tensor], HiddenTarget | Tensor] | None:
        """Looks knowledge up by (B,) example ids where batches are made, maybe in another process: the hidden stage's,
        or the logits. None where a teacher must see the batch first.
        """
        ...

    def to(self, device: torch.device) -> None:
        """Get ready to serve batches that live on this device."""
        ...
