"""Batches: padded to their longest example, bucketed by length, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hskd_lightning import ranks
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import HiddenTarget, TokenBatch

Reader = Callable[[Tensor], HiddenTarget | Tensor | tuple[Tensor, ...]]
BUCKET_BATCHES = 50
"""Examples are sorted by length within windows of this many batches: little padding, and still a random order."""


def collate(split: TokenSplit, rows: Tensor, pad_id: int, pad_to: int | None = None, multiple: int = 1) -> TokenBatch:
    """Gather rows of a split into one padded batch, by one index per tensor; padding reads the first token, and is
    written over.

    Args:
        rows: (B,) positions in the split.
        pad_id: the tokenizer's padding id.
        pad_to: pad to this length rather than to the longest example.
        multiple: without `pad_to`, make the length a multiple of this.
    """
    lengths = split.lengths_of(rows)  # (B,)
    width = -(-int(lengths.max()) // multiple) * multiple if pad_to is None else pad_to
    column = torch.arange(width)
    padding = column >= lengths[:, None]  # (B, T)
    places = (split.starts[rows][:, None] + column).masked_fill_(padding, 0)

    def padded(values: Tensor, fill: int, dtype: torch.dtype) -> Tensor:
        return values.take(places).to(dtype).masked_fill_(padding, fill)

    return TokenBatch(
        ids=split.ids[rows],
        input_ids=padded(split.input_ids, pad_id, torch.int64),
        attention_mask=(~padding).long(),
        token_type_ids=padded(split.token_type_ids, 0, torch.int64),
        special=padded(split.special, 0, torch.bool),
        labels=split.labels[rows],
    )


class BucketedBatches(Sampler[list[int]]):
    """Batches of examples of like length. The order is a function of (seed, epoch), not of workers or of history.

    Args:
        lengths: (N,) tokens of each example.
        batch_size: examples per batch.
        seed: the run's seed.
        drop_last: leave the last, smaller batch of an epoch out.
    """

    def __init__(
        self,
        lengths: Tensor,
        batch_size: int,
        seed: int,
        drop_last: bool = False,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        self.start = 0
        self.part = (0, 1)
        """Which rank's share of each batch is drawn, of how many ranks'; see `ranks.share`."""

    def __len__(self) -> int:
        total = len(self.lengths)
        whole = total // self.batch_size
        return max(1, whole) if self.drop_last else -(-total // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for rows in self._epoch()[self.start :]:
            yield ranks.share(rows, self.part).tolist()  # one at a time: a Python number weighs four times a tensor's

    def _epoch(self) -> list[Tensor]:
        """The rows of each batch of the current epoch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        whole = len(order) // self.batch_size * self.batch_size
        # The remainder is drawn before sorting: after it, it would be the longest examples every time.
        batches: list[Tensor] = []
        for window in order[:whole].split(self.batch_size * BUCKET_BATCHES):
            by_length = window[self.lengths[window].argsort(stable=True)]
            batches += by_length.split(self.batch_size)
        shuffled = [batches[i] for i in torch.randperm(whole // self.batch_size, generator=generator).tolist()]
        if whole < len(order) and (not self.drop_last or not shuffled):
            shuffled.append(order[whole:])
        return shuffled


class ResumableLoader:
    """A DataLoader that can stop in mid-epoch and go on with the very next batch.

    Lightning saves `state_dict` into its checkpoints and gives it back on resume.

    Args:
        loader: makes the batches,
        batches: in this order.
        device: to which each is sent, while the one before it is worked on there; None: that is Lightning's affair.
    """

    def __init__(self, loader: DataLoader[Any], batches: BucketedBatches, device: torch.device | None = None) -> None:
        self.loader = loader
        self.batches = batches
        self.device = device
        self.epoch = 0
        self.position = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[TokenBatch]:
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        self.batches.epoch, self.batches.start = self.epoch, self.position
        device = self.device
        made = self.loader if device is None else ahead(batch.to(device) for batch in self.loader)
        for batch in made:
            self.position += 1  # counted before the step: a checkpoint taken after it points at the next batch
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]


class _Rows(Dataset[Tensor]):
    """Hands a batch's row numbers on to the collate function in one piece, without a Python loop per example."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, rows: list[int]) -> Tensor:
        return torch.tensor(rows)


@dataclass(frozen=True)
class Collate:
    """Rows of a split -> a batch. A class, so that worker processes can be spawned with it.

    Args:
        split: where the rows are.
        pad_id: the tokenizer's padding id.
        pad_to: see `collate`.
        read: looks up what a store says of (B,) example ids, for `TokenBatch.taught`.
        multiple: see `collate`.
    """

    split: TokenSplit
    pad_id: int
    pad_to: int | None = None
    read: Reader | None = None
    multiple: int = 1

    def __call__(self, rows: Any) -> TokenBatch:
        batch = collate(self.split, rows, self.pad_id, self.pad_to, self.multiple)
        return batch if self.read is None else batch._replace(taught=self.read(batch.ids))


def ahead(batches: Iterator[TokenBatch]) -> Iterator[TokenBatch]:
    """The same batches, each made by a thread while the one before it is used."""
    with ThreadPoolExecutor(max_workers=1) as maker:
        coming = maker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = maker.submit(next, batches, None)
            yield batch


def train_loader(
    make: Collate, batches: BucketedBatches, workers: int = 0, device: torch.device | None = None
) -> ResumableLoader:
    """Shuffled batches for training, resumable in mid-epoch; `device` as in `ResumableLoader`."""
    loader = DataLoader(_Rows(len(make.split)), batch_sampler=batches, collate_fn=make, num_workers=workers)
    return ResumableLoader(loader, batches, device)


def eval_loader(make: Collate, batch_size: int) -> DataLoader[Any]:
    """Every example once, shortest first: batches of like length, least padding."""
    order = make.split.lengths.argsort(stable=True)
    batches = [rows.tolist() for rows in order.split(batch_size)]
    return DataLoader(_Rows(len(make.split)), batch_sampler=batches, collate_fn=make)
