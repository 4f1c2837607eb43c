"""The two ways a run ends in words a user can act on, and what such words call this program."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection
from pathlib import Path

LONGEST = 600
"""Characters of each part of a message: a value may be a cell of ten megabytes."""


class ConfigError(ValueError):
    """A mistake in what the user asked for, found before any download or training.

    Args:
        key: the configuration key as typed on the command line, e.g. ``length.keep``.
        value: what cannot be used.
        allowed: what can.
        remedy: the way out, as something to type or do.
    """

    def __init__(self, key: str, value: object, allowed: str, remedy: str) -> None:
        text, rule, out = (shortened(discreet(part), LONGEST) for part in (repr(value), allowed, remedy))
        super().__init__(f"`{key}` = {text} cannot be used.\n  allowed: {rule}\n  remedy:  {out}")
        self.key = key
        self.value = value
        self.allowed = allowed
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the four parts: sweep launchers send exceptions between processes by pickling them."""
        return type(self), (self.key, self.value, self.allowed, self.remedy)


class OutOfReach(ConfigError):
    """What a hub has is not on this disk, and the hub does not answer: the same configuration may be right later."""


class TrainingError(RuntimeError):
    """A training that cannot go on (a loss that is not a number): names the stage and the step."""


RENAMED = {"store.dtype": "bits"}
"""Keys that there once were, and what has taken their place."""


def renamed(key: str, value: object) -> ConfigError:
    """For a key that there once was."""
    now = RENAMED[key]
    return ConfigError(key, value, f"a key that there is: {now} has taken its place", f"write {now}={value}")


def discreet(text: str) -> str:
    """The text without the passwords of its addresses: what is said may be kept in a log."""
    return re.sub(r"(?<=://)([^/\s:@]*):[^/\s@]+@", r"\1:***@", text)


def shortened(text: str, most: int = 80) -> str:
    """The text, or its beginning, its end and its length where it has more than `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... {text[-half:]} ({len(text):,} characters)"


def shown(value: object) -> str:
    """A value as Python writes it, shortened: what cannot be printed is escaped."""
    return shortened(repr(value))


def listing(names: Collection[str], most: int = 10) -> str:
    """Names for a message: the first few, and how many there are."""
    few = ", ".join(_name(name) for name in list(names)[:most])
    return few if len(names) <= most else f"{few}, ... ({len(names):,} in all)"


def did_you_mean(typed: str, known: Collection[str], otherwise: str, most: int = 1, node: str = "") -> str:
    """The remedy for a mistyped name: the nearest known ones, as keys of `node`; `otherwise` where none is near."""
    near = [f"{node}{name}" for name in difflib.get_close_matches(typed, known, n=most)]
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def _name(name: str) -> str:
    """A name as it stands, or quoted where its ends or some of its characters could not be seen."""
    return shortened(name) if name.isprintable() and name == name.strip() else shown(name)


def command(name: str) -> str:
    """A command as this user types it: `hskd store`, `python -m hskd_lightning.store`, or `python train.py`."""
    if Path(sys.argv[0]).stem == "hskd":
        return f"hskd {name}"
    return "python train.py" if name == "train" else f"python -m hskd_lightning.{name}"
