"""A cell while it runs: its folder is held, its log kept, and what became of it written down."""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hskd_lightning.artifacts import hold, make_writable
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import digest, digests
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import Result
from hskd_lightning.runs.state import State, Status

log = logging.getLogger(__name__)


class Cell(CellFolder):
    """A cell's folder that this process holds and writes to. Use `Cell.open`."""

    @classmethod
    @contextmanager
    def open(cls, root: Path, name: str, config: Mapping[str, Any], force: bool = False) -> Iterator[Cell]:
        """Hold a cell for this process. Another process that wants it waits here, and then finds its result.

        An error that ends the block is kept in error.txt and marks the cell FAILED; what ends the whole process, such
        as Ctrl-C, marks it INTERRUPTED. Both go on upwards, where they are printed.
        """
        make_writable(root)
        cell = cls(root / name)
        with hold(cell.lock, f"cell {name}"):
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
                except Exception as error:
                    cell._fail(error)
                    raise
                except BaseException:
                    cell._say(State.INTERRUPTED)
                    raise
                cell._say(State.DONE)

    def finish(self, result: Result) -> None:
        """Write the result: from here on the cell is done."""
        files = {path.name: digest(path) for path in (self.config, self.metrics, self.predictions) if path.exists()}
        files |= {f"student/{name}": each for name, each in digests(self.student).items()}
        result.write(self._result, files)

    def _begin(self, config: Mapping[str, Any]) -> None:
        OmegaConf.save(OmegaConf.create(dict(config)), self.config)
        self.error.unlink(missing_ok=True)
        try:
            before = self.status
        except ConfigError as error:
            log.warning("cell %s: its attempts are counted anew.\n%s", self.id, error)
            before = None
        self._attempt = 1 if before is None else before.attempt + 1
        self._say(State.RUNNING)

    def _say(self, state: State) -> None:
        Status(self.id, state, self._attempt).write(self._status)

    def _fail(self, error: Exception) -> None:
        """Keep the traceback. The error itself takes along whose it is: it is printed by whoever started the cell."""
        self.error.write_text("".join(traceback.format_exception(error)))
        error.add_note(f"cell {self.id}")
        self._say(State.FAILED)

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
