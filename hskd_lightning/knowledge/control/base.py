"""What a control is, what it may draw on, and the source that it turns the true one into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.data.loader import Reader
from hskd_lightning.data.split import Splits
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.source import DevScores, KnowledgeSource

LookUp = Callable[[Tensor], HiddenTarget]
"""(B,) example ids on the CPU -> their target, wherever it is made."""


class Change(Protocol):
    """What becomes of a target. It depends on the examples' ids alone, never on the batch."""

    def __call__(self, ids: Tensor, target: HiddenTarget) -> HiddenTarget:
        """(B,) example ids on the CPU and their target, wherever it is -> the target to teach instead, there."""
        ...

    def to(self, device: torch.device) -> Change:
        """The same for targets on this device: what it draws on is put there, once."""
        ...


class Teachable(Protocol):
    """What an experiment can learn from, and about, before a control changes it."""

    @property
    def splits(self) -> Splits:
        """The examples that the hidden stage trains and is selected on."""
        ...

    def true(self) -> KnowledgeSource:
        """The fine-tuned teacher's states and logits."""
        ...

    def logits(self) -> KnowledgeSource:
        """The fine-tuned teacher's logits alone."""
        ...

    def untrained(self) -> KnowledgeSource:
        """The states of the same teacher before fine-tuning."""
        ...

    def look_up(self, source: KnowledgeSource) -> LookUp:
        """What a source says of examples that are known by their ids alone."""
        ...

    def targets(self, source: KnowledgeSource) -> Iterable[HiddenTarget]:
        """What a source says of the whole training split, batch by batch."""
        ...


class Control(Protocol):
    """Chooses what the hidden stage is taught. Logits, layer pairs and the amount of knowledge stay the setting's."""

    trained: bool
    """Whether what is taught comes from the fine-tuned teacher."""

    def source(self, teachable: Teachable) -> KnowledgeSource:
        """Where the student gets its knowledge."""
        ...


class Unchanged:
    """The change that changes nothing."""

    def __call__(self, ids: Tensor, target: HiddenTarget) -> HiddenTarget:
        return target

    def to(self, device: torch.device) -> Unchanged:
        return self


class Controlled:
    """A source whose logits are the true ones and whose hidden states are not.

    Args:
        true: gives the logits.
        shown: gives the hidden states
        change: and what becomes of them.
    """

    def __init__(self, true: KnowledgeSource, shown: KnowledgeSource, change: Change | None = None) -> None:
        self.true = true
        self.shown = shown
        self.change = change or Unchanged()

    @property
    def compression(self) -> Compression | None:
        return self.shown.compression

    @property
    def origin(self) -> str | None:
        return self.true.origin

    def teacher_scores(self) -> DevScores:
        return self.true.teacher_scores()

    def teacher_weights(self) -> str:
        return self.true.teacher_weights()

    def hidden(self, batch: TokenBatch) -> HiddenTarget:
        if isinstance(batch.taught, HiddenTarget):
            return batch.taught  # changed where the batch was made
        return self.change(batch.counted.ids, self.shown.hidden(batch))

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.true.logits(batch)

    def reader(self, hidden: bool) -> Reader | None:
        source = self.shown if hidden else self.true
        read = source.reader(hidden)
        return _ChangedReader(read, self.change) if hidden and read is not None else read

    def to(self, device: torch.device) -> None:
        self.true.to(device)
        self.shown.to(device)
        self.change = self.change.to(device)


@dataclass(frozen=True)
class _ChangedReader:
    """A class, so that worker processes can be spawned with it."""

    read: Reader
    change: Change

    def __call__(self, ids: Tensor) -> HiddenTarget:
        target = self.read(ids)
        assert isinstance(target, HiddenTarget)
        return self.change(ids, target)


def with_values(target: HiddenTarget, values: Tensor) -> HiddenTarget:
    """Put other values into a target, of a shape that broadcasts to (B, P, K, W): 0 off a token's mask, as ever."""
    values = values.expand_as(target.values)
    return target._replace(values=values if target.units is None else values.masked_fill(~target.units, 0.0))
