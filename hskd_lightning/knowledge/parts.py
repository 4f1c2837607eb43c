"""The files of a store that is being made: each whole or not there, with a note that has its digest.

shard-00000.safetensors   shard-00000.safetensors.json   ...
fit.safetensors           fit.safetensors.json

A file goes to its place first and its note after it, so what has a note is whole. The manifest takes the notes over.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hskd_lightning.artifacts import MANIFEST, Recipe
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import check_file, digest, read_json, write_json
from hskd_lightning.knowledge.manifest import FIT
from hskd_lightning.knowledge.schema import shard_file

log = logging.getLogger(__name__)
FIT_LOCK = ".fit.lock"
NOTED = ("file", "sha256", "bytes", "examples", "rows", "weights", "fit", "loss")
"""The fields that a shard's note holds."""
FULL = "free some, keep less knowledge, or choose another disk with paths.artifacts=...; what is written stays"


class Parts:
    """The parts of a store that is being written: what is there of it already.

    Args:
        folder: where; it may hold what an earlier builder left.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fit_lock = folder / FIT_LOCK

    def write_shard(self, number: int, tensors: dict[str, Tensor], **said: object) -> None:
        """Write a shard; its note says what the manifest will.

        Raises:
            ConfigError: the disk does not take it.
        """
        name = shard_file(number)
        self._save(tensors, self.folder / name, file=name, **said)

    def read_shard_note(self, number: int) -> Recipe | None:
        """What is known of a shard; None where it is yet to be made, or what is known is not to be believed."""
        path = _note(self.folder / shard_file(number))
        if not path.exists():
            return None
        try:
            return read_json(path, "store", "none is needed: the shard is made anew", NOTED)
        except ConfigError as error:
            log.warning("store: shard %d is made anew.\n%s", number, error)
            path.unlink(missing_ok=True)
            return None

    def shard_lock(self, number: int) -> Path:
        """The lock file of whoever makes a shard."""
        return self.folder / f".{shard_file(number)}.lock"

    @property
    def has_fit(self) -> bool:
        """Whether a fit is there."""
        return self._whole or _note(self.folder / FIT).exists()

    @property
    def _whole(self) -> bool:
        """Whether the store is finished: its manifest has taken the notes over."""
        return (self.folder / MANIFEST).exists()

    def write_fit(self, fitted: dict[str, Tensor]) -> None:
        """Write what the fits of width and bits found.

        Raises:
            ConfigError: the disk does not take it.
        """
        self._save({name: tensor.contiguous() for name, tensor in fitted.items()}, self.folder / FIT)

    def read_fit(self) -> dict[str, Tensor]:
        """What `write_fit` wrote, in this process or another.

        Raises:
            ConfigError: it is not what was written.
        """
        if not self._whole:  # else whoever opened the store has compared it
            self.fit_digest()
        return load_file(self.folder / FIT)

    def fit_digest(self) -> str | None:
        """The SHA-256 of the fit, once found to be what was written: the shards hang on it. None: there is none."""
        if not self.has_fit:
            return None
        remedy = f"rm -r {self.folder}, and the same command builds the store from its start"
        known = read_json(_note(self.folder / FIT), "store", remedy, ("sha256",))
        check_file(self.folder / FIT, known, "store", remedy)
        return str(known["sha256"])

    def tidy(self, shards: int) -> None:
        """Remove what a whole store does not need: notes, locks, halves left by builders that were killed."""
        notes = [_note(self.folder / name) for name in (FIT, *map(shard_file, range(shards)))]
        locks = [self.fit_lock, *map(self.shard_lock, range(shards))]
        for path in [*self.folder.glob("*.tmp"), *locks, *notes]:
            path.unlink(missing_ok=True)

    def _save(self, tensors: dict[str, Tensor], path: Path, **said: object) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            save_file(tensors, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            written = digest(temporary)
            temporary.replace(path)
            write_json(_note(path), {**said, **written})
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise ConfigError("paths.artifacts", str(self.folder), f"a disk that takes it ({error})", FULL) from error


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
