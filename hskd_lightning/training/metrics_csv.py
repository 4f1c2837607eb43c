"""metrics.csv: one row a value, so that rows are only ever appended."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger

log = logging.getLogger(__name__)
COLUMNS = ("stage", "step", "name", "value")


class MetricsCsv(Logger):
    """Appends to metrics.csv in long form: stage, step, name, value.

    Lightning's own CSV logger rewrites its file, and deletes it when a run resumes. Here a resumed stage drops the
    rows after the checkpoint that it resumes from, which it is about to write again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return self.path.parent.name

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        rows = [(*name.split("/", 1), value) for name, value in metrics.items() if "/" in name]
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerows((stage, step, name, value) for stage, name, value in rows)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write nothing: hyperparameters are in config.yaml."""

    def rows(self) -> list[tuple[str, int, float]]:
        """All that was logged: (stage/name, step, value)."""
        return [(f"{stage}/{name}", int(step), float(value)) for stage, step, name, value in self._whole()]

    def forget_after(self, stage: str, step: int) -> None:
        """Drop a stage's rows from this step on: it resumes there."""
        if not self.path.exists():
            return
        kept = [row for row in self._whole() if not (row[0] == stage and int(row[1]) >= step)]
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *kept])
        temporary.replace(self.path)

    def _whole(self) -> list[list[str]]:
        """The rows as they stand, without those that are none: a kill may have cut the last one off."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.reader(file))[1:]
        whole = [row for row in rows if _is_row(row)]
        if len(whole) < len(rows):
            log.warning("%s: %d rows cannot be read and are left out", self.path, len(rows) - len(whole))
        return whole


def _is_row(row: list[str]) -> bool:
    try:
        _, step, _, value = row
        int(step), float(value)
    except ValueError:
        return False
    return True
