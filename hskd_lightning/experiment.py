"""An experiment, resolved: all that is known, and all that can be wrong, before anything is downloaded or trained."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig

from hskd_lightning import config as configuration
from hskd_lightning.compress.amount import spread_amount
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.keep import Keep, as_number, check_keep
from hskd_lightning.compress.width.codes import StaticMask
from hskd_lightning.data.dataset import DataSource
from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.control.base import Control
from hskd_lightning.knowledge.control.none import NoControl
from hskd_lightning.knowledge.values import BYTES
from hskd_lightning.models.attention import refuse_dropout
from hskd_lightning.models.encoder import load_config, load_settings
from hskd_lightning.models.init.base import StudentInit
from hskd_lightning.models.shapes import StudentShape
from hskd_lightning.models.teacher import label_order
from hskd_lightning.models.teacher_init import PretrainedTeacher, ScratchTeacher
from hskd_lightning.training.distiller import HIDDEN, MAP_STARTS, PREDICTION
from hskd_lightning.training.optim import StageSettings

log = logging.getLogger(__name__)
AXES = ("depth", "length", "width")
TARGETS = ("logits", "labels")
SOURCES = ("store", "teacher", None)
LOGGERS = ("csv", "wandb", "tensorboard")
SELECT_ON = ("selection", "dev")
BASELINE_EPOCHS = ("both", "hidden")


@dataclass(frozen=True)
class Experiment:
    """One cell's question."""

    config: Mapping[str, Any]
    source: DataSource
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
    control: Control
    """What is taught in their place."""

    @classmethod
    def resolve(cls, config: Mapping[str, Any]) -> Experiment:
        """Build and check every part that needs neither data nor weights.

        Raises:
            ConfigError: the first mistake found.
        """
        source: DataSource = configuration.build(config["data"]["source"], "data.source")
        task = source.task
        config = {**config, "student": settle_init(config["student"])}
        teacher_init = _teacher_init(config["teacher"])
        teacher_config = teacher_init.config(task)
        shape_of: StudentShape = configuration.build(config["student"]["shape"], "student.shape")
        student_config = shape_of.config(teacher_config, task)
        student_init: StudentInit = configuration.build(config["student"]["init"], "student.init")
        student_init.check(student_config, teacher_config)
        keeps: Mapping[str, Keep] = {}
        plan = None
        control: Control = NoControl()
        if config["knowledge"]["hidden"]:
            control = configuration.build(config["control"], "control")
            shape = Shape(
                teacher_blocks=teacher_config.num_hidden_layers,
                teacher_width=teacher_config.hidden_size,
                student_blocks=student_config.num_hidden_layers,
            )
            keeps = resolve_keeps(config, shape)
            plan = resolve_plan(config, shape, keeps)
            config = {**config, "hsk": settle_amount(config)}
        experiment = cls(
            config=config,
            source=source,
            teacher_init=teacher_init,
            teacher_config=teacher_config,
            label_order=_label_order(config["teacher"], task),
            student_init=student_init,
            student_config=student_config,
            keeps=keeps,
            plan=plan,
            control=control,
        )
        experiment._check_training()
        experiment._check_store()
        experiment._check_control()
        experiment._check_fixed()
        if plan is not None and plan.length.attention and config["preset"]["teacher_dropout"]:
            refuse_dropout(teacher_config)
        return experiment

    @property
    def task(self) -> Task:
        return self.source.task

    @property
    def cell_id(self) -> str:
        """The name of this question; see `config.cell_id`."""
        return configuration.cell_id(self.config, self.source.digest())

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that this cell trains, in order."""
        return (PREDICTION,) if self.plan is None else (HIDDEN, PREDICTION)

    def settings(self, stage: str) -> StageSettings:
        """A stage's training settings.

        A baseline without a hidden stage trains its prediction stage for both stages' epochs: the same number of
        optimiser steps, so that what hidden states gain is not what longer training gains. The released code's has
        the hidden stage's epochs, and a warm-up of its own.
        """
        values = dict(self.config["stage"][stage])
        for not_training in ("batch_size", "temperature", "select_on", "eval_every", "baseline", "map_init"):
            values.pop(not_training, None)
        if self.plan is None and stage == PREDICTION:
            baseline, first = self.config["stage"][stage]["baseline"], self.config["stage"][HIDDEN]["epochs"]
            values["epochs"] = first + (values["epochs"] if baseline["epochs"] == "both" else 0)
            values["warmup"] = values["warmup"] if baseline["warmup"] is None else baseline["warmup"]
        return StageSettings(**values)

    def _check_training(self) -> None:
        for stage in self.stages:
            self.settings(stage)
        hidden, prediction = self.config["stage"][HIDDEN], self.config["stage"][PREDICTION]
        _one_of("stage.hidden.map_init", hidden["map_init"], MAP_STARTS)
        _one_of("stage.prediction.baseline.epochs", prediction["baseline"]["epochs"], BASELINE_EPOCHS)
        _one_of("logger.kind", self.config["logger"]["kind"], LOGGERS)
        _one_of("knowledge.target", self.config["knowledge"]["target"], TARGETS)
        _one_of("stage.prediction.select_on", prediction["select_on"], SELECT_ON)
        data = self.config["data"]
        for key in ("limit", "distil_limit"):
            if data[key] is not None and data[key] < 1:
                raise ConfigError(f"data.{key}", data[key], "a number of examples from 1, or null", "leave it out")
        longest = min(positions(self.teacher_config), positions(self.student_config))
        if not 3 <= data["max_length"] <= longest:
            remedy = "texts are cut there: choose it within what both models can read"
            raise ConfigError("data.max_length", data["max_length"], f"3 to {longest} tokens", remedy)
        share = data["selection"]
        if not 0 <= share < 1:
            raise ConfigError("data.selection", share, "a share from 0 to below 1", "write data.selection=0.1")

    def _check_store(self) -> None:
        """Refuse a store that cannot be written."""
        _one_of("knowledge.source", self.config["knowledge"]["source"], SOURCES)
        if self.config["knowledge"]["source"] != "store":
            return
        settings = self.config["store"]
        _one_of("store.dtype", settings["dtype"], tuple(BYTES))
        tokens = settings["shard_tokens"]
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
            remedy = "65536 suits most; fewer need less memory while the store is built"
            raise ConfigError("store.shard_tokens", tokens, "a whole number from 1", remedy)

    def _check_control(self) -> None:
        """Refuse to look for what the teacher was before it was trained where nobody here trained it."""
        if self.control.trained:
            return
        if (given := self.config["teacher"]["checkpoint"]) is not None:
            allowed = "null with control=untrained: what it was before its fine-tuning is not known"
            remedy = "name what it was made from with teacher.init.path and have it fine-tuned here"
            raise ConfigError("teacher.checkpoint", given, allowed, remedy)
        if (path := self.config["store"]["path"]) is not None and self.config["knowledge"]["source"] == "store":
            allowed = "null with control=untrained, which needs two stores: states of one teacher, logits of another"
            raise ConfigError("store.path", path, allowed, "leave store.path out: both are found or built")

    def _check_fixed(self) -> None:
        """Refuse, by name, what gives an example no target of its own: no store holds it, no control can replace it."""
        preset, stored = self.config["preset"], self.config["knowledge"]["source"] == "store"
        controlled = not isinstance(self.control, NoControl)
        if not (stored or controlled):
            return
        who = "a store" if stored else "a control"
        instead = "take knowledge=online" if self.plan else "take knowledge.source=teacher"
        if controlled:
            instead = "leave control out" + (", and take knowledge=online" if stored else "")
        if preset["teacher_dropout"]:
            raise ConfigError("preset.teacher_dropout", True, f"false: {who} holds one answer, not a new one", instead)
        if self.plan is None:
            return
        if not self.plan.length.offline:
            name = strategy_name(self.config["length"]["_target_"])
            allowed = f"a strategy that ranks each example by itself: {who} knows no batches"
            raise ConfigError("length", f"{name} with these options", allowed, instead)
        if self.plan.width.reach == "batch":
            name = strategy_name(self.config["width"]["_target_"])
            allowed = f"a strategy that encodes each example by itself: {who} knows no batches"
            raise ConfigError("width", f"{name} with these options", allowed, instead)
        masked = isinstance(self.plan.fit(self.plan.unfitted_moments()).code, StaticMask)
        if masked and not preset["mask_first_step"]:
            allowed = f"true: the first step would need all units, and {who} has some"
            raise ConfigError("preset.mask_first_step", False, allowed, instead)


def settle_init(student: Mapping[str, Any]) -> Mapping[str, Any]:
    """The student's node with the initialisation that it will really get, where that hangs on a hub within reach.

    It is settled before the cell has a name: a student from a checkpoint and one of random weights are two cells.
    """
    init = student["init"]
    if not isinstance(init, Mapping):
        allowed = "a group, one file each in conf/student/init"
        raise ConfigError("student.init", init, allowed, f"write student/init={init}")
    otherwise = init.get("otherwise")
    if otherwise is None:
        return student
    try:
        load_settings(init["path"])
    except ConfigError as error:
        _say_once(f"student {student['name']}: its checkpoint is out of reach, so its weights are random\n{error}")
        return {**student, "init": otherwise}
    return {**student, "init": {**init, "otherwise": None}}


@functools.cache
def _say_once(warning: str) -> None:
    """A sweep's plan resolves hundreds of cells of one student."""
    log.warning("%s", warning)


def strategy_name(target: str) -> str:
    """A strategy is called what its file is called: ...compress.width.pca.Pca is `pca`. So is an initialisation."""
    return target.split(".")[-2]


def settle_amount(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`hsk` without its amount where every axis has its `keep`: it changes nothing then, and no cell's name."""
    left_open = any("keep" in config[axis] and config[axis]["keep"] is None for axis in AXES)
    return config["hsk"] if left_open else {**config["hsk"], "amount": None}


def resolve_keeps(config: Mapping[str, Any], shape: Shape) -> dict[str, Keep]:
    """The `keep` of each axis that has one: the user's, else what `hsk.amount` says, else null."""
    given = {axis: config[axis]["keep"] for axis in AXES if "keep" in config[axis]}
    amount = config["hsk"]["amount"]
    if amount is None or not given:
        return {axis: check_keep(f"{axis}.keep", keep) for axis, keep in given.items()}
    available = shape.all_pairs
    if "depth" in given:
        every = configuration.build({**config["depth"], "keep": None}, "depth")
        available = len(every.layer_map(shape.teacher_blocks, shape.student_blocks))
    return spread_amount(amount, given, available, shape.all_pairs)


def resolve_plan(config: Mapping[str, Any], shape: Shape, keeps: Mapping[str, Keep]) -> HskPlan:
    """Build the three strategies and check them against the models' shapes."""
    spelled = {axis: {"keep": as_number(keep)} for axis, keep in keeps.items()}
    depth, length, width = (configuration.build({**config[axis], **spelled.get(axis, {})}, axis) for axis in AXES)
    preset = config["preset"]
    return HskPlan.resolve(shape, depth, length, width, preset["padding"], preset["mask_first_step"])


def positions(config: PreTrainedConfig) -> int:
    """The longest input a model of this shape reads. RoBERTa counts positions from behind its padding id."""
    offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return int(config.max_position_embeddings) - offset


def _teacher_init(settings: Mapping[str, Any]) -> PretrainedTeacher | ScratchTeacher:
    if settings["checkpoint"] is not None:
        return PretrainedTeacher(settings["checkpoint"], "teacher.checkpoint")
    init: PretrainedTeacher | ScratchTeacher = configuration.build(settings["init"], "teacher.init")
    return init


def _label_order(settings: Mapping[str, Any], task: Task) -> list[int]:
    """By name for a given checkpoint; a teacher trained here has the task's own order."""
    if settings["checkpoint"] is None:
        return list(range(task.outputs))
    names = load_config(settings["checkpoint"]).id2label
    return label_order(names, task, settings["label_map"])


def _one_of(key: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        raise ConfigError(key, value, ", ".join(str(one) for one in allowed), f"write {key}={allowed[0]}")
