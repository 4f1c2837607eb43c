"""Where a cell stands: the states by name, and the file that says which."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from hskd_lightning.integrity import damaged, read_json, write_json


class State(StrEnum):
    """Where a cell stands."""

    SKIPPED = "SKIPPED"
    """A combination of a sweep that makes no sense: it never runs."""
    MISSING = "MISSING"
    """It never began."""
    RUNNING = "RUNNING"
    """A process is at it, on this host or on another."""
    INTERRUPTED = "INTERRUPTED"
    """It was stopped or killed, or its machine was; the same command goes on where it stopped."""
    FAILED = "FAILED"
    """It ended in an error, which its error.txt has."""
    DONE = "DONE"
    """It has a result."""
    DAMAGED = "DAMAGED"
    """It has a result that must not be believed: changed since, or of another schema."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Status:
    """status.json: what the last process that was at a cell said of it."""

    cell_id: str
    state: State
    attempt: int
    """1 for the first process that was at the cell."""
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    updated: str = field(default_factory=_now)
    """When it was said: ISO 8601, UTC."""

    @property
    def of_this_host(self) -> bool:
        return self.host == socket.gethostname()

    def write(self, path: Path) -> None:
        """Write status.json, whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Status:
        """What `write` wrote.

        Raises:
            ConfigError: the file is not what was written, or names a state that there is none of.
        """
        remedy = "none is needed: the next run of the cell writes it anew"
        said = read_json(path, "cell", remedy, tuple(cls.__dataclass_fields__))
        try:
            return cls(**{**said, "state": State(said["state"])})
        except (TypeError, ValueError) as error:
            raise damaged(path, f"it is another version's ({error})", "cell", remedy) from error
