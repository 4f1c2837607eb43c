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
from hskd_lightning.assets.workshop import Workshop
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


class FirstWeights:
    """The student of an experiment before distillation."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.experiment = workshop.experiment
        self.seed = workshop.config["seed"]

    @cached_property
    def folder(self) -> Path:
        """The student: a Hugging Face folder."""
        return build_once(self.workshop.root, "student", self.recipe, self._create)

    @property
    def recipe(self) -> Recipe:
        """What decides the student's first weights. The seed is not in it where nothing is drawn: seeds share them."""
        init, student = self.experiment.student_init, self.workshop.config["student"]
        return {
            "version": VERSION,
            "teacher": self.workshop.teacher_identity,
            "shape": configuration.by_content(student["shape"]),
            "init": configuration.by_content(student["init"]),
            "importance": None if init.weighing is None else self._importance_recipe(init.weighing),
            "task": dataclasses.asdict(self.experiment.task),
            "seed": self.seed if init.drawn else None,
        }

    def _create(self, folder: Path) -> Recipe:
        experiment = self.experiment
        model = experiment.student_init.create(experiment.student_config, self._teacher, self.seed)
        model.save_pretrained(folder)
        return {"parameters": encoder.count_parameters(model)}

    @cached_property
    def learned_map(self) -> dict[str, Tensor]:
        """Weight (D, d) and bias (D,) of the map that the student's checkpoint was distilled with, if it has one."""
        path = self.experiment.student_init.path
        if path is None:
            return {}
        shape = (self.experiment.teacher_config.hidden_size, self.experiment.student_config.hidden_size)

        def build(folder: Path) -> Recipe:
            found = learned_map(path, shape)
            save_file(found, folder / "map.safetensors")
            return {"found": bool(found)}

        recipe = {"checkpoint": configuration.identity(path), "shape": shape}
        return load_file(build_once(self.workshop.root, "map", recipe, build) / "map.safetensors")

    @property
    def _teacher(self) -> FineTuned:
        experiment, workshop = self.experiment, self.workshop
        return FineTuned(experiment.teacher_config, experiment.label_order, lambda: workshop.teacher_path, self._weigh)

    def _importance_recipe(self, weighing: Weighing) -> Recipe:
        reads = {"origin": self.workshop.origin, **TAYLOR} if weighing.kind == "taylor" else {}
        drawn = {"seed": self.seed} if weighing.drawn else {}
        return {"teacher": self.workshop.teacher_identity, **dataclasses.asdict(weighing), **reads, **drawn}

    def _weigh(self, weighing: Weighing) -> list[BlockScores]:
        def build(folder: Path) -> Recipe:
            scores = self._measure(weighing)
            named = {part: torch.stack([getattr(block, part) for block in scores]) for part in BlockScores._fields}
            save_file({part: values.float().cpu() for part, values in named.items()}, folder / "scores.safetensors")
            return {"blocks": len(scores)}

        folder = build_once(self.workshop.root, "importance", self._importance_recipe(weighing), build)
        found: dict[str, Any] = load_file(folder / "scores.safetensors")
        return [BlockScores(*parts) for parts in zip(*(found[part] for part in BlockScores._fields), strict=True)]

    def _measure(self, weighing: Weighing) -> list[BlockScores]:
        workshop = self.workshop
        split = workshop.student_splits.train
        passed = f", one pass over {len(split):,} examples" if weighing.kind == "taylor" else ""
        log.info("importance: the teacher's heads and neurons by %s%s", weighing.kind, passed)
        model = self._teacher.load().to(workshop.device)
        # As training draws them: batches of examples sorted by length are others. By the data's seed and not the run's,
        # so that all seeds of a study share one importance, unless dropout is drawn.
        drawn_by = workshop.config["data"]["split_seed"]
        return importance(model, weighing, lambda: workshop.train_batches(split, BATCH, drawn_by), self.seed)
