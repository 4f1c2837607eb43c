"""The vocabulary in use: while a stage trains, its word embedding has only the rows that the stage's texts name.

CoLA names some 6,000 of BERT's 30,522 word pieces. The others' gradient is zero at every step, but it is made, clipped
and walked over by the optimiser all the same. Nothing but weight decay ever changes such a row, and it changes all of
them by one factor: they are put back, decayed, wherever the table is asked for as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from transformers import PreTrainedModel

from hskd_lightning.data.loader import Collate

CHUNK = 1 << 20
"""Tokens looked at in one piece: a split may be larger than the memory."""
WORTH = 50_000
"""Values to leave out at least: looking rows up costs a step 30 microseconds, and so do 30,000 values."""


class RowsInUse(nn.Embedding):
    """Some rows of an embedding table, looked up by the ids of the whole one.

    An id whose row is not here is an error of the lookup, as one beyond the table is: it is never given another row.
    `state_dict` and `load_state_dict` speak of the whole table, so whoever reads or writes a checkpoint need not know.

    Args:
        whole: (V, D) the table, which stays as it is until it is `restored`.
        ids: (R,) int64, ascending; the table's padding id among them.
    """

    def __init__(self, whole: nn.Embedding, ids: Tensor) -> None:
        row = torch.full((whole.num_embeddings,), -1)
        row[ids] = torch.arange(len(ids))
        padding = None if whole.padding_idx is None else int(row[whole.padding_idx])
        super().__init__(len(ids), whole.embedding_dim, padding, _weight=whole.weight.detach()[ids])
        self.register_buffer("row", row, persistent=False)
        self.ids = ids
        self.decay = 1.0
        """What weight decay has left of the other rows. In double precision: a step may take less than 1e-7 of it."""
        self._whole = (whole,)  # a tuple: torch registers the modules that it finds on attributes

    def forward(self, input: Tensor) -> Tensor:
        """(B, T) ids of the whole table -> (B, T, D)."""
        return super().forward(self.row[input])  # type: ignore[index]

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Decay the other rows too, at every step of the optimiser that trains these."""
        (group,) = (group for group in optimizer.param_groups if any(own is self.weight for own in group["params"]))

        def decay(*_: Any) -> None:
            self.decay *= 1 - group["lr"] * group["weight_decay"]

        optimizer.register_step_post_hook(decay)

    def table(self) -> Tensor:
        """(V, D): these rows as they are trained, the others as they would be. Where the whole table was."""
        table = self._whole[0].weight.detach() * self.decay
        table[self.ids] = self.weight.detach().to(table.device)
        return table

    def restored(self) -> nn.Embedding:
        """The whole table's own module, with the values of now."""
        (whole,) = self._whole
        whole.weight.data = self.table().to(self.weight.device)
        return whole

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.table()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        name = f"{prefix}weight"
        super()._load_from_state_dict({**state_dict, name: state_dict[name][self.ids]}, prefix, *args)


class VocabularyInUse(Callback):
    """Trains a stage with the rows that its batches name, if that leaves out enough to be worth it.

    A resumed stage has the other rows from the module that it begins with, and their decay from the checkpoint. After
    the fit the module has its whole table again.

    Args:
        batches: how each split that the stage reads becomes batches.
    """

    def __init__(self, batches: Iterable[Collate]) -> None:
        self.batches = tuple(batches)
        self._rows: RowsInUse | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Before a checkpoint is restored, the optimiser built and the module moved to its device."""
        self._rows = keep_rows_in_use(pl_module.model, self.batches)  # type: ignore[arg-type]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._rows is not None:
            self._rows.follow(trainer.optimizers[0])

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._rows is not None:
            _replace(pl_module, self._rows, self._rows.restored())

    def state_dict(self) -> dict[str, Any]:
        return {} if self._rows is None else {"decay": self._rows.decay}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self._rows is not None
        self._rows.decay = state_dict["decay"]


def keep_rows_in_use(model: PreTrainedModel, batches: Iterable[Collate]) -> RowsInUse | None:
    """Leave a model only the rows of its word embedding that these batches name; None where it keeps all."""
    whole = model.get_input_embeddings()
    if not _stands_alone(whole, model):
        return None
    ids = named(batches, whole)
    if (whole.num_embeddings - len(ids)) * whole.embedding_dim < WORTH:
        return None
    rows = RowsInUse(whole, ids)
    _replace(model, whole, rows)
    return rows


def named(batches: Iterable[Collate], table: nn.Embedding) -> Tensor:
    """(R,) int64, ascending: the ids that these batches name, padding included."""
    used = torch.zeros(table.num_embeddings, dtype=torch.bool)
    if table.padding_idx is not None:
        used[table.padding_idx] = True
    for made in batches:
        used[made.pad_id] = True
        for part in made.split.input_ids.split(CHUNK):
            used[part.long()] = True
    return used.nonzero().flatten()


def _stands_alone(table: nn.Module, model: nn.Module) -> bool:
    """Whether this is a table of rows that is trained, and that no other part of the model has too."""
    if type(table) is not nn.Embedding or not table.weight.requires_grad:
        return False
    return sum(own is table.weight for _, own in model.named_parameters(remove_duplicate=False)) == 1


def _replace(model: nn.Module, part: nn.Module, other: nn.Module) -> None:
    (name,) = (name for name, module in model.named_modules() if module is part)
    model.set_submodule(name, other)
