"""The source of knowledge that an experiment asks for: a store, or the teacher itself, as its control leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor

from hskd_lightning.assets.fits import check_ready, fit
from hskd_lightning.assets.stores import Stores, request_of
from hskd_lightning.assets.teacher import TeacherStates
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import Splits
from hskd_lightning.data.tokens import TokenSplit, concatenate
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.control.base import LookUp
from hskd_lightning.knowledge.device_store import DeviceStoreSource
from hskd_lightning.knowledge.source import KnowledgeSource
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.teacher_source import TeacherSource


@dataclass(frozen=True)
class Knowledge:
    """What an experiment can learn from; a control chooses among it, see `knowledge.control.base.Teachable`."""

    experiment: Experiment
    states: TeacherStates
    """Of the fine-tuned teacher."""

    def source(self) -> KnowledgeSource | None:
        """Who teaches this experiment's student; None where gold labels are all there is to learn."""
        if self.experiment.settings.knowledge.source is None:
            return None
        control = self.experiment.control
        if control is not None:
            return control.source(self)
        true = self.true()
        if self._device.type == "cuda" and isinstance(true, StoreSource):
            return DeviceStoreSource(true, self._device)
        return true

    def check_ready(self) -> None:
        """Refuse bits that cannot be fitted here, before a teacher is trained for them.

        Raises:
            ConfigError: a package is missing.
        """
        plan, knowledge = self.experiment.plan, self.experiment.settings.knowledge
        if plan is None or knowledge.source is None:
            return
        if knowledge.stored:
            Stores(self.states, plan).check_ready()
        else:
            check_ready(self.states, plan, request_of(self.experiment, plan, self.states.origin))

    def first_step(self, source: KnowledgeSource | None) -> KnowledgeSource | None:
        """Who teaches in the very first step, where the released code leaves static masks out of it."""
        masked = self.experiment.settings.preset.mask_first_step
        return source.without_mask() if isinstance(source, TeacherSource) and not masked else source

    @property
    def splits(self) -> Splits:
        return self.states.corpus.student_splits

    def true(self) -> KnowledgeSource:
        return self._of(self.states, self.experiment.plan)

    def logits(self) -> KnowledgeSource:
        return self._of(self.states, None)

    def untrained(self) -> KnowledgeSource:
        return self._of(TeacherStates(self.states.teacher.untrained, self.states.corpus), self.experiment.plan)

    def look_up(self, source: KnowledgeSource) -> LookUp:
        read = source.reader(hidden=True)
        return partial(self._run, source) if read is None else cast(LookUp, read)

    def targets(self, source: KnowledgeSource) -> Iterator[HiddenTarget]:
        corpus = self.states.corpus
        for batch in corpus.eval_batches(self.splits.train, corpus.pad_to):
            yield source.hidden(batch.to(self._device))

    def _of(self, states: TeacherStates, plan: HskPlan | None) -> KnowledgeSource:
        """A store, or the teacher in memory, of what a plan keeps of these states."""
        if self.experiment.settings.knowledge.stored:
            return Stores(states, plan).source()
        if plan is None:
            return TeacherSource(states.teacher.load(), scores=states.teacher.scores)
        request = request_of(self.experiment, plan, states.origin)
        teacher = states.teacher.load()
        return TeacherSource(teacher, plan, partial(fit, states, teacher, plan, request), states.teacher.scores)

    @property
    def _device(self) -> torch.device:
        return self.experiment.settings.trainer.device

    def _run(self, source: KnowledgeSource, ids: Tensor) -> HiddenTarget:
        return source.hidden(self._batch(ids).to(self._device))

    def _batch(self, ids: Tensor) -> TokenBatch:
        """These examples, of whichever split."""
        rows, corpus = torch.searchsorted(self._every.ids, ids), self.states.corpus
        return collate(self._every, rows, corpus.tokenizer.pad_token_id, corpus.pad_to)

    @cached_property
    def _every(self) -> TokenSplit:
        """Both splits as one, by rising id."""
        both = concatenate(*self.splits)
        return both.take(both.ids.argsort())
