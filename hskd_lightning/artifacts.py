"""Artifacts: folders named by the hash of what made them, built once, reused by whoever asks for the same thing.

artifacts/<kind>/<hash>/            whole: manifest.json beside what was built
artifacts/<kind>/<hash>.partial/    being built, or left by a process that died; the next builder may resume in it
artifacts/<kind>/.<hash>.lock       held by the one process that builds; others wait for it
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from hskd_lightning.errors import ConfigError

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
Recipe = dict[str, Any]


def fingerprint(recipe: object) -> str:
    """16 hex digits of the SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """Its first 16 digits."""
    return sha256(path)[:16]


def folder_digest(folder: Path) -> str:
    """A digest of every file under a folder, by relative name and content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return fingerprint({str(path.relative_to(folder)): file_digest(path) for path in files})


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)


def build_once(root: Path, kind: str, recipe: Recipe, build: Callable[[Path], Recipe]) -> Path:
    """The folder of an artifact, built by `build` if it is not there yet.

    Args:
        root: the artifacts' folder.
        kind: teacher, tokens, student, ...
        recipe: everything that decides the content, as JSON values; its hash is the folder's name.
        build: writes into the folder it is given, which may hold what a killed builder left, and returns facts
            worth keeping in the manifest (scores, seconds).

    Raises:
        ConfigError: the folder cannot be written, or an artifact there was made by another recipe.
    """
    recipe = json.loads(json.dumps(recipe))  # as it will be read back: tuples become lists
    name = fingerprint(recipe)
    final = root / kind / name
    if final.is_dir():
        return _reuse(final, kind, recipe)
    make_writable(final.parent)
    with hold(final.with_name(f".{name}.lock"), f"{kind} {name}"):
        if final.is_dir():
            return _reuse(final, kind, recipe)
        partial = final.with_name(f"{name}.partial")
        partial.mkdir(exist_ok=True)
        facts = build(partial)
        write_json(partial / MANIFEST, {"kind": kind, "recipe": recipe, "facts": facts})
        partial.rename(final)
    log.info("%s %s: built", kind, name)
    return final


def read_manifest(folder: Path) -> Recipe:
    """An artifact's manifest: kind, recipe, facts."""
    manifest: Recipe = json.loads((folder / MANIFEST).read_text())
    return manifest


def _reuse(folder: Path, kind: str, recipe: Recipe) -> Path:
    found = read_manifest(folder)["recipe"]
    differing = [key for key in {*found, *recipe} if found.get(key) != recipe.get(key)]
    if differing:
        key = min(differing)
        remedy = f"delete {folder}, which was changed after it was made"
        raise ConfigError(f"{kind}.{key}", found.get(key), repr(recipe.get(key)), remedy)
    log.info("%s %s: reused", kind, folder.name)
    return folder


def hold(path: Path, what: str) -> AcquireReturnProxy:
    """Hold a lock file for a `with` block; says so when another process has it. The kernel frees a dead one's."""
    lock = FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another process is at it, waiting", what)
        return lock.acquire()


def make_writable(folder: Path, key: str = "paths.root") -> None:
    """Make a folder that can be written to; `key` is where the user says which.

    Raises:
        ConfigError: it cannot be made, or not be written to.
    """
    remedy = f"choose a folder you can write to with {key}=..."
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(key, str(folder), f"a writable folder ({error.strerror})", remedy) from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(key, str(folder), "a writable folder", remedy)
