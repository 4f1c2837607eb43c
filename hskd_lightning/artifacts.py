"""Artifacts: folders named by the hash of what made them, built once, reused by whoever asks for the same thing.

artifacts/<kind>/<hash>/            whole: manifest.json, with a digest of each file, beside what was built
artifacts/<kind>/<hash>.partial/    being built, or left by a process that died; the next builder may resume in it
artifacts/<kind>/.<hash>.lock       held by the one process that builds; others wait for it
"""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from hskd_lightning import ranks
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import check_files, digests, fingerprint, read_json, write_json

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
PATIENCE = 90.0
"""Seconds in which a network's disk shows a folder to every machine."""
PARTIAL = ".partial"
NO_FLOCK = "mount it so that it does (Lustre: -o flock; NFS: with its lock service), or choose another with"
Recipe = dict[str, Any]


def folder_of(root: Path, kind: str, recipe: Recipe) -> Path:
    """Where an artifact is, or would be."""
    return root / kind / fingerprint(json.loads(json.dumps(recipe)))  # as it is read back: tuples become lists


def build_once(root: Path, kind: str, recipe: Recipe, build: Callable[[Path], Recipe], vouched: bool = False) -> Path:
    """The folder of an artifact, built by `build` if it is not there yet, and what was built there if it is.

    Args:
        root: the artifacts' folder.
        kind: teacher, tokens, student, ...
        recipe: everything that decides the content, as JSON values; its hash is the folder's name.
        build: writes into the folder it is given, which may hold what a killed builder left, and returns facts
            worth keeping in the manifest (scores, seconds).
        vouched: the facts have the files' digests, and whoever opens the files checks them: a store's are terabytes.

    Raises:
        ConfigError: the folder cannot be written; an artifact there was made by another recipe, or damaged since.
    """
    recipe = json.loads(json.dumps(recipe))
    final = folder_of(root, kind, recipe)
    name = final.name
    if ranks.rank() > 0:
        _await(final)
    if final.is_dir():
        return _reuse(final, kind, recipe)
    make_writable(final.parent)
    partial = final.with_name(f"{name}{PARTIAL}")
    with hold(lock_of(partial), f"{kind} {name}"):
        if final.is_dir():
            return _reuse(final, kind, recipe)
        partial.mkdir(exist_ok=True)
        facts = build(partial)
        files = {} if vouched else digests(partial)
        write_json(partial / MANIFEST, {"kind": kind, "recipe": recipe, "facts": facts, "files": files})
        partial.rename(final)
    log.info("%s %s: built", kind, name)
    return final


def read_manifest(folder: Path) -> Recipe:
    """An artifact's manifest: kind, recipe, facts, and the digests of its files.

    Raises:
        ConfigError: it is not what was written.
    """
    return read_json(folder / MANIFEST, folder.parent.name, anew(folder), ("recipe", "facts", "files"))


def checked(folder: Path) -> Path:
    """An artifact's folder, once every file in it is found to be what was written.

    Raises:
        ConfigError: the manifest or a file is not; it is named.
    """
    check_files(folder, read_manifest(folder)["files"], folder.parent.name, anew(folder))
    return folder


def anew(folder: Path) -> str:
    """How an artifact is made again."""
    return f"rm -r {folder}, and the same command makes it anew"


def _await(folder: Path) -> None:
    """The rank that leads has made it: a network's disk may show it a little later here.

    Raises:
        ConfigError: it does not come.
    """
    deadline = time.monotonic() + PATIENCE
    while not folder.is_dir():
        if time.monotonic() > deadline:
            allowed = "a folder that all machines of a cell have"
            raise ConfigError("paths.artifacts", str(folder), allowed, "choose one with paths.root=...")
        time.sleep(0.1)


def _reuse(folder: Path, kind: str, recipe: Recipe) -> Path:
    stored = read_manifest(folder)["recipe"]
    differing = [key for key in {*stored, *recipe} if fingerprint(stored.get(key)) != fingerprint(recipe.get(key))]
    if differing:
        key = min(differing)
        allowed = f"{recipe.get(key)!r}: {folder / MANIFEST} is another artifact's"
        raise ConfigError(f"{kind}.{key}", stored.get(key), allowed, anew(folder))
    _say_reused(folder, kind)
    return checked(folder)


@functools.cache
def _say_reused(folder: Path, kind: str) -> None:
    """Say so once: a plan of hundreds of cells asks for the same tokens hundreds of times."""
    log.info("%s %s: reused", kind, folder.name)


def lock_of(folder: Path) -> Path:
    """The lock file of whoever builds in this `.partial` folder."""
    return folder.with_name(f".{folder.name.removesuffix(PARTIAL)}.lock")


def hold(path: Path, what: str) -> AcquireReturnProxy:
    """Hold a lock file for a `with` block; says so when another process has it. The kernel frees a dead one's."""
    lock = lock_file(path)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another process is at it, waiting", what)
        return lock.acquire()


def is_held(path: Path) -> bool:
    """Whether a living process has this lock file."""
    try:
        with lock_file(path).acquire(timeout=0):
            return False
    except Timeout:
        return True


def lock_file(path: Path) -> FileLock:
    """A lock that the kernel frees when its process dies, on whatever machine.

    Raises:
        ConfigError: the folder's file system has none.
    """
    check_flock(path.parent)
    return FileLock(path)


@functools.cache
def check_flock(folder: Path, key: str = "paths.root") -> None:
    """Without flock filelock takes a file's being there for the lock: that of a process killed elsewhere stays.

    Args:
        folder: one that is there, and can be written to.
        key: where the user says which.

    Raises:
        ConfigError: its file system has no flock.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            allowed = f"a folder whose file system locks files by flock ({error.strerror})"
            raise ConfigError(key, str(folder), allowed, f"{NO_FLOCK} {key}=...") from error


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
