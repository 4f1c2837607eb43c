"""student/init=hub"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import cached_file

from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.init.base import FineTuned

FILES = ("model.safetensors", "pytorch_model.bin")
"""Where a checkpoint's weights are, the first that is there; a student is too small to be in several pieces."""
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


class HubWeights:
    """A pretrained encoder, local or from the hub, with a fresh head. Its tokenizer must be the teacher's.

    Config::

        student:
          init:  # python train.py student=hub student/init=hub student.path=some/encoder
            name: hub
            path: some/encoder

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
        settings = encoder.load_settings(self._path, "student.path")
        for size in SIZES:
            # A checkpoint may spell a size otherwise (DistilBERT), or leave it to its class's default.
            if size in settings and settings[size] != getattr(student, size):
                allowed = f"a checkpoint with {size} = {getattr(student, size)}"
                remedy = "choose student=hub for a checkpoint of any shape, or student/init=random"
                raise ConfigError("student.path", f"{self._path}: {size} = {settings[size]}", allowed, remedy)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)  # for the head
        return encoder.load_classifier(self._path, fresh_head=True, config=student)


def learned_map(path: str, shape: tuple[int, int]) -> dict[str, Tensor]:
    """The map d -> D that a checkpoint was distilled with, as a linear layer's weight (D, d) and bias (D,).

    TinyBERT's general checkpoints have one, `fit_dense`. Nothing where there is none, or one of another shape.

    Raises:
        ConfigError: no file of weights can be read.
    """
    state = _weights(path)
    parameters = {part: state[name] for part in ("weight", "bias") if (name := f"fit_dense.{part}") in state}
    fits = [tuple(value.shape) for value in parameters.values()] == [shape, shape[:1]]
    return {part: value.float().contiguous() for part, value in parameters.items()} if fits else {}


def _weights(path: str) -> dict[str, Tensor]:
    errors = []
    for name in FILES:
        try:
            file = cached_file(path, name)
            if name.endswith(".safetensors"):
                return load_file(file)
            state: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
            return state
        except Exception as error:  # not there, or none of its kind: each fails in its own way
            errors.append(next(iter(str(error).splitlines()), type(error).__name__))
    allowed = f"torch or normal: of {path} neither {' nor '.join(FILES)} can be read"
    raise ConfigError("preset.map_init", "checkpoint", allowed, f"write preset.map_init=normal ({errors[-1]})")
