"""Makes a student's first weights, and the importance they may be pruned by: two artifacts, reused by every cell.

teacher -> importance (one pass over the student's training split) -> student
"""

from __future__ import annotations

import dataclasses
import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hskd_lightning import config as configuration
from hskd_lightning.artifacts import Recipe, build_once
from hskd_lightning.assets.corpus import artifacts
from hskd_lightning.assets.teacher import TeacherStates
from hskd_lightning.experiment import Experiment
from hskd_lightning.models import encoder
from hskd_lightning.models.init.base import FineTuned
from hskd_lightning.models.init.hub import learned_map
from hskd_lightning.models.prune import BlockScores, Weighing, importance

log = logging.getLogger(__name__)
VERSION = 2
"""Counted up when the same recipe gives a student other weights, so that an older one is not taken for it: 2, blocks
of a ModernBERT teacher are fitted to their new places."""
BATCH = 32
"""Of the pass that weighs: the paper's. The size counts, as each batch gives an absolute gradient."""
TAYLOR = {"rule": "|W * sum over batches |dL/dW||", "batch_size": BATCH, "batches": "as trained on, by split_seed"}
"""What an importance of first order is made by, so that one made otherwise is never taken for it."""


class StudentAssets:
    """The student of an experiment before distillation: its first weights, made when they are first asked for.

    Args:
        experiment: whose.
        states: of the teacher that a student may begin with, on the examples that it may be weighed on.
    """

    def __init__(self, experiment: Experiment, states: TeacherStates) -> None:
        self.experiment = experiment
        self.states = states
        self.seed = experiment.settings.seed

    @cached_property
    def folder(self) -> Path:
        """The student: a Hugging Face folder."""
        return build_once(self._root, "student", self.recipe, self._create)

    @property
    def recipe(self) -> Recipe:
        """What decides the student's first weights. The seed is not in it where nothing is drawn: seeds share them."""
        init, settings = self.experiment.student_init, self.experiment.settings.student
        return {
            "version": VERSION,
            "teacher": self.states.teacher.identity,
            "shape": configuration.identity(settings.shape.node),
            "init": configuration.identity(settings.init.node),
            "importance": None if init.weighing is None else self._importance_recipe(init.weighing),
            "task": dataclasses.asdict(self.experiment.task),
            "seed": self.seed if init.drawn else None,
        }

    @cached_property
    def learned_map(self) -> dict[str, Tensor]:
        """Weight (D, d) and bias (D,) of the map that the student's checkpoint was distilled with, if it has one."""
        path = self.experiment.student_init.path
        if path is None:
            return {}
        shape = (self.experiment.teacher_config.hidden_size, self.experiment.student_config.hidden_size)

        def build(folder: Path) -> Recipe:
            own = learned_map(path, shape)
            save_file(own, folder / "map.safetensors")
            return {"has_map": bool(own)}

        recipe = {"checkpoint": configuration.content(path), "shape": shape}
        return load_file(build_once(self._root, "map", recipe, build) / "map.safetensors")

    @property
    def _root(self) -> Path:
        return artifacts(self.experiment)

    def _create(self, folder: Path) -> Recipe:
        experiment = self.experiment
        model = experiment.student_init.create(experiment.student_config, self._teacher, self.seed)
        model.save_pretrained(folder)
        return {"parameters": encoder.count_parameters(model)}

    @property
    def _teacher(self) -> FineTuned:
        experiment, teacher = self.experiment, self.states.teacher
        return FineTuned(experiment.teacher_config, experiment.label_order, lambda: teacher.path, self._weigh)

    def _importance_recipe(self, weighing: Weighing) -> Recipe:
        reads = {"origin": self.states.origin, **TAYLOR} if weighing.kind == "taylor" else {}
        drawn = {"seed": self.seed} if weighing.drawn else {}
        return {"teacher": self.states.teacher.identity, **dataclasses.asdict(weighing), **reads, **drawn}

    def _weigh(self, weighing: Weighing) -> list[BlockScores]:
        def build(folder: Path) -> Recipe:
            scores = self._measure(weighing)
            named = {part: torch.stack([getattr(block, part) for block in scores]) for part in BlockScores._fields}
            save_file({part: values.float().cpu() for part, values in named.items()}, folder / "scores.safetensors")
            return {"blocks": len(scores)}

        folder = build_once(self._root, "importance", self._importance_recipe(weighing), build)
        scores: dict[str, Any] = load_file(folder / "scores.safetensors")
        return [BlockScores(*parts) for parts in zip(*(scores[part] for part in BlockScores._fields), strict=True)]

    def _measure(self, weighing: Weighing) -> list[BlockScores]:
        corpus, settings = self.states.corpus, self.experiment.settings
        split = corpus.student_splits.train
        passed = f", one pass over {len(split):,} examples" if weighing.kind == "taylor" else ""
        log.info("importance: the teacher's heads and neurons by %s%s", weighing.kind, passed)
        model = self._teacher.load().to(settings.trainer.device)
        # As training draws them: batches of examples sorted by length are others. By the data's seed and not the run's,
        # so that all seeds of a study share one importance, unless dropout is drawn.
        drawn_by = settings.data.split_seed
        return importance(model, weighing, lambda: corpus.train_batches(split, BATCH, drawn_by), self.seed)
