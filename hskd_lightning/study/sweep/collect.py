"""result.json files -> one table: a row for each figure and cell, and the names of those that are missing.

Only result.json is read, never a tracker's history, so a half-done sweep gives a half-full table.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hskd_lightning.data.predictions import PREDICTIONS, Predictions, read_predictions
from hskd_lightning.errors import ConfigError
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import SCHEMA, Result, anew
from hskd_lightning.runs.state import State
from hskd_lightning.study import examples
from hskd_lightning.study.seals import intact, sealed
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.tuned import TUNE

log = logging.getLogger(__name__)
FIRST = ("figure", "cell_id", "task", "teacher", "student", "student_init", "knowledge", "control", "quirk", "seed")
"""Columns that come first, for whoever opens the file."""
TIMES = ("seconds_hidden", "seconds_prediction", "peak_memory_mb", "gpu", "peak_gpu_memory_mb")
"""Columns that differ between two runs of the same cell."""


def collect(plan: Plan) -> pd.DataFrame:
    """A row for each figure and finished cell, in the plan's order; a result that is damaged is named, and no row."""
    finished = ((cell, result_of(cell)) for cell in plan.cells if cell.id is not None)
    return frame(
        {"figure": cell.figure, "quirk": quirk(cell), **flat(columns), **swept(plan, cell, columns)}
        for cell, columns in ((cell, result.columns()) for cell, result in finished if result)
    )


def result_of(cell: PlannedCell) -> Result | None:
    """What a cell ended with; None while it has not, and where that is damaged, which is said."""
    try:
        return cell.result
    except ConfigError as error:
        log.warning("cell %s of figure %s is left out.\n%s", cell.id, cell.figure, error)
        return None


def swept(plan: Plan, cell: PlannedCell, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a sweep walked and results have no column for: `stage.hidden.lr` is swept_stage_hidden_lr.

    An experiment is a name for several choices, which have columns.
    """
    walked = plan.own_axes or cell.figure == TUNE
    pairs = (override.split("=", 1) for override in plan.distinguishing(cell).split() if walked)
    named = {key.lstrip("+").replace(".", "_").replace("/", "_"): value for key, value in pairs}
    return {f"swept_{name}": value for name, value in named.items() if name not in (*columns, "experiment")}


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table, the axes first and the rest in the order in which results have it."""
    table = pd.DataFrame(list(rows))
    first = [name for name in FIRST if name in table]
    return table[[*first, *(name for name in table if name not in first)]]


def flat(columns: Mapping[str, Any]) -> dict[str, Any]:
    """A result's columns without nesting: `dev_dev_accuracy`, `versions_torch`."""
    row: dict[str, Any] = {}
    for key, value in columns.items():
        row |= (
            {f"{key}_{inner}": each for inner, each in flat(value).items()} if isinstance(value, dict) else {key: value}
        )
    return row


def quirk(cell: PlannedCell) -> str | None:
    """The switch of the released code that a cell was run for, if any."""
    if cell.figure != "quirks":
        return None
    switched = [override.split("=")[0] for override in cell.overrides if override.startswith("preset.")]
    return ", ".join(name.removeprefix("preset.") for name in switched) or None


def said(plan: Plan) -> pd.DataFrame:
    """What a plan's students said of the first dev split, see `examples`; damaged files are named and left out."""
    cells = {cell.id: cell.files for cell in plan.in_state(State.DONE) if cell.id is not None}
    known = ((name, said_by(files)) for name, files in cells.items())
    return examples.table_of({name: predictions for name, predictions in known if predictions is not None})


def said_by(files: CellFolder) -> Predictions | None:
    """What a finished cell's student said of the first dev split; None, and a word in the log, if that is damaged."""
    try:
        files.check(PREDICTIONS)
        result = files.result
        assert result is not None
        return read_predictions(files.predictions, next(iter(result.dev)), "cell", anew(files.folder))
    except ConfigError as error:
        log.warning("what the student of cell %s said is left out.\n%s", files.id, error)
        return None


def write(table: pd.DataFrame, folder: Path, said: pd.DataFrame | None = None) -> Path:
    """Write results.csv, and the same as Parquet, each row with its seal; and what was said. Whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    if said is not None:
        examples.write(said, folder)
    table = sealed(table)
    parquet, csv = folder / "results.parquet", folder / "results.csv"
    for path, save in ((parquet, table.to_parquet), (csv, table.to_csv)):
        temporary = path.with_suffix(".partial")
        save(temporary, index=False)
        temporary.replace(path)
    return csv


def read(path: Path) -> pd.DataFrame:
    """What `write` wrote as CSV, as far as it still is that, joined with what was said; without the seals.

    Raises:
        ConfigError: it is no such table, none of its rows is as it was written, or one is of a newer schema.
    """
    rows = intact(path)
    _check_schema(rows, path)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    text.seek(0)
    table = pd.read_csv(text, dtype={"cell_id": str, "store": str, "teacher_weights": str})
    return examples.joined(table, examples.read(path.parent))


def _check_schema(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """An older version's columns are among those of today, and a table may be of several versions' rows."""
    known = ["", *map(str, range(1, SCHEMA + 1))]
    for row in rows:
        if (schema := row.get("schema", "").removesuffix(".0")) not in known:
            remedy = "read it with the version of hskd-lightning that wrote it, or collect it again with this one"
            raise ConfigError("schema", f"{schema} in {path}", f"schemas 1 to {SCHEMA}", remedy)
