"""student/init=hub"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.init.base import FineTuned

SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


class HubWeights:
    """A pretrained encoder, local or from the hub, with a fresh head. Its tokenizer must be the teacher's.

    Args:
        path: a Hugging Face folder or hub id.
        otherwise: the initialisation to take where `path` is out of reach, or None to make that an error;
            `Experiment.resolve` has settled it by the time this class is built.
    """

    drawn = True  # the head
    weighing = None

    def __init__(self, path: str, otherwise: Mapping[str, Any] | None = None) -> None:
        self.path: str | None = path
        self._path = path

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        found = encoder.load_settings(self._path, "student.path")
        for size in SIZES:
            # A checkpoint may spell a size otherwise (DistilBERT), or leave it to its class's default.
            if size in found and found[size] != getattr(student, size):
                allowed = f"a checkpoint with {size} = {getattr(student, size)}"
                remedy = "choose student=hub for a checkpoint of any shape, or student/init=random"
                raise ConfigError("student.path", f"{self._path}: {size} = {found[size]}", allowed, remedy)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)  # for the head
        return encoder.load_classifier(self._path, fresh_head=True, config=student)
