"""The two ways a run ends in words a user can act on, and what such words call this program."""

from __future__ import annotations

import sys
from pathlib import Path


class ConfigError(ValueError):
    """A mistake in what the user asked for, found before any download or training.

    Args:
        key: the configuration key as typed on the command line, e.g. ``length.keep``.
        found: the value that cannot be used.
        allowed: what can.
        remedy: the way out, as something to type or do.
    """

    def __init__(self, key: str, found: object, allowed: str, remedy: str) -> None:
        super().__init__(f"`{key}` = {found!r} cannot be used.\n  allowed: {allowed}\n  remedy:  {remedy}")
        self.key = key
        self.found = found
        self.allowed = allowed
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the four parts: sweep launchers send exceptions between processes by pickling them."""
        return type(self), (self.key, self.found, self.allowed, self.remedy)


class TrainingError(RuntimeError):
    """A training that cannot go on (a loss that is not a number): names the stage and the step."""


def command(name: str) -> str:
    """A command as this user types it: `hskd store`, `python -m hskd_lightning.store`, or `python train.py`."""
    if Path(sys.argv[0]).stem == "hskd":
        return f"hskd {name}"
    return "python train.py" if name == "train" else f"python -m hskd_lightning.{name}"
