"""What lies on the disk already: the hub's cache, the artifacts, and what nobody will finish."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from hskd_lightning.artifacts import PARTIAL, is_held, lock_of
from hskd_lightning.doctor.disk import nearest, unwritable
from hskd_lightning.doctor.finding import Finding, note, ok

SECONDS = 5.0
"""For the weighing of one folder: some hold a million files on a network's disk."""
FEW = 3
"""Paths that a remedy names one by one."""


def hub() -> Iterator[Finding]:
    """Where models and data of the hub are kept, and how much of them is."""
    from huggingface_hub import constants

    home, models = Path(constants.HF_HOME), Path(constants.HF_HUB_CACHE)
    data = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets"))
    for place in (home, *(elsewhere for elsewhere in (models, data) if not elsewhere.is_relative_to(home))):
        said = f"{place}: {weighed([place])}" if place.exists() else f"{place}: nothing yet"
        if fault := unwritable(nearest(place)):
            yield note(f"{said}, and nothing can be added ({fault})", "set HF_HOME to a folder that can be written to")
        else:
            yield ok(said)


def artifacts(folder: Path) -> Iterator[Finding]:
    """What was made once and is shared, by kind."""
    kinds = [kind for kind in sorted(folder.glob("*")) if kind.is_dir() and not kind.name.startswith(".")]
    if not kinds:
        yield ok(f"{folder}: nothing yet")
    for kind in kinds:
        made = [path for path in kind.iterdir() if not path.name.startswith(".") and path.suffix != PARTIAL]
        yield ok(f"{kind.name}: {len(made):,}, {weighed(made)}")


def leftovers(folder: Path) -> Iterator[Finding]:
    """What was begun, and has no living process that goes on with it."""
    begun = sorted(folder.glob(f"*/*{PARTIAL}"))
    left = [path for path in begun if not _is_alive(path)]
    if not left:
        yield ok(f"none; {len(begun)} being built" if begun else "none")
        return
    every = len(left) == len(begun) and len(left) > FEW
    paths = f"{shlex.quote(str(folder))}/*/*{PARTIAL}" if every else shlex.join(map(str, left))
    said = f"{len(left)} half built with nobody at it, {weighed(left)}"
    yield note(said, f"the command that began one goes on with it; else rm -r {paths}")


def _is_alive(partial: Path) -> bool:
    """Whether somebody holds the folder, or one of the shards in it."""
    locks = (lock_of(partial), *partial.glob(".*.lock"))
    return any(lock.exists() and is_held(lock) for lock in locks)


def weighed(places: list[Path]) -> str:
    """The gigabytes and the number of the files below some folders, as far as can be counted in a moment."""
    size = count = 0
    until = time.monotonic() + SECONDS
    for file in _files(places):
        size, count = size + file, count + 1
        if time.monotonic() > until:
            return f"more than {size / 1e9:,.2f} GB in {count:,} files"
    return f"{size / 1e9:,.2f} GB in {count:,} files"


def _files(places: list[Path]) -> Iterator[int]:
    """The size of each file; a link's is its own: the hub's cache has a link for each of its files."""
    for place in places:
        if place.is_file():
            yield place.lstat().st_size
        for folder, _, names in os.walk(place):
            for name in names:
                try:
                    yield os.lstat(os.path.join(folder, name)).st_size
                except FileNotFoundError:  # by now: others are at work here
                    continue
