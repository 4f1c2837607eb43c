"""Where a teacher's first weights come from: the classes of conf/teacher/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.data.examples import Task
from hskd_lightning.models import encoder
from hskd_lightning.models.shapes import head, written_out


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
        return written_out(self.shape, task, vocab_size=self.vocabulary)

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
        return encoder.load_classifier(self.path, fresh_head=True, **head(task))
