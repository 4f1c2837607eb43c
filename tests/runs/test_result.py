"""The result of a cell: its columns, written and read, and the version of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hskd_lightning.dashboard.panels import AXIS_COLUMNS, FIGURE_COLUMNS
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import write_json
from hskd_lightning.runs.result import COLUMNS, OPTIONS, SCHEMA, Result, read_digests
from hskd_lightning.study.results import CHOICES, KEEPS, MEASURED, NEEDED
from hskd_lightning.study.row_checks import NUMBERS
from tests.helpers import ROOT
from tests.runs.example import a_result

OF_A_TABLE = {"figure", "quirk", "seal", "confirmed", "margin"}
"""Columns that a study adds to those of results."""


def is_column(name: str) -> bool:
    nested = ("dev_", "teacher_dev_", "versions_")
    return name in COLUMNS or name.startswith((*OPTIONS, *nested, "seconds_", "steps_", "clipped_", "swept_"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files = {"config.yaml": {"sha256": "0", "bytes": 1}}
    a_result().write(tmp_path / "result.json", files)
    assert Result.read(tmp_path / "result.json") == a_result()
    assert read_digests(tmp_path / "result.json") == files


def test_families_are_columns_of_their_own() -> None:
    result = a_result(control="random", control_seed=3)
    assert result.options["control_seed"] == 3 and result.seconds == {"hidden": 2.0, "prediction": 1.0}
    columns = result.columns()
    assert (columns["control_seed"], columns["seconds_hidden"], columns["width_masked"]) == (3, 2.0, "ignore")
    assert not {"options", "seconds", "steps", "clipped"} & set(columns)


def test_a_cell_without_a_hidden_stage_has_no_seconds_of_it() -> None:
    columns = {name: value for name, value in a_result().columns().items() if not name.endswith("_hidden")}
    assert Result.of(columns).columns() == columns


def test_a_stage_whose_clipped_steps_nobody_counted_has_no_share_of_them() -> None:
    columns = {name: value for name, value in a_result().columns().items() if name != "clipped_hidden"}
    assert Result.of(columns).clipped == {"prediction": 0.5}


def test_figures_are_what_came_of_it_and_no_axes() -> None:
    figures = a_result().figures()
    assert figures["score"] == 0.5 and figures["steps_prediction"] == 2
    assert not {"seed", "schema", "knowledge_fraction", "hsk_amount"} & set(figures)


@pytest.mark.parametrize(("baseline", "line"), [("total", "curve/logits"), ("prediction", "curve/logits_prediction")])
def test_baselines_of_other_lengths_are_other_lines(baseline: str, line: str) -> None:
    rows = a_result(knowledge="logits", baseline=baseline, knowledge_fraction=0.0).curve()
    assert [row[line] for row in rows if line in row] == [0.5, 0.5]


def test_a_cell_without_a_gpu_has_no_figure_of_its_memory() -> None:
    assert "peak_gpu_memory_mb" not in a_result().figures()
    assert a_result(gpu="H100", peak_gpu_memory_mb=900.0).figures()["peak_gpu_memory_mb"] == 900.0


def test_a_missing_column_is_named() -> None:
    columns = a_result().columns()
    del columns["teacher_score"]
    with pytest.raises(TypeError, match="teacher_score"):
        Result.of(columns)


def test_a_column_that_there_is_none_of_is_named() -> None:
    with pytest.raises(TypeError, match="tempo"):
        a_result(tempo=1)


@pytest.mark.parametrize(("columns", "version"), [({}, 1), ({"schema": SCHEMA + 1}, SCHEMA + 1)], ids=["old", "new"])
def test_another_schema_is_refused_by_version(columns: dict[str, int], version: int, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"cell_id": "0123456789", "files": {}, "score": 0.5, **columns})
    with pytest.raises(ConfigError, match=rf"(?s)`schema` = '{version} in .*schema {SCHEMA}, which.*rm {path}, and"):
        Result.read(path)


def test_a_result_of_this_schema_that_lacks_a_column_is_damaged(tmp_path: Path) -> None:
    write_json(tmp_path / "result.json", {"cell_id": "0123456789", "files": {}, "schema": SCHEMA})
    with pytest.raises(ConfigError, match=r"it lacks task, teacher"):
        Result.read(tmp_path / "result.json")


def test_every_column_of_a_committed_table_is_one_of_a_result() -> None:
    tables = list((ROOT / "results").rglob("results.csv"))
    assert tables
    for table in tables:
        with table.open() as file:
            assert [name for name in next(csv.reader(file)) if not is_column(name) and name not in OF_A_TABLE] == []


def test_every_column_that_a_study_knows_is_one_of_a_result() -> None:
    known = {*NEEDED, *CHOICES, *KEEPS, *NUMBERS, *MEASURED} - OF_A_TABLE
    assert [name for name in known if not is_column(name)] == []


def test_every_column_that_the_dashboards_show_is_one_of_a_result() -> None:
    assert [name for name in AXIS_COLUMNS if not is_column(name)] == []
    figures = a_result().figures()
    assert [name for name in FIGURE_COLUMNS if name.removeprefix("final/") not in figures] == []
