"""runs/<cell_id>/: one cell of a study, from its first line of log to its result.

config.yaml     what was asked, resolved          status.json   RUNNING, DONE or FAILED; host, pid, attempt
log.txt         what was said                     metrics.csv   stage, step, name, value
checkpoints/    the student's, by stage           result.json   all that a study reads
student/        a Hugging Face folder             error.txt     a failed cell's traceback

result.json vouches for what is read back of a finished cell: config.yaml, metrics.csv and student/, by their digests.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hskd_lightning.artifacts import hold, make_writable
from hskd_lightning.errors import ConfigError, TrainingError
from hskd_lightning.integrity import Digests, check_files, damaged, digest, digests, read_json, write_json

log = logging.getLogger(__name__)
RESULT, STATUS = "result.json", "status.json"
FILES = "files"
"""The field of result.json with the digests of the cell's other files; no figure of the cell."""


class Cell:
    """A cell's folder and what is written there. Use `Cell.open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def student(self) -> Path:
        return self.folder / "student"

    @property
    def result(self) -> dict[str, Any] | None:
        """What the cell ended with; see `read_result`."""
        return read_result(self.folder)

    @classmethod
    @contextmanager
    def open(cls, root: Path, name: str, config: Mapping[str, Any], force: bool = False) -> Iterator[Cell]:
        """Hold a cell for this process. Another process that wants it waits here, and then finds its result.

        Whatever ends the block by an exception is written to error.txt, marks the cell FAILED, and goes on upwards.
        """
        make_writable(root)
        cell = cls(root / name)
        with hold(root / f".{name}.lock", f"cell {name}"):
            if force:
                shutil.rmtree(cell.folder, ignore_errors=True)
            if cell.result is not None:
                yield cell
                return
            cell.folder.mkdir(exist_ok=True)
            with cell._logging():
                cell._begin(config)
                try:
                    yield cell
                except BaseException as error:
                    cell._fail(error)
                    raise
                cell._status("DONE")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result: from here on the cell is done."""
        beside = [path for path in (self.folder / "config.yaml", self.folder / "metrics.csv") if path.exists()]
        files = {path.name: digest(path) for path in beside}
        files |= {f"student/{name}": found for name, found in digests(self.student).items()}
        write_json(self.folder / RESULT, {**result, FILES: files})

    def _begin(self, config: Mapping[str, Any]) -> None:
        OmegaConf.save(OmegaConf.create(dict(config)), self.folder / "config.yaml")
        (self.folder / "error.txt").unlink(missing_ok=True)
        try:
            before = read_status(self.folder)
        except ConfigError as error:
            log.warning("cell %s: its attempts are counted anew.\n%s", self.id, error)
            before = None
        self._attempt = 1 if before is None else before["attempt"] + 1
        self._status("RUNNING")

    def _status(self, state: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {"cell_id": self.id, "state": state, "attempt": self._attempt}
        write_json(self.folder / STATUS, {**status, "host": socket.gethostname(), "pid": os.getpid(), "updated": now})

    def _fail(self, error: BaseException) -> None:
        """Keep the traceback; say at once what went wrong, in as many words as the user needs."""
        text = "".join(traceback.format_exception(error))
        (self.folder / "error.txt").write_text(text)
        foreseen = isinstance(error, ConfigError | TrainingError)
        log.error("cell %s failed: %s", self.id, error if foreseen else text)
        self._status("FAILED")

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Copy the package's log to log.txt while the cell runs."""
        handler = logging.FileHandler(self.folder / "log.txt")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package = logging.getLogger("hskd_lightning")
        package.addHandler(handler)
        try:
            yield
        finally:
            package.removeHandler(handler)
            handler.close()


def read_result(folder: Path) -> dict[str, Any] | None:
    """What the cell of a folder ended with; None while it has not. Written last, and whole or not at all.

    Raises:
        ConfigError: result.json is not what was written, or another cell's.
    """
    found = _read(folder, RESULT, f"rm {folder / RESULT}, and the same command ends the cell again", FILES)
    return None if found is None else {name: value for name, value in found.items() if name != FILES}


def read_status(folder: Path) -> dict[str, Any] | None:
    """Where the cell of a folder stands; None where it never began.

    Raises:
        ConfigError: status.json is not what was written, or another cell's.
    """
    return _read(folder, STATUS, "none is needed: the next run of the cell writes it anew", "attempt", "state")


def check_finished(folder: Path, *parts: str) -> None:
    """Compare files of a finished cell with their digests.

    Args:
        parts: config.yaml, metrics.csv, student.

    Raises:
        ConfigError: one is not what was written; it is named.
    """
    remedy = f"rm {folder / RESULT}, and the same command ends the cell again"
    known: Digests = read_json(folder / RESULT, "cell", remedy, (FILES,))[FILES]
    files = {name: found for name, found in known.items() if name.split("/")[0] in parts}
    check_files(folder, files, "cell", remedy)


def _read(folder: Path, name: str, remedy: str, *fields: str) -> dict[str, Any] | None:
    path = folder / name
    if not path.exists():
        return None
    found = read_json(path, "cell", remedy, ("cell_id", *fields))
    if found["cell_id"] != folder.name:
        raise damaged(path, f"it is cell {found['cell_id']}'s", "cell", remedy)
    return found
