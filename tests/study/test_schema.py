"""A table says by which version's columns it was written, and may be older than that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.runs.result import SCHEMA
from hskd_lightning.study.sweep.collect import flat, frame, read, write
from tests.runs.example import a_result


def row(**columns: Any) -> dict[str, Any]:
    return {"figure": "curve", "quirk": None, **flat(a_result().columns()), **columns}


def test_a_table_has_the_schema_of_its_results(tmp_path: Path) -> None:
    assert read(write(frame([row()]), tmp_path)).schema.tolist() == [SCHEMA]


def test_a_table_from_before_there_were_schemas_is_read(tmp_path: Path) -> None:
    assert len(read(write(frame([row()]).drop(columns="schema"), tmp_path))) == 1


def test_rows_of_before_and_of_today_are_read_together(tmp_path: Path) -> None:
    table = pd.concat([frame([row()]), frame([row(cell_id="9876543210")]).drop(columns="schema")])
    assert len(read(write(table, tmp_path))) == 2


def test_a_newer_table_is_refused_by_version(tmp_path: Path) -> None:
    path = write(frame([row(schema=SCHEMA + 1)]), tmp_path)
    with pytest.raises(ConfigError, match=rf"(?s)`schema` = '{SCHEMA + 1} in .*schemas 1 to {SCHEMA}.*or collect it"):
        read(path)
