"""Cells that an earlier version finished are scored again from their students."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.data.predictions import PREDICTIONS, read_predictions
from hskd_lightning.experiment import Experiment
from hskd_lightning.integrity import write_json
from hskd_lightning.pipeline import run
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import ADDED_BY_5, SCHEMA
from hskd_lightning.runs.state import State
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.rescore import rescore

Small = Callable[..., DictConfig]


@pytest.fixture
def cell(small: Small) -> PlannedCell:
    """A finished cell, as schema 4 had it."""
    config = small()
    run(config)
    experiment = Experiment.resolve(plain(config))
    cell = PlannedCell("f", (), experiment.config, experiment.cell_id, experiment.settings)
    (cell.folder / PREDICTIONS).unlink()
    path = cell.folder / "result.json"
    columns = {name: value for name, value in json.loads(path.read_text()).items() if name not in (*ADDED_BY_5, "seal")}
    columns["files"].pop(PREDICTIONS)
    write_json(path, {**columns, "schema": SCHEMA - 1})
    return cell


def test_a_cell_of_before_is_not_believed_until_it_is_scored_again(cell: PlannedCell) -> None:
    assert cell.state == State.DAMAGED
    rescore(Plan((cell,)))
    assert cell.state == State.DONE


def test_its_student_says_what_comes_to_its_score(cell: PlannedCell) -> None:
    before = json.loads((cell.folder / "result.json").read_text())["score"]
    assert rescore(Plan((cell,))) == (1, 0)
    files = CellFolder(cell.folder)
    files.check(PREDICTIONS, "student")
    said = read_predictions(files.predictions, "dev", "cell", "")
    assert files.result is not None
    assert files.result.score == before == pytest.approx((said.predicted == said.labels).mean(), abs=1e-12)


def test_it_names_the_teacher_of_its_store(cell: PlannedCell, small: Small, tmp_path: Path) -> None:
    rescore(Plan((cell,)))
    again = small("seed=1")
    run(again)
    today = CellFolder(cell.folder.parent / Experiment.resolve(plain(again)).cell_id).result
    result = cell.result
    assert result is not None and today is not None
    assert result.teacher_weights == today.teacher_weights is not None


def test_a_cell_of_today_is_left_alone(cell: PlannedCell) -> None:
    rescore(Plan((cell,)))
    assert rescore(Plan((cell,))) == (0, 0)


def test_a_changed_student_is_named_and_left_alone(cell: PlannedCell, caplog: pytest.LogCaptureFixture) -> None:
    with (cell.folder / "student" / "model.safetensors").open("ab") as file:
        file.write(b"more")
    with caplog.at_level(logging.WARNING):
        assert rescore(Plan((cell,))) == (0, 0)
    assert "model.safetensors" in caplog.text
    assert cell.state == State.DAMAGED
