"""What the parts of an experiment demand of one another; a single key is checked where settings are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedConfig

from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.width.codes import StaticMask
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.attention import refuse_dropout

if TYPE_CHECKING:
    from hskd_lightning.experiment import Experiment


def check(experiment: Experiment) -> None:
    """Refuse what cannot run together.

    Raises:
        ConfigError: the first such pair, by the key that is easier to change.
    """
    _check_knowledge(experiment)
    _check_length(experiment)
    _check_store(experiment)
    _check_control(experiment)
    _check_fixed(experiment)
    _check_ranks(experiment)
    plan = experiment.plan
    if plan is not None and plan.length.attention and experiment.settings.preset.teacher_dropout:
        refuse_dropout(experiment.teacher_config)


def positions(config: PreTrainedConfig) -> int:
    """The longest input a model of this shape reads. RoBERTa counts positions from behind its padding id."""
    offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return int(config.max_position_embeddings) - offset


def _check_knowledge(experiment: Experiment) -> None:
    """Refuse a target that nobody gives."""
    knowledge = experiment.settings.knowledge
    needed = knowledge.hidden or knowledge.target == "logits"
    if needed and knowledge.source is None:
        remedy = "choose an option: knowledge=offline, or knowledge=labels for none"
        raise ConfigError("knowledge.source", None, "store or teacher, where a teacher is learned from", remedy)
    if knowledge.hidden and knowledge.target == "labels":
        remedy = "choose an option: knowledge=offline, or knowledge=labels for gold labels alone"
        raise ConfigError("knowledge.target", "labels", "logits, where hidden states are distilled", remedy)


def _check_length(experiment: Experiment) -> None:
    """Refuse inputs that a model cannot read."""
    longest = min(positions(experiment.teacher_config), positions(experiment.student_config))
    if not 3 <= experiment.settings.data.max_length <= longest:
        remedy = "texts are cut there: choose it within what both models can read"
        raise ConfigError("data.max_length", experiment.settings.data.max_length, f"3 to {longest} tokens", remedy)


def _check_store(experiment: Experiment) -> None:
    """Refuse a store of the user's own that is not there."""
    path = experiment.settings.store.path
    if path is not None and experiment.settings.knowledge.stored and not Path(path).is_dir():
        remedy = "name one that is there, or leave store.path out to have one found or built"
        raise ConfigError("store.path", path, "the folder of a store", remedy)


def _check_control(experiment: Experiment) -> None:
    """Refuse to look for what the teacher was before it was trained where nobody here trained it."""
    if experiment.taught_by_trained:
        return
    settings = experiment.settings
    if settings.teacher.checkpoint is not None:
        allowed = "null with control=untrained: what it was before its fine-tuning is not known"
        remedy = "name what it was made from with teacher.init.path and have it fine-tuned here"
        raise ConfigError("teacher.checkpoint", settings.teacher.checkpoint, allowed, remedy)
    if settings.store.path is not None and settings.knowledge.stored:
        allowed = "null with control=untrained, which needs two stores: states of one teacher, logits of another"
        raise ConfigError("store.path", settings.store.path, allowed, "leave store.path out: both are found or built")


def _check_fixed(experiment: Experiment) -> None:
    """Refuse, by name, what gives an example no target of its own: no store holds it, no control can replace it."""
    preset, plan, stored = experiment.settings.preset, experiment.plan, experiment.settings.knowledge.stored
    if not stored and experiment.control is None:
        return
    who = "a store" if stored else "a control"
    instead = "take knowledge=online" if plan else "take knowledge.source=teacher"
    if experiment.control is not None:
        instead = "leave control out" + (", and take knowledge=online" if stored else "")
    if preset.teacher_dropout:
        raise ConfigError("preset.teacher_dropout", True, f"false: {who} holds one answer, not a new one", instead)
    if plan is None:
        return
    _check_batches(experiment, plan, who, instead)
    if not preset.mask_first_step and isinstance(plan.unfitted.code, StaticMask):
        allowed = f"true: the first step would need all units, and {who} has some"
        raise ConfigError("preset.mask_first_step", False, allowed, instead)


def _check_ranks(experiment: Experiment) -> None:
    """Refuse targets that hang on a whole batch where each device has a part of it."""
    if experiment.plan is not None and experiment.settings.trainer.ranks > 1:
        _check_batches(experiment, experiment.plan, "one device of several", "set trainer.devices=1")


def _check_batches(experiment: Experiment, plan: HskPlan, who: str, instead: str) -> None:
    """Refuse strategies by which an example's target hangs on its batch."""
    settings = experiment.settings
    if not plan.length.offline:
        allowed = f"a strategy that ranks each example by itself: {who} knows no batches"
        raise ConfigError("length", f"{settings.length.name} with these options", allowed, instead)
    if plan.width.reach == "batch":
        allowed = f"a strategy that encodes each example by itself: {who} knows no batches"
        raise ConfigError("width", f"{settings.width.name} with these options", allowed, instead)
