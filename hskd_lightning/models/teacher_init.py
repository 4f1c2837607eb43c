"""Where a teacher's first weights come from: the classes of conf/teacher/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.data.examples import Task
from hskd_lightning.data.vocabulary import SPECIAL
from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.written_out import head, written_out


class ScratchTeacher:
    """A teacher with random weights and a vocabulary trained on the task's own text: small tasks, no downloads.

    Args:
        shape: the model's configuration, with `model_type`.
        vocabulary: size of the WordPiece vocabulary.

    Raises:
        ConfigError: no shape, or no size.
    """

    path: str | None = None

    def __init__(self, shape: Mapping[str, Any], vocabulary: int) -> None:
        if not isinstance(shape, Mapping):
            allowed = "the teacher's sizes: model_type, hidden_size and so on"
            raise ConfigError("teacher.init.shape", shape, allowed, "set one size: teacher.init.shape.hidden_size=64")
        if isinstance(vocabulary, bool) or not isinstance(vocabulary, int) or vocabulary <= len(SPECIAL):
            allowed = f"a whole number above {len(SPECIAL)}, the special tokens"
            remedy = "some hundreds of entries suit a toy, 8000 a language"
            raise ConfigError("teacher.init.vocabulary", vocabulary, allowed, remedy)
        self.shape = dict(shape)
        self.vocabulary = vocabulary

    def config(self, task: Task) -> PreTrainedConfig:
        return written_out(self.shape, task, "teacher.init.shape", vocab_size=self.vocabulary)

    def create(self, task: Task, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        return encoder.build_classifier(self.config(task))


class PretrainedTeacher:
    """A pretrained encoder, local or from the hub, given a fresh classification head.

    Args:
        path: a Hugging Face folder or hub id.
        key: where the user named it, for messages.

    Raises:
        ConfigError: no path, or one of a file, or of a folder without a model.
    """

    def __init__(self, path: str, key: str = "teacher.init.path") -> None:
        self.path = encoder.model_path(path, key)
        self.key = key

    def config(self, task: Task) -> PreTrainedConfig:
        config = encoder.load_config(self.path, self.key)
        config.update(head(task))
        return config

    def create(self, task: Task, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)  # for the head
        return encoder.load_classifier(self.path, fresh_head=True, key=self.key, **head(task))
