"""Where a store has each example: the part of it that is read when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.knowledge.shards import cumulative


class Index(NamedTuple):
    """What a store knows of each example, by rising id: small, and read at once. All (N,) int64, but for the logits."""

    ids: Tensor
    shard: Tensor  # where its rows are
    tokens: Tensor  # its real tokens
    kept: Tensor  # rows of each layer
    start: Tensor  # the first of them in its shard
    counts: Tensor  # values of each layer, where its tokens have masks
    value_start: Tensor  # the first of them in its shard
    logits: Tensor  # (N, C) float32

    @classmethod
    def of(cls, shards: Iterable[Mapping[str, Tensor]]) -> Index:
        """Of all shards of a store, by their numbers."""
        parts = []
        for number, shard in enumerate(shards):
            ids, kept = shard["ids"], shard["kept"]
            counts = shard.get("counts", kept)
            places = (kept.long(), cumulative(kept), counts.long(), cumulative(counts))
            parts.append((ids, torch.full_like(ids, number), shard["tokens"].long(), *places, shard["logits"]))
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        order = columns[0].argsort()
        return cls(*(column[order] for column in columns))

    @property
    def twice(self) -> Tensor:
        """The ids that several examples have."""
        return self.ids[1:][self.ids[1:] == self.ids[:-1]]

    def rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) example ids -> (B,) rows of the index, and (B,) bool: whether the example is there."""
        rows = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        return rows, self.ids[rows] == ids
