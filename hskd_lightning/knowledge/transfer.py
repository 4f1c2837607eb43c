"""Stores on the move: any place that fsspec knows (a folder, s3://, gs://, hf://datasets/...)."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec

from hskd_lightning.artifacts import MANIFEST, hold, make_writable
from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.manifest import FIT, check_files, read_sealed


def push(folder: Path, url: str) -> str:
    """Copy a whole store to `url`/<its name>; the manifest last, so that half a copy is no store.

    Returns:
        where it is now.

    Raises:
        ConfigError: the store is damaged, or there is no way to the place.
    """
    check_files(folder, read_sealed(folder)["facts"])
    files, root = _open(url)
    target = f"{root.rstrip('/')}/{folder.name}"
    files.makedirs(target, exist_ok=True)
    for name in [*_names(folder), MANIFEST]:
        files.put_file(str(folder / name), f"{target}/{name}")
    return f"{url.rstrip('/')}/{folder.name}"


def pull(url: str, stores: Path) -> Path:
    """Copy the store at `url` among the artifacts' stores, checked before it is called whole.

    Raises:
        ConfigError: there is no store, no way to it, or it was damaged on the way.
    """
    files, root = _open(url)
    name = root.rstrip("/").rpartition("/")[2]
    final = stores / name
    make_writable(stores)
    with hold(stores / f".{name}.lock", f"store {name}"):
        if final.is_dir():
            return final
        partial = stores / f"{name}.pulled"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _fetch(files, root, MANIFEST, partial)
        for file in _names(partial):
            _fetch(files, root, file, partial)
        check_files(partial, read_sealed(partial)["facts"])
        partial.rename(final)
    return final


def _names(folder: Path) -> list[str]:
    """The files that a store's manifest speaks of."""
    facts = read_sealed(folder)["facts"]
    return ([FIT] if facts["fit"] else []) + [shard["file"] for shard in facts["shards"]]


def _fetch(files: fsspec.AbstractFileSystem, root: str, name: str, folder: Path) -> None:
    try:
        files.get_file(f"{root.rstrip('/')}/{name}", str(folder / name))
    except FileNotFoundError as error:
        raise ConfigError(
            "store", f"{root}/{name}", "a store's folder; this is missing", "check the address"
        ) from error


def _open(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        remedy = f"install what speaks this protocol ({error})"
        raise ConfigError("store", url, "a folder, or an address that fsspec can open", remedy) from error
