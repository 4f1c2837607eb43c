"""One teacher pass becomes a store: shard by shard, each whole or not there, by one process or by many."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from hskd_lightning.allocator import keep_freed_memory
from hskd_lightning.artifacts import Recipe, hold
from hskd_lightning.compress.compression import Compression, Layer, Padding
from hskd_lightning.compress.length.base import LengthStrategy
from hskd_lightning.compress.width.base import UnitCode
from hskd_lightning.data.loader import collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.devices import true_places
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.hsk import HiddenTarget, LayerMap, TokenBatch
from hskd_lightning.knowledge.manifest import MOST_SHARDS
from hskd_lightning.knowledge.parts import FULL, Parts
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.shards import LayerRows, Size, check_floats, empty_layers, layer_key, partition
from hskd_lightning.knowledge.sharing import Progress, SharedShards
from hskd_lightning.knowledge.values import DTYPES, Loss, reconstruction
from hskd_lightning.models.precision import computing
from hskd_lightning.models.teacher import Teacher

log = logging.getLogger(__name__)
BATCH = 64
MARGIN = 1.2
"""Free disk asked for, as a multiple of what the store will weigh."""


@dataclass(frozen=True)
class Contents:
    """What a store is made from. The two callables run a teacher, so they are called only where shards are missing."""

    request: Request
    length: LengthStrategy
    unfitted: UnitCode
    """The width strategy's code before its fit: its shape is right, its numbers may not be."""
    fit: Callable[[], UnitCode]
    teacher: Callable[[], Teacher]
    split: TokenSplit
    width: int
    """D, the width of the teacher's hidden states."""
    classes: int
    pad_id: int
    pad_to: int | None
    padding: Padding
    device: torch.device
    precision: str


class Writer:
    """Makes a store's files in a folder. Safe to kill, safe to run beside others that make other shards.

    Args:
        folder: where; it may hold what an earlier writer left.
        contents: from what.
    """

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.folder = folder
        self.parts = Parts(folder)
        self.contents = contents
        self.request = contents.request

    @cached_property
    def shards(self) -> list[Tensor]:
        """The rows of the split that each shard has."""
        return partition(self.contents.split.lengths, self.request.shard_tokens)

    @cached_property
    def size(self) -> Size:
        """What the store will weigh."""
        contents, request = self.contents, self.request
        if not request.layers:
            kept = counts = torch.zeros(len(contents.split), dtype=torch.int64)
        else:
            kept = torch.cat([self._kept(rows) for rows in torch.arange(len(contents.split)).split(4096)])
            counts = self._value_counts(kept)
        return Size.of(request, kept, contents.classes, contents.width, counts, len(self.shards))

    def missing(self) -> list[int]:
        """Numbers of the shards that are not whole."""
        return [number for number in range(len(self.shards)) if self.parts.read_shard_note(number) is None]

    def write(self, numbers: Sequence[int]) -> None:
        """See to it that the shards of these numbers are there: make those that nobody else makes, wait for the others.

        Not inside of `build_once` for this folder: whoever takes a shard wants the lock that it holds.

        Raises:
            ConfigError: the disk is too small, or a value does not fit the dtype.
        """
        if not numbers:
            return
        self._check_count()
        self._check_space(len(numbers) / len(self.shards))
        keep_freed_memory()
        shared, progress = SharedShards(self.parts, numbers), Progress(len(self.shards))
        while shared.pending:
            with shared.take() as number:
                if number is not None:
                    self._write_shard(number)
                    progress.made(number, int(self.contents.split.lengths_of(self.shards[number]).sum()))
            if number is None and shared.pending:
                progress.wait()

    def finish(self) -> Recipe:
        """The manifest's facts, once every shard is there.

        Raises:
            ConfigError: shards are missing, or were made with different teachers.
        """
        if missing := self.missing():
            remedy = f"build them first: {command('store')} build --shard i/n ..."
            named = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
            raise ConfigError("store", f"{len(missing)} of {len(self.shards)} shards missing: {named}", "all", remedy)
        notes = [shard_note for number in range(len(self.shards)) if (shard_note := self.parts.read_shard_note(number))]
        teachers = {note.pop("weights") for note in notes}
        if len(teachers) != 1:
            remedy = f"delete {self.folder} and build again with one teacher"
            raise ConfigError("store.weights", sorted(teachers), "one teacher for all shards", remedy)
        losses = reconstruction([note.pop("loss") for note in notes])
        fit = self.parts.fit_digest() if self.parts.has_fit else None
        self.parts.tidy(len(self.shards))
        return {
            "weights": teachers.pop(),
            "shards": notes,
            "fit": fit,
            "width": self.contents.width,
            "classes": self.contents.classes,
            "examples": self.size.examples,
            "values": self.size.values,
            "bytes": sum(note["bytes"] for note in notes),
            "reconstruction": losses,
        }

    @cached_property
    def compression(self) -> Compression:
        """What is kept, with the fit that all the store's writers share."""
        layers = self.request.layers
        layer_map = LayerMap(tuple((state, state) for state, _ in layers))
        made = Compression(layer_map, self.contents.length, self._fit(), self.contents.padding)
        return made.to(self.contents.device)

    def _fit(self) -> UnitCode:
        """Fitted by whoever comes first, read by the others: no two machines' eigenvectors need agree."""
        unfitted, parts = self.contents.unfitted, self.parts
        if not self.request.layers or not unfitted.fitted:
            return unfitted
        if not parts.has_fit:
            with hold(parts.fit_lock, "the fit"):
                if not parts.has_fit:
                    parts.write_fit(self.contents.fit().fitted)
        return unfitted.refitted(parts.read_fit())

    def _kept(self, rows: Tensor) -> Tensor:
        """(n,) tokens kept of each of these examples."""
        contents = self.contents
        batch = collate(contents.split, rows, contents.pad_id, contents.pad_to)
        return Compression(LayerMap(()), contents.length, contents.unfitted, contents.padding).kept(batch)

    def _value_counts(self, kept: Tensor) -> Tensor:
        """(n,) values kept of each example in each layer."""
        if self.request.per_token:
            return kept * self.request.units
        budget = {n: self.contents.unfitted.scalars(n * self.contents.width) for n in kept.unique().tolist()}
        return torch.tensor([budget[n] for n in kept.tolist()])

    def _write_shard(self, number: int) -> None:
        tensors, losses = self._shard(self.shards[number], self.compression, self.contents.teacher())
        examples, rows = len(tensors["ids"]), int(tensors["kept"].sum())
        self.parts.write_shard(number, tensors, examples=examples, rows=rows, weights=self._weights, loss=losses)

    @cached_property
    def _weights(self) -> str:
        return self.contents.teacher().digest()

    def in_order(self, rows: Tensor) -> Tensor:
        """A shard's rows as its batches take them: by length, for little padding."""
        return rows[self.contents.split.lengths_of(rows).argsort(stable=True)]

    def _shard(
        self, rows: Tensor, compression: Compression, teacher: Teacher
    ) -> tuple[dict[str, Tensor], dict[str, Loss]]:
        """The tensors of one shard. The batches are the shard's own, so it does not matter who makes it."""
        split, request = self.contents.split, self.request
        layers = empty_layers(request, self.contents.width if request.masks else request.units)
        rows = self.in_order(rows)
        made = [self._batch(part, compression, teacher, layers) for part in rows.split(BATCH)]
        kept, logits, counts = (torch.cat(parts).cpu() for parts in zip(*made, strict=True))
        tensors = {
            "ids": split.ids[rows].clone(),
            "tokens": self._real(split.lengths_of(rows)),
            "kept": kept.int(),
            "logits": logits.float(),
        }
        if request.masks:
            tensors["counts"] = counts.int()
        losses = {}
        for layer, layer_rows in layers.items():
            more, losses[layer_key(layer)] = layer_rows.tensors(layer_key(layer))
            tensors |= more
        return tensors, losses

    def _real(self, lengths: Tensor) -> Tensor:
        """(n,) tokens of which a share is a share: [PAD] too where it is distilled."""
        pad_to = self.contents.pad_to
        return lengths.int() if pad_to is None else torch.full_like(lengths, pad_to).int()

    def _batch(
        self, rows: Tensor, compression: Compression, teacher: Teacher, layers: dict[Layer, LayerRows]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the teacher on one batch; (n,) kept tokens, (n, C) logits and (n,) values of its examples, the last two
        where the teacher is.
        """
        batch, states, target, logits = self.run_teacher(rows, compression, teacher)
        if target is None:
            kept = counts = torch.zeros(len(rows), dtype=torch.int32)
            return kept, logits, counts
        kept = compression.kept(batch)
        counts = self._collect(target, kept, layers)
        if self.request.dtype == "int8":
            real = true_places(compression.tokens(batch.counted, None).real, logits.device)
            seen = compression.code.view(torch.stack(states, dim=1))  # (B, P, T, W)
            for pair, layer_rows in enumerate(layers.values()):
                layer_rows.range.widen(seen[:, pair][real])
        return kept, logits, counts

    def run_teacher(
        self, rows: Tensor, compression: Compression, teacher: Teacher
    ) -> tuple[TokenBatch, list[Tensor], HiddenTarget | None, Tensor]:
        """Run the teacher on some rows of the split: the batch, the states, what is kept of them, and (B, C) logits."""
        contents = self.contents
        batch = collate(contents.split, rows, contents.pad_id, contents.pad_to).to(contents.device)
        states, attention, logits = self._forward(batch, teacher)
        if not states:
            return batch, states, None, logits
        if not self.request.masks or self.request.dtype == "int8":
            return batch, states, compression.compress(states, batch, attention), logits
        # Units are chosen by what the store keeps of them: a reader can then choose fewer, and finds the same.
        rounded = [state.to(DTYPES[self.request.dtype]).float() for state in states]
        target = compression.compress(rounded, batch, attention)
        assert target.units is not None
        exact = target.tokens.gather(states).masked_fill(~target.units, 0.0)
        return batch, states, target._replace(values=exact), logits

    def _forward(self, batch: TokenBatch, teacher: Teacher) -> tuple[list[Tensor], Tensor | None, Tensor]:
        request, length = self.request, self.contents.length
        blocks = tuple(block for _, block in request.layers if block is not None)
        with computing(self.contents.precision, self.contents.device):
            states, attention, logits = teacher.everything(
                batch, tuple(state for state, _ in request.layers), length.attention, blocks
            )
        return [state.float() for state in states], attention, logits

    def _collect(self, target: HiddenTarget, kept: Tensor, layers: dict[Layer, LayerRows]) -> Tensor:
        """Add what is kept to the layers' rows, as many in each; (n,) values of each example."""
        valid = target.tokens.valid[:, 0]  # (B, K)
        places = true_places(torch.arange(valid.shape[1]) < kept[:, None], valid.device)
        for pair, layer_rows in enumerate(layers.values()):
            mask = None if target.units is None else target.units[:, pair][places]
            layer_rows.add(target.tokens.positions[:, pair][places], target.values[:, pair][places], mask)
        check_floats(layers.values())
        if target.units is None:
            return kept * target.values.shape[-1]
        return (target.units[:, 0] & valid[..., None]).sum(dim=(1, 2))

    def _check_count(self) -> None:
        if (count := len(self.shards)) > MOST_SHARDS:
            least = -(-int(self.contents.split.lengths.sum()) // (MOST_SHARDS - 1))
            allowed = f"{MOST_SHARDS:,} shards at most: it makes {count:,} of this data"
            raise ConfigError("store.shard_tokens", self.request.shard_tokens, allowed, f"set it to {least} or more")

    def _check_space(self, share: float) -> None:
        need = int(self.size.bytes * share * MARGIN)
        free = shutil.disk_usage(self.folder.parent).free  # there, even when another has just finished the store
        if free < need:
            raise ConfigError("paths.artifacts", f"{free:,} bytes free at {self.folder}", f"{need:,} bytes", FULL)
