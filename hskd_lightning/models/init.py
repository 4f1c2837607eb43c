"""Where a model's first weights come from. One class each; teachers and students choose among them by `_target_`.

`config` gives the model's shape without allocating it, `create` the model itself. Both end in a classification head
for the task, with the task's real label names.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder


@dataclass(frozen=True)
class FineTuned:
    """The fine-tuned teacher, as far as a student's beginning may need it."""

    config: PreTrainedConfig
    order: Sequence[int]
    """The teacher's class id of each of the task's labels."""
    locate: Callable[[], str]
    """Its folder or hub id. It is trained first if it does not exist, so call this only for its weights."""


class StudentInit(Protocol):
    """A student's beginning, given the teacher it will learn from."""

    path: str | None
    """A folder or hub id whose weights and tokenizer it brings along, or None."""

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        """The student's configuration.

        Raises:
            ConfigError: a shape that cannot be made from this teacher.
        """
        ...

    def create(self, teacher: FineTuned, task: Task, seed: int) -> PreTrainedModel:
        """The student with its first weights, a function of the seed."""
        ...


def head(task: Task) -> dict[str, Any]:
    """The classification head's part of a configuration."""
    names = task.labels or ("score",)
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }


def from_scratch(shape: Mapping[str, Any], task: Task, **inherited: Any) -> PreTrainedConfig:
    """A configuration from a written-out shape; `model_type` names the architecture."""
    settings = {**inherited, **shape, **head(task)}
    return AutoConfig.for_model(settings.pop("model_type"), **settings)


class ScratchTeacher:
    """A teacher with random weights and a vocabulary trained on the task's own text: small tasks, no downloads.

    Args:
        shape: the model's configuration, with `model_type`.
        vocabulary: size of the WordPiece vocabulary.
    """

    path: str | None = None

    def __init__(self, shape: Mapping[str, Any], vocabulary: int) -> None:
        self.shape = dict(shape)
        self.vocabulary = vocabulary

    def config(self, task: Task) -> PreTrainedConfig:
        return from_scratch(self.shape, task, vocab_size=self.vocabulary)

    def create(self, task: Task, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        return encoder.build_classifier(self.config(task))


class PretrainedTeacher:
    """A pretrained encoder, local or from the hub, given a fresh classification head.

    Args:
        path: a Hugging Face folder or hub id.
        key: where the user named it, for messages.
    """

    def __init__(self, path: str, key: str = "teacher.init.path") -> None:
        self.path = path
        self.key = key

    def config(self, task: Task) -> PreTrainedConfig:
        config = encoder.load_config(self.path, self.key)
        config.update(head(task))
        return config

    def create(self, task: Task, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)  # for the head
        return encoder.load_classifier(self.path, **head(task))


class ScratchStudent:
    """A student with random weights. The vocabulary and the longest input are the teacher's.

    Args:
        shape: the model's configuration, with `model_type`.
    """

    path: str | None = None

    def __init__(self, shape: Mapping[str, Any]) -> None:
        self.shape = dict(shape)

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        return from_scratch(
            self.shape,
            task,
            vocab_size=teacher.vocab_size,
            pad_token_id=teacher.pad_token_id,
            max_position_embeddings=teacher.max_position_embeddings,
        )

    def create(self, teacher: FineTuned, task: Task, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        return encoder.build_classifier(self.config(teacher.config, task))


class LayerDrop:
    """Some of the teacher's own blocks, with its embeddings and head.

    Args:
        blocks: how many, or null for half of them.
        layers: `first`; `uniform` (12 -> 6 keeps blocks 1,3,...,11, 0-based: the ones whose outputs are the teacher
            states of `depth=all`); or a list of block numbers, 0-based.
    """

    path: str | None = None

    def __init__(
        self, blocks: int | None = None, layers: Literal["first", "uniform"] | Sequence[int] = "first"
    ) -> None:
        self.blocks = blocks
        self.layers: str | list[int] = layers if isinstance(layers, str) else [int(number) for number in layers]

    def kept(self, teacher_blocks: int) -> list[int]:
        """The kept blocks' numbers, 0-based.

        Raises:
            ConfigError: more blocks than the teacher has, or one that it does not have.
        """
        if not isinstance(self.layers, str):
            return self._checked(self.layers, teacher_blocks)
        count = max(1, teacher_blocks // 2) if self.blocks is None else self.blocks
        if not 1 <= count <= teacher_blocks:
            remedy = "ask for fewer blocks or choose a deeper teacher"
            raise ConfigError("student.init.blocks", count, f"1 to {teacher_blocks}, the teacher's", remedy)
        if self.layers == "first":
            return list(range(count))
        if self.layers == "uniform":
            return [round((number + 1) * teacher_blocks / count) - 1 for number in range(count)]
        allowed = "first, uniform, or a list of block numbers"
        raise ConfigError("student.init.layers", self.layers, allowed, "write student.init.layers=first")

    def _checked(self, layers: list[int], teacher_blocks: int) -> list[int]:
        if not layers or any(not 0 <= number < teacher_blocks for number in layers):
            allowed = f"block numbers from 0 to {teacher_blocks - 1}"
            raise ConfigError("student.init.layers", layers, allowed, "name blocks that the teacher has")
        return layers

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        config = copy.deepcopy(teacher)
        kept = self.kept(teacher.num_hidden_layers)
        if getattr(config, "layer_types", None):
            config.layer_types = [config.layer_types[number] for number in kept]
        config.num_hidden_layers = len(kept)
        config.update(head(task))
        return config

    def create(self, teacher: FineTuned, task: Task, seed: int) -> PreTrainedModel:
        model = encoder.load_classifier(teacher.locate())
        encoder.replace_blocks(model, self.kept(model.config.num_hidden_layers))
        encoder.reorder_classes(model, teacher.order)
        model.config.update(head(task))
        return model


class HubStudent:
    """A pretrained encoder of its own, local or from the hub, with a fresh head. Its tokenizer must be the teacher's.

    Args:
        path: a Hugging Face folder or hub id.
    """

    def __init__(self, path: str) -> None:
        self.path: str | None = path
        self._pretrained = PretrainedTeacher(path, "student.init.path")

    def config(self, teacher: PreTrainedConfig, task: Task) -> PreTrainedConfig:
        return self._pretrained.config(task)

    def create(self, teacher: FineTuned, task: Task, seed: int) -> PreTrainedModel:
        return self._pretrained.create(task, seed)
