"""Knowledge from a store (`knowledge=offline`): no teacher is loaded, none need exist any more."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression, HskPlan
from hskd_lightning.devices import moved
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.source import DevScores
from hskd_lightning.knowledge.store import Store, Wanted


class StoreSource:
    """Serves a cell from a store that covers it.

    Args:
        store: the open store.
        plan: what the cell keeps; None for logits only.
        request: what the cell asks for.
    """

    def __init__(self, store: Store, plan: HskPlan | None, request: Request) -> None:
        self.store = store
        self.compression: Compression | None = None
        if plan is None:
            return
        self.compression = plan.fitted(store.fit(plan.layers))
        self.wanted = Wanted.of(plan.layers, request, self.compression, store.facts["width"])

    @property
    def origin(self) -> str:
        return self.store.folder.name

    def teacher_scores(self) -> DevScores:
        scores: DevScores = self.store.facts["teacher_dev"]
        return scores

    def teacher_weights(self) -> str:
        weights: str = self.store.facts["weights"]
        return weights

    def hidden(self, batch: TokenBatch) -> HiddenTarget:
        if isinstance(batch.taught, HiddenTarget):
            return batch.taught
        return self.read_hidden(batch.counted.ids.cpu()).to(batch.ids.device)

    def logits(self, batch: TokenBatch) -> Tensor:
        if isinstance(batch.taught, Tensor):
            return batch.taught
        return moved(self.read_logits(batch.counted.ids.cpu()), batch.ids.device)

    def to(self, device: torch.device) -> None:
        """Put what the student is looked at by on the device; batches bring what was read for them."""
        self.compression = self.compression and self.compression.to(device)

    def reader(self, hidden: bool) -> Callable[[Tensor], HiddenTarget | Tensor]:
        return self.read_hidden if hidden else self.read_logits

    def read_hidden(self, ids: Tensor) -> HiddenTarget:
        """The hidden stage's target of (B,) example ids, on the CPU."""
        return self.store.hidden(ids, self.wanted)

    def read_logits(self, ids: Tensor) -> Tensor:
        """(B, C) logits of (B,) example ids, on the CPU."""
        return self.store.logits(ids)
