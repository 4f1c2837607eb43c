"""A store's manifest: sealed when it is written, and checked, file by file, before anything is believed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hskd_lightning import integrity
from hskd_lightning.artifacts import MANIFEST, Recipe
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.integrity import check_file, fingerprint
from hskd_lightning.knowledge.schema import fault

log = logging.getLogger(__name__)
KIND = "store"
"""Of these artifacts, see `artifacts`."""
FIT = "fit.safetensors"
"""What the fits of width and bits found, for the teacher's values and the student's view alike."""
REBUILD = f"fetch it again, or remove it ({command('store')} rm ...) and it is built anew"
MOST_SHARDS = 50_000
"""Of a store: Linux maps 65,530 files for a process, and a manifest of so many is read at once."""
LARGEST = 16 * 2**20
"""The most bytes that a manifest may have: more than those of so many shards."""


def stores(folder: Path) -> Iterator[tuple[Path, Recipe, dict[str, Any]]]:
    """Every whole store below a folder: where it is, its recipe and its facts. Unreadable ones are passed over."""
    for path in sorted(folder.glob("*/manifest.json")):
        if path.parent.suffix:
            continue  # half built, or half pulled
        try:
            manifest = read_sealed(path.parent)
        except ConfigError as error:
            log.warning("%s", error)
            continue
        yield path.parent, manifest["recipe"], manifest["facts"]


def sealed(facts: Recipe) -> Recipe:
    """Facts with a fingerprint of each, so that a change by hand or by accident shows, and where."""
    return {**facts, "seal": {field: fingerprint(value) for field, value in facts.items()}}


def read_sealed(folder: Path) -> dict[str, Any]:
    """A store's manifest: as it was written, and what a store's manifest can be.

    Raises:
        ConfigError: there is none, it cannot be read, or a field of it was changed or is none; the field is named.
    """
    path = folder / MANIFEST
    if not path.is_file():
        remedy = "name a folder that a store was built in, or leave store.path out"
        raise ConfigError("store.path", str(folder), f"a folder with {MANIFEST}", remedy)
    if path.stat().st_size > LARGEST:
        raise damaged(path, f"unreadable ({path.stat().st_size:,} bytes, where {LARGEST:,} are many)")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        recipe, facts = dict(manifest["recipe"]), dict(manifest["facts"])
        seal = dict(facts.pop("seal"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"unreadable ({error!r})") from error
    for field in sorted({*facts, *seal}):
        if field not in facts or seal.get(field) != fingerprint(facts[field]):
            raise damaged(path, f"field {field!r} was changed after it was written")
    if facts.get("recipe") != fingerprint(recipe):
        raise damaged(path, "field 'recipe' was changed after it was written")
    if (wrong := fault(manifest)) is not None:
        raise damaged(path, f"no manifest of a store: {wrong}")
    return manifest


def check_files(folder: Path, facts: Recipe, tell: Callable[[str], None] = lambda name: None) -> None:
    """Compare every file with its checksum.

    Args:
        tell: is given each file's name once it is found good.

    Raises:
        ConfigError: a file is missing, cut short, or not what was written; it is named.
    """
    for name, digest in files_of(facts):
        check_file(folder / name, digest, "store", REBUILD)
        tell(name)


def files_of(facts: Recipe) -> Iterator[tuple[str, dict[str, Any]]]:
    """A store's files beside the manifest, each with its digest; the fit's size is not known."""
    if facts["fit"] is not None:
        yield FIT, {"sha256": facts["fit"]}
    for shard in facts["shards"]:
        yield shard["file"], {"sha256": shard["sha256"], "bytes": shard["bytes"]}


def damaged(path: Path, what: str) -> ConfigError:
    """The error for a file of a store that must not be believed."""
    return integrity.damaged(path, f"it is {what}", "store", REBUILD)
