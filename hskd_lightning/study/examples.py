"""examples.parquet beside results.csv: what each cell's student said of each dev example.

Scores alone tell what other seeds would do; with these a claim can be made of other sentences, too. A table of results
that is joined with them has one array more in each row, so that it goes wherever the row goes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hskd_lightning.data.predictions import Predictions
from hskd_lightning.integrity import damaged
from hskd_lightning.study.results import CONTRIBUTIONS
from hskd_lightning.study.stats.contributions import contributions
from hskd_lightning.study.stats.scores import TOLERANCE, Array

log = logging.getLogger(__name__)
FILE = "examples.parquet"
TYPES = {"cell_id": pa.string(), "id": pa.int64(), "label": pa.float32(), "predicted": pa.float32()}
SCHEMA = pa.schema(list(TYPES.items()))
COLUMNS = tuple(TYPES)
DIGEST = b"sha256"
REMEDY = "collect it again, or remove it: without it claims are of these sentences alone"


def table_of(cells: Mapping[str, Predictions]) -> pd.DataFrame:
    """A row for each cell and dev example, by rising id."""
    return pd.concat([pd.DataFrame(columns=list(COLUMNS)), *(_rows(name, said) for name, said in cells.items())])


def _rows(cell: str, said: Predictions) -> pd.DataFrame:
    columns = {"id": said.ids, "label": said.labels.astype(np.float32), "predicted": said.predicted}
    return pd.DataFrame({"cell_id": cell, **columns}).sort_values("id", kind="stable")


def write(examples: pd.DataFrame, folder: Path) -> None:
    """Write examples.parquet with a digest of what it says; whole or not at all."""
    types = {"cell_id": "str", "id": "int64", "label": "float32", "predicted": "float32"}
    table = pa.Table.from_pandas(examples[list(COLUMNS)].astype(types), preserve_index=False)
    table = table.replace_schema_metadata({DIGEST: _digest(examples).encode()})
    partial = folder / f"{FILE}.partial"
    pq.write_table(table, partial, compression="zstd")
    partial.replace(folder / FILE)


def read(folder: Path) -> pd.DataFrame | None:
    """What `write` wrote; None where there is no such file.

    Raises:
        ConfigError: it is not what was written.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
        digest = (table.schema.metadata or {})[DIGEST]
        table = table.cast(SCHEMA)
        table.validate(full=True)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise damaged(path, f"it cannot be read ({error!r})", "examples", REMEDY) from error
    if any(column.null_count for column in table.columns):
        raise damaged(path, "a value is missing", "examples", REMEDY)
    if _digest(examples := table.to_pandas()).encode() != digest:
        raise damaged(path, "its digest is another", "examples", REMEDY)
    return examples


def _digest(examples: pd.DataFrame) -> str:
    digest = hashlib.sha256("\n".join(examples["cell_id"].astype(str)).encode())
    for name, kind in (("id", np.int64), ("label", np.float32), ("predicted", np.float32)):
        digest.update(examples[name].to_numpy(kind).tobytes())
    return digest.hexdigest()


def joined(results: pd.DataFrame, examples: pd.DataFrame | None) -> pd.DataFrame:
    """Results with what each example adds to each score, as far as it is known.

    A cell whose students answered other examples than the first of its task, or whose answers do not come to its
    score, has None, and the log says so.
    """
    if examples is None or not len(results):
        return results
    answered = {str(cell): rows for cell, rows in examples.groupby("cell_id", sort=False)}
    ids: dict[str, Array] = {}
    column = [_of_row(row, answered.get(str(row["cell_id"])), ids) for _, row in results.iterrows()]
    return results.assign(**{CONTRIBUTIONS: pd.Series(column, index=results.index, dtype=object)})


def _of_row(row: pd.Series, answered: pd.DataFrame | None, ids: dict[str, Array]) -> Array | None:
    if answered is None:
        return None
    asked = ids.setdefault(str(row["task"]), answered["id"].to_numpy())
    if not np.array_equal(asked, answered["id"].to_numpy()):
        log.warning("cell %s answered other dev examples than the rest: taken by its score alone", row["cell_id"])
        return None
    added = contributions(str(row["metric"]), answered["predicted"].to_numpy(float), answered["label"].to_numpy(float))
    if not abs(added.mean() - float(row["score"])) <= TOLERANCE:
        log.warning("cell %s: its answers come to %.4f, its score is %s", row["cell_id"], added.mean(), row["score"])
        return None
    return added
