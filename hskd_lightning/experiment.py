"""An experiment, resolved: all that is known, and all that can be wrong, before anything is downloaded or trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedConfig

from hskd_lightning import choices, consistency
from hskd_lightning import config as configuration
from hskd_lightning.compress.amount import spread_amount
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.keep import Keep, as_number, check_keep
from hskd_lightning.compress.paths import Room
from hskd_lightning.data.dataset import Dataset
from hskd_lightning.data.examples import Task
from hskd_lightning.knowledge.control.base import Control
from hskd_lightning.models.encoder import load_config
from hskd_lightning.models.init.base import StudentInit
from hskd_lightning.models.shapes import StudentShape
from hskd_lightning.models.teacher import label_order
from hskd_lightning.models.teacher_init import PretrainedTeacher, ScratchTeacher
from hskd_lightning.settings import Choice, Settings, TeacherSettings, read_settings
from hskd_lightning.settings.stages import HIDDEN, PREDICTION, StageSettings
from hskd_lightning.settled import AXES, settle_amount, settle_init, settled


@dataclass(frozen=True)
class Experiment:
    """One cell's question."""

    config: Mapping[str, Any]
    """As it is hashed and kept in config.yaml; everybody else asks `settings`."""
    settings: Settings
    dataset: Dataset
    teacher_init: PretrainedTeacher | ScratchTeacher
    teacher_config: PreTrainedConfig
    student_init: StudentInit
    label_order: Sequence[int]
    """The teacher's class id of each of the task's labels."""
    student_config: PreTrainedConfig
    keeps: Mapping[str, Keep]
    """The `keep` of each axis that has one, `hsk.amount` worked in."""
    plan: HskPlan | None
    """What of the hidden states is distilled; None for the baselines."""
    control: Control | None
    """What is taught in their place; None where it is the teacher's own states, or none at all."""

    @classmethod
    def resolve(cls, config: Mapping[str, Any]) -> Experiment:
        """Build and check every part that needs neither data nor weights.

        Raises:
            ConfigError: the first mistake found.
        """
        settings = read_settings(config)
        settings = replace(settings, student=settle_init(settings.student))
        dataset: Dataset = choices.build(settings.data.source, "data.source")
        teacher_init = _teacher_init(settings.teacher)
        teacher_config = teacher_init.config(dataset.task)
        shape: StudentShape = choices.build(settings.student.shape, "student.shape")
        student_config = shape.config(teacher_config, dataset.task)
        student_init: StudentInit = choices.build(settings.student.init, "student.init")
        student_init.check(student_config, teacher_config)
        settings, keeps, plan = _resolve_hidden(settings, teacher_config, student_config)
        experiment = cls(
            config=configuration.without_targets({**config, **settled(config, settings)}),
            settings=settings,
            dataset=dataset,
            teacher_init=teacher_init,
            teacher_config=teacher_config,
            label_order=_label_order(settings.teacher, dataset.task),
            student_init=student_init,
            student_config=student_config,
            keeps=keeps,
            plan=plan,
            control=_control(settings.control) if plan is not None else None,
        )
        consistency.check(experiment)
        return experiment

    def __reduce__(self) -> tuple[Any, ...]:
        """It travels to other processes as its configuration."""
        return Experiment.resolve, (self.config,)

    @property
    def task(self) -> Task:
        return self.dataset.task

    @property
    def cell_id(self) -> str:
        """The name of this question; see `config.cell_id`."""
        return configuration.cell_id(self.config, self.dataset.digest())

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that this cell trains, in order."""
        return (PREDICTION,) if self.plan is None else (HIDDEN, PREDICTION)

    @property
    def taught_by_trained(self) -> bool:
        """Whether the hidden states that are taught are the fine-tuned teacher's."""
        return self.control is None or self.control.trained

    def stage(self, name: str) -> StageSettings:
        """How a stage of this cell trains.

        A baseline without a hidden stage trains its prediction stage for both stages' epochs: the same number of
        optimiser steps, so that what hidden states gain is not what longer training gains. It may have the
        prediction stage's alone: as many steps on logits as a distilled student, so that what hidden states gain is
        not what fewer looks at the logits lose. The released code's has the hidden stage's epochs, and a warm-up of
        its own.
        """
        hidden, prediction = self.settings.stage.hidden, self.settings.stage.prediction
        if name == HIDDEN:
            return hidden.common
        if self.plan is not None:
            return prediction.common
        baseline, stages = prediction.baseline, {HIDDEN: hidden, PREDICTION: prediction}
        epochs = sum(stage.epochs for name, stage in stages.items() if baseline.epochs in (name, "both"))
        warmup = prediction.warmup if baseline.warmup is None else baseline.warmup
        return replace(prediction.common, epochs=epochs, warmup=warmup)


def _resolve_hidden(
    settings: Settings, teacher: PreTrainedConfig, student: PreTrainedConfig
) -> tuple[Settings, Mapping[str, Keep], HskPlan | None]:
    """What is kept of the hidden states: nothing where none are distilled."""
    if not settings.knowledge.hidden:
        return settings, {}, None
    shape = Shape(teacher.num_hidden_layers, teacher.hidden_size, student.num_hidden_layers)
    keeps = resolve_keeps(settings, shape)
    return settle_amount(settings), keeps, resolve_plan(settings, shape, keeps)


def resolve_keeps(settings: Settings, shape: Shape) -> dict[str, Keep]:
    """The `keep` of each axis that has one: the user's, else what `hsk.amount` says, else null."""
    options = {axis: settings.axis(axis).options for axis in AXES}
    given = {axis: each["keep"] for axis, each in options.items() if "keep" in each}
    amount = settings.hsk.amount
    if amount is None or not given:
        return {axis: check_keep(f"{axis}.keep", keep) for axis, keep in given.items()}
    available = shape.all_pairs
    if "depth" in given:
        every = choices.build(settings.depth, "depth", keep=None)
        available = len(every.layer_map(shape.teacher_blocks, shape.student_blocks))
    room = Room(given, available, shape.all_pairs, shape.teacher_width)
    return spread_amount(amount, room, settings.hsk.path)


def resolve_plan(settings: Settings, shape: Shape, keeps: Mapping[str, Keep]) -> HskPlan:
    """Build the four strategies and check them against the models' shapes."""
    changed = {axis: {"keep": as_number(keeps[axis])} if axis in keeps else {} for axis in AXES}
    depth, length, width = (choices.build(settings.axis(axis), axis, **changed[axis]) for axis in AXES)
    bits = choices.build(settings.bits, "bits")
    return HskPlan.resolve(shape, depth, length, width, settings.preset.padding, bits)


def _control(choice: Choice) -> Control | None:
    if choice.name == "none":
        return None
    control: Control = choices.build(choice, "control")
    return control


def _teacher_init(settings: TeacherSettings) -> PretrainedTeacher | ScratchTeacher:
    if settings.checkpoint is not None:
        return PretrainedTeacher(settings.checkpoint, "teacher.checkpoint")
    init: PretrainedTeacher | ScratchTeacher = choices.build(settings.init, "teacher.init")
    return init


def _label_order(settings: TeacherSettings, task: Task) -> list[int]:
    """By name for a given checkpoint; a teacher trained here has the task's own order."""
    if settings.checkpoint is None:
        return list(range(task.outputs))
    names = load_config(settings.checkpoint).id2label
    return label_order(names, task, settings.label_map)
