"""The teacher: its weights, what it scores, and the moments of its hidden states."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from hskd_lightning import config as configuration
from hskd_lightning.artifacts import Recipe, build_once, checked, read_manifest
from hskd_lightning.assets.corpus import Corpus, artifacts
from hskd_lightning.compress.width.base import Moments
from hskd_lightning.data.predictions import PREDICTIONS, Predictions, read_predictions, write_predictions
from hskd_lightning.data.split import limit
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import fingerprint
from hskd_lightning.knowledge.source import DevScores
from hskd_lightning.knowledge.teacher_source import measure_moments
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.training.team import ALONE, Team

if TYPE_CHECKING:
    from hskd_lightning.training.module import FineTuner

log = logging.getLogger(__name__)
FIT_EXAMPLES = 2048
"""Examples that PCA and its like are fitted on: some 20,000 tokens, 30 for each unit of BERT-base."""
KNOWS = 0.05
"""A teacher whose score is not this far above one answer's for all has little to teach."""


@dataclass(frozen=True)
class TeacherAssets:
    """An experiment's teacher: the user's checkpoint, or one that is fine-tuned here when it is first asked for."""

    experiment: Experiment
    corpus: Corpus
    """The text by the teacher's own tokenizer."""
    trained: bool = True
    """False for the teacher before its fine-tuning, which is another one with weights of its own."""
    team: Team = ALONE
    """The processes that train it, and run it for a store."""

    @property
    def untrained(self) -> TeacherAssets:
        """The same teacher before its fine-tuning."""
        return replace(self, trained=False)

    @cached_property
    def path(self) -> str:
        """Its folder or hub id."""
        if self._given is not None:
            return self._given
        make = self._fine_tune if self.trained else self._begin
        return str(build_once(self._root, "teacher", self.recipe, make))

    @property
    def at_hand(self) -> str | None:
        """Its folder or hub id, if it need not be trained first."""
        if self._given is not None:
            return self._given
        return str(checked(self._folder)) if self._folder.is_dir() else None

    @property
    def weights(self) -> str | None:
        """A hash of its weights; None while it is not there, or not made here."""
        if self._given is not None or not self._folder.is_dir():
            return None
        weights: str = read_manifest(self._folder)["facts"]["weights"]
        return weights

    @property
    def recipe(self) -> Recipe:
        """What decides the weights of a teacher that is made here."""
        settings = self.experiment.settings
        return {
            "tokens": self.corpus.recipe,
            "split": self.corpus.split_recipe,
            "init": configuration.identity(settings.teacher.init.node),
            "training": dataclasses.asdict(settings.teacher.training) if self.trained else None,
            "precision": settings.trainer.precision,
            "seed": settings.teacher.seed,
        }

    @property
    def identity(self) -> Recipe:
        """Its recipe, or the given checkpoint's content and label order."""
        if self._given is None:
            return self.recipe
        return {"checkpoint": configuration.content(self._given), "label_order": list(self.experiment.label_order)}

    def load(self, dropout: bool | None = None) -> Teacher:
        """The teacher in memory, on the experiment's device.

        Args:
            dropout: whether its dropout is on; None: as the preset says of targets.
        """
        settings = self.experiment.settings
        dropout = settings.preset.teacher_dropout if dropout is None else dropout
        return Teacher(self.path, self.experiment.label_order, dropout).to(settings.trainer.device)

    def scores(self) -> DevScores:
        """Its figures on each dev split; its predictions lie beside them."""
        scores: DevScores = read_manifest(self._scored)["facts"]
        return scores

    def predictions(self, split: str) -> Predictions:
        """What it says of each example of a dev split."""
        return read_predictions(self._scored / PREDICTIONS, split, "teacher_score", f"rm -r {self._scored}")

    def digest(self) -> str:
        """A hash of its weights, whoever made it."""
        return self.weights or self.load(dropout=False).digest()

    @property
    def _given(self) -> str | None:
        return self.experiment.settings.teacher.checkpoint

    @property
    def _root(self) -> Path:
        return artifacts(self.experiment)

    @property
    def _folder(self) -> Path:
        """Where the teacher that is made here is, or will be."""
        return self._root / "teacher" / fingerprint(self.recipe)

    @property
    def _scored(self) -> Path:
        recipe = {"teacher": self.identity, "tokens": self.corpus.recipe, "keeps": PREDICTIONS}
        return build_once(self._root, "teacher_score", recipe, self._score)

    def _fine_tune(self, folder: Path) -> Recipe:
        module, facts = self.team.everywhere(TeacherAssets.fine_tune, self, folder / "fit")
        weights = self._save(module.model, folder)
        shutil.rmtree(folder / "fit")
        return {**facts, **weights}

    def fine_tune(self, folder: Path) -> tuple[FineTuner, Recipe]:
        """Fine-tune it with the checkpoints in this folder: the module, and what there is to say of its training."""
        from hskd_lightning.training import fit  # here: a teacher that is there, or explained, needs no Lightning
        from hskd_lightning.training.module import FineTuner, plain_config

        task, settings = self.experiment.task, self.experiment.settings
        training, seed = settings.teacher.training, settings.teacher.seed
        split = self.corpus.teacher_splits
        batches = self.corpus.train_batches(split.train, training.batch_size, seed)
        model = self.experiment.teacher_init.create(task, seed)
        module = FineTuner(
            stage="teacher",
            config=plain_config(model.config),
            task=dataclasses.asdict(task),
            settings=dataclasses.asdict(training),
            total_steps=training.steps(len(batches)),
            seed=seed,
        )
        module.model.load_state_dict(model.state_dict())
        log.info("teacher: fine-tuning on %d examples, %d steps", len(split.train), module.total_steps)
        return module, fit.fit_stage(module, batches, folder, settings.trainer)

    def _begin(self, folder: Path) -> Recipe:
        """The weights that `_fine_tune` begins with."""
        seed = self.experiment.settings.teacher.seed
        return self._save(self.experiment.teacher_init.create(self.experiment.task, seed), folder)

    def _save(self, model: PreTrainedModel, folder: Path) -> Recipe:
        model.save_pretrained(folder)
        self.corpus.tokenizer.save_pretrained(folder)
        return {"weights": Teacher(str(folder), self.experiment.label_order).digest()}

    def _score(self, folder: Path) -> Recipe:
        # Here: its metrics take seconds to import.
        from hskd_lightning.training.evaluate import one_answer, predict, score

        teacher, device = self.load(dropout=False), self.experiment.settings.trainer.device
        splits = self.corpus.tokens.dev.items()
        said = {name: predict(teacher.logits, self.corpus.eval_batches(split), device) for name, split in splits}
        write_predictions(folder / PREDICTIONS, said)
        scores = {name: score(of, self.experiment.task) for name, of in said.items()}
        for name, of in said.items():
            say_beside(name, scores[name], one_answer(of, self.experiment.task))
        return scores


def say_beside(split: str, scores: Mapping[str, float], least: float) -> None:
    """Say what a teacher scores beside `least`, one answer's for all, and warn where that is hardly more.

    Hours of students can hang on a teacher that never learned, or whose classes are in another order.
    """
    headline, score = next(iter(scores.items()))
    log.info("teacher: %s %.4f on %s; one answer for all examples: %.4f", headline, score, split, least)
    if score < least + KNOWS:
        log.warning(
            "this teacher hardly knows the task, so students have little to learn. More teacher.training.epochs, "
            "another teacher.training.lr, more data? With a checkpoint of your own: is teacher.label_map right?"
        )


@dataclass(frozen=True)
class TeacherStates:
    """A teacher's full hidden states on the student's examples: what decides them, and their moments."""

    teacher: TeacherAssets
    corpus: Corpus
    """The text by the student's tokenizer."""

    @property
    def origin(self) -> Recipe:
        """What decides the states."""
        settings = self.teacher.experiment.settings
        return {
            "teacher": self.teacher.identity,
            "tokens": self.corpus.recipe,
            "split": {**self.corpus.split_recipe, "distil_limit": settings.data.distil_limit},
            "precision": settings.trainer.precision,
            "padding": settings.preset.padding,
        }

    def moments(self, teacher: Teacher, states: tuple[int, ...]) -> Moments:
        """Mean and covariance of these states, for strategies that are fitted.

        Over a sample of the student's training split, and for every state at once: all cells share them, whatever
        layers they keep, and a store costs one teacher pass rather than two.
        """
        experiment = self.teacher.experiment
        recipe = {"origin": self.origin, "dropout": teacher.dropout, "examples": FIT_EXAMPLES}

        def build(folder: Path) -> Recipe:
            sample = limit(self.corpus.student_splits.train, FIT_EXAMPLES, experiment.settings.data.split_seed)
            every = tuple(range(experiment.teacher_config.num_hidden_layers + 1))
            measured = measure_moments(teacher, every, self.corpus.eval_batches(sample))
            save_file({"mean": measured.mean, "covariance": measured.covariance}, folder / "moments.safetensors")
            return {"examples": len(sample)}

        folder = build_once(artifacts(experiment), "moments", recipe, build)
        measured: dict[str, Any] = load_file(folder / "moments.safetensors")
        return Moments(**{name: tensor[list(states)] for name, tensor in measured.items()})
