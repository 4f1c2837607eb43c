"""Where a run writes: leave to, locks, and room."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hskd_lightning.artifacts import check_flock
from hskd_lightning.doctor.finding import Finding, note, ok, red

LEAST, PLENTY = 0.5e9, 10e9
"""Bytes free. Below the first BERT-base's weights find no room, below the second a sweep's teachers soon find none."""


def folder(place: Path, key: str, least: float = LEAST, plenty: float = PLENTY) -> Iterator[Finding]:
    """A folder that runs write to, or the nearest one above it that is there.

    Args:
        place: need not be there yet.
        key: where the user says which.
        least: bytes without which nothing runs.
        plenty: bytes below which there is a note.

    Raises:
        ConfigError: its file system has no locks.
    """
    here = nearest(place)
    another = f"choose another with {key}=..."
    if fault := unwritable(here):
        yield red(f"{place} cannot be written to ({fault})", another)
        return
    check_flock(here, key)
    free = shutil.disk_usage(here).free
    said = f"{place}: can be written to, has locks, {free / 1e9:,.1f} GB free"
    if free < least:
        yield red(f"{said}, where {least / 1e9:g} are the least", f"make room, or {another}")
    elif free < plenty:
        yield note(f"{said}: {plenty / 1e9:g} are soon used", f"make room, or {another}")
    else:
        yield ok(said)


def temporary() -> Iterator[Finding]:
    """The folder of temporary files, which Python chooses."""
    asked = os.environ.get("TMPDIR")
    try:
        chosen = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        yield red(f"none that can be written to ({error.strerror})", "set TMPDIR to a folder that can")
        return
    if asked and chosen != Path(asked).absolute():
        yield note(f"TMPDIR={asked} cannot be written to: {chosen} is taken", "correct TMPDIR, or unset it")
    yield from folder(chosen, "TMPDIR", LEAST / 10, PLENTY / 10)


def nearest(place: Path) -> Path:
    """The folder itself, or the nearest path above it that is there."""
    whole = place.absolute()
    return next(
        path for path in (whole, *whole.parents) if os.path.exists(path)
    )  # Path's own fails where one may not look


def unwritable(place: Path) -> str:
    """Why a folder cannot be written to, found out by doing it; nothing where it can."""
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"doctor")
            probe.flush()
    except OSError as error:
        return str(error.strerror)
    return ""
