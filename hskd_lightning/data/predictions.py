"""What a model said of every example of the dev splits: kept, so that claims can be made of new sentences, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hskd_lightning.integrity import damaged

PREDICTIONS = "predictions.safetensors"
"""The name of the file, in a cell's folder and in the artifact of a teacher's scores."""


class Predictions(NamedTuple):
    """A model's logits of one split, beside what is true there, in any order: examples are known by their ids."""

    ids: NDArray[np.int64]  # (N,) | the examples' own
    labels: NDArray[Any]  # (N,) int64 class ids, or float32 scores
    logits: NDArray[np.float32]  # (N, C); (N, 1) scores where the task is a regression

    @property
    def predicted(self) -> NDArray[np.float32]:
        """(N,): the class, or the score."""
        alone = self.logits.shape[1] == 1
        return (self.logits[:, 0] if alone else self.logits.argmax(axis=1)).astype(np.float32)


def write_predictions(path: Path, splits: Mapping[str, Predictions]) -> None:
    """Write the predictions of every dev split."""
    tensors = {f"{split}.{name}": tensor for split, of in splits.items() for name, tensor in of._asdict().items()}
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)


def read_predictions(path: Path, split: str, key: str, remedy: str) -> Predictions:
    """What `write_predictions` wrote of one split.

    Args:
        path: the file.
        split: the name of a dev split.
        key: what the file is part of.
        remedy: how it is made anew.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    try:
        tensors = load_file(path)
        read = Predictions(*(tensors[f"{split}.{name}"] for name in Predictions._fields))
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError) as error:  # the last two: types of no NumPy
        raise damaged(path, f"it cannot be read ({error!r})", key, remedy) from error
    if (fault := _fault(read)) is not None:
        raise damaged(path, fault, key, remedy)
    return read


def _fault(read: Predictions) -> str | None:
    """What is wrong with tensors that can be read."""
    if read.ids.ndim != 1 or read.ids.dtype != np.int64 or len(np.unique(read.ids)) < len(read.ids):
        return "its ids are no different whole numbers"
    if read.logits.ndim != 2 or read.logits.dtype != np.float32 or read.logits.shape[1] == 0:
        return "its logits are no matrix of float32"
    if not read.ids.shape == read.labels.shape == read.logits.shape[:1]:
        return "its tensors are not of the same examples"
    return None
