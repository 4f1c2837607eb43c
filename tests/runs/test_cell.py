"""How a cell ends that does not end well."""

from __future__ import annotations

from pathlib import Path

import pytest

from hskd_lightning.errors import TrainingError
from hskd_lightning.interrupt import Interrupted
from hskd_lightning.runs.cell import Cell
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.state import State

CELL = "0123456789"


def test_an_error_is_kept_and_the_cell_has_failed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught, Cell.open(tmp_path, CELL, {}):
        raise TrainingError("the loss became nan")
    cell = CellFolder(tmp_path / CELL)
    assert cell.state is State.FAILED
    assert cell.last_words == "hskd_lightning.errors.TrainingError: the loss became nan"
    assert caught.value.__notes__ == [f"cell {CELL}"]


@pytest.mark.parametrize("end", [Interrupted(143), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_the_end_of_the_process_is_an_interruption(end: BaseException, tmp_path: Path) -> None:
    with pytest.raises(type(end)), Cell.open(tmp_path, CELL, {}):
        raise end
    cell = CellFolder(tmp_path / CELL)
    assert cell.state is State.INTERRUPTED
    assert not cell.error.exists()


def test_an_interrupted_cell_that_goes_on_is_at_its_second_attempt(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), Cell.open(tmp_path, CELL, {}):
        raise Interrupted(130)
    with pytest.raises(Interrupted), Cell.open(tmp_path, CELL, {}) as cell:
        assert cell.state is State.RUNNING
        raise Interrupted(130)
    status = CellFolder(tmp_path / CELL).status
    assert status is not None and status.attempt == 2
