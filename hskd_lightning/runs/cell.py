"""runs/<cell_id>/: one cell of a study, from its first line of log to its result.

config.yaml     what was asked, resolved          status.json   RUNNING, DONE or FAILED; host, pid, attempt
log.txt         what was said                     metrics.csv   stage, step, name, value
checkpoints/    the student's, by stage           result.json   all that a study reads
student/        a Hugging Face folder             error.txt     a failed cell's traceback
"""

from __future__ import annotations

import json
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

from hskd_lightning.artifacts import hold, make_writable, write_json
from hskd_lightning.errors import ConfigError, TrainingError

log = logging.getLogger(__name__)


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
        """What the cell ended with; None while it has not. The file is written last, and whole or not at all."""
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

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
        write_json(self.folder / "result.json", dict(result))

    def _begin(self, config: Mapping[str, Any]) -> None:
        OmegaConf.save(OmegaConf.create(dict(config)), self.folder / "config.yaml")
        (self.folder / "error.txt").unlink(missing_ok=True)
        path = self.folder / "status.json"
        before = json.loads(path.read_text())["attempt"] if path.exists() else 0
        self._attempt = before + 1
        self._status("RUNNING")

    def _status(self, state: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {"state": state, "host": socket.gethostname(), "pid": os.getpid(), "attempt": self._attempt}
        write_json(self.folder / "status.json", {**status, "updated": now})

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
