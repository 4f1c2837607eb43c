"""runs/<cell_id>/, read: the only place that opens its files.

config.yaml     what was asked, resolved          status.json   see `Status`
log.txt         what was said                     metrics.csv   stage, step, name, value
checkpoints/    the student's, by stage           error.txt     a failed cell's traceback
student/        a Hugging Face folder             result.json   see `Result`
export/         with export=true, see `export`
predictions.safetensors                           what the student says of every dev example, see `Predictions`

A study reads result.json and the predictions. result.json vouches for what is read back of a finished cell: the
predictions, config.yaml, metrics.csv and student/, by their digests.
"""

from __future__ import annotations

from pathlib import Path

from hskd_lightning.artifacts import is_held
from hskd_lightning.data.predictions import PREDICTIONS
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import check_files, damaged
from hskd_lightning.runs.result import Result, anew, read_digests
from hskd_lightning.runs.state import State, Status

EXPORT = "export"


class CellFolder:
    """The folder of one cell, whether it is there or not.

    Args:
        folder: runs/<cell_id>.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """The cell's name: ten hex digits."""
        return self.folder.name

    @property
    def checkpoints(self) -> Path:
        """The student's checkpoints, a folder for each stage."""
        return self.folder / "checkpoints"

    @property
    def student(self) -> Path:
        """The student as a Hugging Face folder."""
        return self.folder / "student"

    @property
    def export(self) -> Path:
        """The forms in which the student was exported."""
        return self.folder / EXPORT

    @property
    def metrics(self) -> Path:
        """The metrics of the training, as `MetricsCsv` writes them."""
        return self.folder / "metrics.csv"

    @property
    def predictions(self) -> Path:
        """What the student says of every dev example."""
        return self.folder / PREDICTIONS

    @property
    def config(self) -> Path:
        """The configuration that the cell ran with."""
        return self.folder / "config.yaml"

    @property
    def error(self) -> Path:
        """The traceback of a failed cell."""
        return self.folder / "error.txt"

    @property
    def lock(self) -> Path:
        """Held by the process that is at the cell; beside the folder, which `force` removes."""
        return self.folder.with_name(f".{self.id}.lock")

    @property
    def result(self) -> Result | None:
        """What the cell ended with; None while it has not. Written last, and whole or not at all.

        Raises:
            ConfigError: result.json is not what was written, of another schema, or another cell's.
        """
        if not self._result.exists():
            return None
        result = Result.read(self._result)
        self._check_owner(self._result, result.cell_id, anew(self.folder))
        return result

    @property
    def status(self) -> Status | None:
        """What the last process that was at the cell said of it; None where there was none.

        Raises:
            ConfigError: status.json is not what was written, or another cell's.
        """
        if not self._status.exists():
            return None
        status = Status.read(self._status)
        self._check_owner(self._status, status.cell_id, "none is needed: the next run of the cell writes it anew")
        return status

    @property
    def state(self) -> State:
        """Where the cell stands, whatever became of the process that wrote its files."""
        try:
            if self.result is not None:
                return State.DONE
        except ConfigError:
            return State.DAMAGED
        try:
            status = self.status
        except ConfigError:  # it began, and the next run of it says what is wrong with the file
            return State.INTERRUPTED
        if status is None:
            return State.MISSING
        if status.state == State.RUNNING:
            return State.INTERRUPTED if status.of_this_host and not is_held(self.lock) else State.RUNNING
        return State.FAILED if status.state == State.FAILED else State.INTERRUPTED

    @property
    def last_words(self) -> str:
        """The last line of a failed cell's error; what is wrong with a damaged result; who runs it elsewhere."""
        try:
            self.result  # noqa: B018
        except ConfigError as error:
            return f"{error.value}: {error.remedy}"
        if self.state == State.RUNNING and (status := self.status) is not None and not status.of_this_host:
            return f"as {status.host} said at {status.updated}; if it was killed there, the same command goes on"
        lines = self.error.read_text(errors="replace").strip().splitlines() if self.error.exists() else []
        return lines[-1] if lines else ""

    def check(self, *parts: str) -> None:
        """Compare files of a finished cell with their digests.

        Args:
            parts: config.yaml, metrics.csv, predictions.safetensors, student.

        Raises:
            ConfigError: one is not what was written; it is named.
        """
        known = read_digests(self._result)
        files = {name: digest for name, digest in known.items() if name.split("/")[0] in parts}
        check_files(self.folder, files, "cell", anew(self.folder))

    @property
    def _result(self) -> Path:
        return self.folder / "result.json"

    @property
    def _status(self) -> Path:
        return self.folder / "status.json"

    def _check_owner(self, path: Path, owner: str, remedy: str) -> None:
        if owner != self.id:
            raise damaged(path, f"it is cell {owner}'s", "cell", remedy)
