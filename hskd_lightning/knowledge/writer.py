"""One teacher pass becomes a store: shard by shard, each whole or not there, by one process or by many."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

from hskd_lightning.allocator import keep_freed_memory
from hskd_lightning.artifacts import Recipe, hold
from hskd_lightning.compress.bits.base import BitsCode, ElementCode
from hskd_lightning.compress.compression import Compression, HskPlan, Layer
from hskd_lightning.data.loader import collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.devices import true_places
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.parts import FULL, Parts
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.shards import LayerRows, Size, check_values, empty_layers, layer_key, partition
from hskd_lightning.knowledge.sharing import Progress, SharedShards
from hskd_lightning.knowledge.values import Loss, reconstruction
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
    plan: HskPlan | None
    """What is kept; None: logits alone."""
    fit: Callable[[], dict[str, Tensor]]
    """The tensors of the fits of width and bits."""
    teacher: Callable[[], Teacher]
    split: TokenSplit
    width: int
    """D, the width of the teacher's hidden states."""
    classes: int
    pad_id: int
    pad_to: int | None
    device: torch.device
    precision: str


class Kept(NamedTuple):
    """What is kept of a batch's hidden states, step by step."""

    exact: Tensor  # (B, P, K, W), or D where tokens have masks
    codes: Tensor  # (B, P, K, C), or elements of the shape of the values, there
    kept: Tensor  # as exact: what the codes leave of it
    target: HiddenTarget


class Said(NamedTuple):
    """What a teacher says of a batch."""

    batch: TokenBatch
    logits: Tensor  # (B, C)
    hidden: Kept | None


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
        if contents.plan is None:
            kept = counts = torch.zeros(len(contents.split), dtype=torch.int64)
        else:
            every = torch.arange(len(contents.split)).split(4096)
            kept = torch.cat([self._kept(rows, contents.plan) for rows in every])
            counts = self._value_counts(kept, contents.plan)
        return Size.of(request, kept, contents.classes, contents.width, counts)

    def missing(self) -> list[int]:
        """Numbers of the shards that are not whole."""
        return [number for number in range(len(self.shards)) if self.parts.read_shard_note(number) is None]

    def write(self, numbers: Sequence[int]) -> None:
        """See to it that the shards of these numbers are there: make those that nobody else makes, wait for the others.

        Not inside of `build_once` for this folder: whoever takes a shard wants the lock that it holds.

        Raises:
            ConfigError: the disk is too small, or a value does not fit the bits.
        """
        if not numbers:
            return
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
        fit = self.parts.fit_digest()
        teachers, fits = ({note.pop(name) for note in notes} for name in ("weights", "fit"))
        for name, of_shards in (("weights", teachers), ("fit", fits | {fit})):
            if len(of_shards) != 1:
                remedy = f"delete {self.folder} and build again with one teacher, in one folder"
                raise ConfigError(f"store.{name}", sorted(map(str, of_shards)), "the same for all shards", remedy)
        losses = reconstruction([note.pop("loss") for note in notes])
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
    def compression(self) -> Compression | None:
        """What is kept, with the fit that all the store's writers share; None: logits alone.

        Fitted by whoever comes first, read by the others: no two machines' eigenvectors need agree.
        """
        plan, parts = self.contents.plan, self.parts
        if plan is None:
            return None
        if not plan.is_fitted:
            return plan.fitted({}).to(self.contents.device)
        if not parts.has_fit:
            with hold(parts.fit_lock, "the fit"):
                if not parts.has_fit:
                    parts.write_fit(self.contents.fit())
        return plan.fitted(parts.read_fit()).to(self.contents.device)

    def _kept(self, rows: Tensor, plan: HskPlan) -> Tensor:
        """(n,) tokens kept of each of these examples."""
        contents = self.contents
        return plan.unfitted.kept(collate(contents.split, rows, contents.pad_id, contents.pad_to))

    def _value_counts(self, kept: Tensor, plan: HskPlan) -> Tensor:
        """(n,) values kept of each example in each layer."""
        if not self.request.masks or self.request.per_token:
            return kept * self.request.units
        budget = {n: plan.unfitted.code.scalars(n * self.contents.width) for n in kept.unique().tolist()}
        return torch.tensor([budget[n] for n in kept.tolist()])

    def _write_shard(self, number: int) -> None:
        tensors, losses = self._shard(self.shards[number])
        examples, rows = len(tensors["ids"]), int(tensors["kept"].sum())
        self.parts.write_shard(number, tensors, examples=examples, rows=rows, loss=losses, **self._made_by)

    @cached_property
    def _made_by(self) -> dict[str, str | None]:
        """What all shards of a store must have in common."""
        return {"weights": self.contents.teacher().digest(), "fit": self.parts.fit_digest()}

    def in_order(self, rows: Tensor) -> Tensor:
        """A shard's rows as its batches take them: by length, for little padding."""
        return rows[self.contents.split.lengths_of(rows).argsort(stable=True)]

    def _shard(self, rows: Tensor) -> tuple[dict[str, Tensor], dict[str, Loss]]:
        """The tensors of one shard. The batches are the shard's own, so it does not matter who makes it."""
        split, request = self.contents.split, self.request
        layers = empty_layers(request, self.contents.width if request.masks else request.units)
        rows = self.in_order(rows)
        made = [self._batch(part, layers) for part in rows.split(BATCH)]
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
            assert self.compression is not None
            more, losses[layer_key(layer)] = layer_rows.tensors(layer_key(layer), self.compression.bits)
            tensors |= more
        return tensors, losses

    def _real(self, lengths: Tensor) -> Tensor:
        """(n,) tokens of which a share is a share: [PAD] too where it is distilled."""
        pad_to = self.contents.pad_to
        return lengths.int() if pad_to is None else torch.full_like(lengths, pad_to).int()

    def _batch(self, rows: Tensor, layers: dict[Layer, LayerRows]) -> tuple[Tensor, Tensor, Tensor]:
        """Run the teacher on one batch; (n,) kept tokens, (n, C) logits and (n,) values of its examples, the last two
        where the teacher is.
        """
        said = self.run_teacher(rows)
        if said.hidden is None:
            kept = torch.zeros(len(rows), dtype=torch.int32)
            return kept, said.logits, kept
        assert self.compression is not None
        kept = self.compression.kept(said.batch)
        return kept, said.logits, self._collect(said.hidden, kept, layers)

    def run_teacher(self, rows: Tensor) -> Said:
        """What the teacher says of some rows of the split, and what is kept of it."""
        contents, compression = self.contents, self.compression
        batch = collate(contents.split, rows, contents.pad_id, contents.pad_to).to(contents.device)
        states, attention, logits = self._forward(batch, contents.teacher())
        if compression is None:
            return Said(batch, logits, None)
        tokens, exact = compression.kept_values(states, batch, attention)
        codes, kept = self._coded(exact, compression.bits)
        # Units are chosen by what the store keeps of them: a reader can then choose fewer, and finds the same.
        values, units = compression.code.recall(kept, tokens.valid, contents.width)
        return Said(batch, logits, Kept(exact, codes, kept, HiddenTarget(values, tokens, units)))

    def _coded(self, exact: Tensor, bits: BitsCode) -> tuple[Tensor, Tensor]:
        """(B, P, K, W) values -> codes, or elements of which masks will choose some; and what these leave of them."""
        if self.request.masks:
            bits = cast(ElementCode, bits)
            elements = bits.elements(exact)
            return elements, bits.restored(elements)
        codes = bits.encode(exact)
        return codes, bits.decode(codes)

    def _forward(self, batch: TokenBatch, teacher: Teacher) -> tuple[list[Tensor], Tensor | None, Tensor]:
        request, plan = self.request, self.contents.plan
        looks = None if plan is None else plan.length.attention
        blocks = tuple(block for _, block in request.layers if block is not None)
        with computing(self.contents.precision, self.contents.device):
            states, attention, logits = teacher.everything(
                batch, tuple(state for state, _ in request.layers), looks, blocks
            )
        return [state.float() for state in states], attention, logits

    def _collect(self, said: Kept, kept: Tensor, layers: dict[Layer, LayerRows]) -> Tensor:
        """Add what is kept to the layers' rows, as many in each; (n,) values of each example."""
        tokens, units = said.target.tokens, said.target.units if self.request.masks else None
        valid = tokens.valid[:, 0]  # (B, K)
        places = true_places(torch.arange(valid.shape[1]) < kept[:, None], valid.device)
        for pair, layer_rows in enumerate(layers.values()):
            everything = (tokens.positions, said.exact, said.kept, said.codes, units)
            layer_rows.add(*(part[:, pair][places] for part in everything if part is not None))
        check_values(layers.values(), self.request.coder, self.request.said_bits)
        if units is None:
            return kept * self.request.units
        return (units[:, 0] & valid[..., None]).sum(dim=(1, 2))

    def _check_space(self, share: float) -> None:
        need = int(self.size.bytes * share * MARGIN)
        free = shutil.disk_usage(self.folder.parent).free  # there, even when another has just finished the store
        if free < need:
            raise ConfigError("paths.artifacts", f"{free:,} bytes free at {self.folder}", f"{need:,} bytes", FULL)
