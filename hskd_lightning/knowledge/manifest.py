"""A store's manifest: sealed when it is written, and checked, file by file, before anything is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hskd_lightning.artifacts import MANIFEST, Recipe, fingerprint, sha256
from hskd_lightning.errors import ConfigError

FIT = "fit.safetensors"
"""What the width strategy's fit found, for the teacher's values and the student's view alike."""
REBUILD = "fetch it again, or remove it (python -m hskd_lightning.store rm ...) and it is built anew"


def shard_file(number: int) -> str:
    """A shard's name."""
    return f"shard-{number:05d}.safetensors"


def sealed(facts: Recipe) -> Recipe:
    """Facts with a fingerprint of each, so that a change by hand or by accident shows, and where."""
    return {**facts, "seal": {field: fingerprint(value) for field, value in facts.items()}}


def read_sealed(folder: Path) -> dict[str, Any]:
    """A store's manifest.

    Raises:
        ConfigError: there is none, it cannot be read, or a field of it was changed; the field is named.
    """
    path = folder / MANIFEST
    if not path.exists():
        remedy = "name a folder that a store was built in, or leave store.path out"
        raise ConfigError("store.path", str(folder), f"a folder with {MANIFEST}", remedy)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        recipe, facts = manifest["recipe"], dict(manifest["facts"])
        seal = facts.pop("seal")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"unreadable ({error!r})") from error
    for field in sorted({*facts, *seal}):
        if field not in facts or seal.get(field) != fingerprint(facts[field]):
            raise damaged(path, f"field {field!r} was changed after it was written")
    if facts["recipe"] != fingerprint(recipe):
        raise damaged(path, "field 'recipe' was changed after it was written")
    return manifest


def check_files(folder: Path, facts: Recipe, tell: Callable[[str], None] = lambda name: None) -> None:
    """Compare every file with its checksum.

    Args:
        tell: is given each file's name once it is found good.

    Raises:
        ConfigError: a file is missing, cut short, or not what was written; it is named.
    """
    for name, digest, size in _files(facts):
        path = folder / name
        if not path.exists():
            raise damaged(path, "missing")
        if size is not None and path.stat().st_size != size:
            raise damaged(path, f"{path.stat().st_size:,} bytes instead of {size:,}")
        if sha256(path) != digest:
            raise damaged(path, "not the bytes that were written: its SHA-256 differs")
        tell(name)


def _files(facts: Recipe) -> Iterator[tuple[str, str, int | None]]:
    if facts["fit"] is not None:
        yield FIT, facts["fit"], None
    for shard in facts["shards"]:
        yield shard["file"], shard["sha256"], shard["bytes"]


def damaged(path: Path, what: str) -> ConfigError:
    """The error for a file that must not be believed."""
    return ConfigError("store", str(path), f"what was written there; it is {what}", REBUILD)
