"""Checkpoints with their digests: each is written whole, and read only if it is what was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import TorchCheckpointIO

from hskd_lightning.integrity import check_file, damaged, digest, read_json, write_json

KEY = "checkpoint"


class CheckedCheckpoints(TorchCheckpointIO):
    """Lightning's own writer of checkpoints, and beside each checkpoint a note with its digest.

    A checkpoint replaces the one of its name in one step, and so does a note, but not both in the same one. So the note
    comes first, and for that moment knows the old checkpoint too: a kill between them leaves a pair that agrees.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        final = Path(path)
        temporary = final.with_name(f"{final.name}.{os.getpid()}.tmp")
        super().save_checkpoint(checkpoint, temporary, storage_options)
        before = [digest(final)] if final.exists() else []
        write_json(_note(final), {"of": final.name, "digests": [digest(temporary), *before]})
        temporary.replace(final)

    def remove_checkpoint(self, path: Any) -> None:
        remove(Path(path))


def checked(path: Path, remedy: str) -> Path:
    """A checkpoint's path, once it is found to be what was written.

    Raises:
        ConfigError: it is not; it is named.
    """
    note = read_json(_note(path), KEY, remedy, ("of", "digests"))
    if note["of"] != path.name:
        raise damaged(_note(path), "it is of another file", KEY, remedy)
    if not (path.is_file() and digest(path) in note["digests"]):
        check_file(path, note["digests"][0], KEY, remedy)
    return path


def forget(path: Path) -> None:
    """Delete a checkpoint's note, once its digest stands elsewhere."""
    _note(path).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete a checkpoint and its note."""
    path.unlink(missing_ok=True)
    forget(path)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
