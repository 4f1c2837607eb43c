"""The sources of knowledge that an experiment could have; its control chooses among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor

from hskd_lightning.assets.stores import Storeroom
from hskd_lightning.assets.workshop import Workshop
from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import Splits
from hskd_lightning.data.tokens import TokenSplit, concatenate
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.control.base import LookUp
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.teacher_source import TeacherSource


@dataclass(frozen=True)
class Sources:
    """Made from what a workshop makes; see `knowledge.control.base.Sources`."""

    workshop: Workshop

    @property
    def splits(self) -> Splits:
        return self.workshop.student_splits

    def true(self) -> KnowledgeSource:
        return source_of(self.workshop)

    def logits(self) -> KnowledgeSource:
        return source_of(Workshop(replace(self.workshop.experiment, plan=None)))

    def untrained(self) -> KnowledgeSource:
        return source_of(Workshop(self.workshop.experiment, trained=False))

    def look_up(self, source: KnowledgeSource) -> LookUp:
        read = source.reader(hidden=True)
        return partial(self._run, source) if read is None else cast(LookUp, read)

    def targets(self, source: KnowledgeSource) -> Iterator[HiddenTarget]:
        for batch in self.workshop.eval_batches(self.splits.train, self.workshop.pad_to):
            yield source.hidden(batch.to(self.workshop.device), step=1)

    def _run(self, source: KnowledgeSource, ids: Tensor) -> HiddenTarget:
        return source.hidden(self._batch(ids).to(self.workshop.device), step=1)

    def _batch(self, ids: Tensor) -> TokenBatch:
        """These examples, of whichever split."""
        rows = torch.searchsorted(self._every.ids, ids)
        return collate(self._every, rows, self.workshop.tokenizer.pad_token_id, self.workshop.pad_to)

    @cached_property
    def _every(self) -> TokenSplit:
        """Both splits as one, by rising id."""
        both = concatenate(*self.splits)
        return both.take(both.ids.argsort())


def source_of(workshop: Workshop) -> KnowledgeSource:
    """A store, or the live teacher, of what the workshop's experiment keeps."""
    if workshop.config["knowledge"]["source"] == "store":
        return Storeroom(workshop).source()
    teacher, plan = workshop.load_teacher(), workshop.experiment.plan
    if plan is None:
        return TeacherSource(teacher)
    return TeacherSource(teacher, plan, lambda: workshop.moments(teacher, plan.layer_map.teacher_states))
