"""Where a cell stands, read off its folder, whatever became of the process that wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hskd_lightning.artifacts import hold
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import write_json
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.state import State, Status
from tests.runs.example import a_result

CELL = "0123456789"


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    (tmp_path / CELL).mkdir()
    return CellFolder(tmp_path / CELL)


def leave(cell: CellFolder, state: State, host: str | None = None) -> None:
    here = Status(CELL, state, attempt=1)
    Status(CELL, state, 1, host or here.host).write(cell.folder / "status.json")


def test_a_cell_that_never_began_is_missing(tmp_path: Path) -> None:
    assert CellFolder(tmp_path / CELL).state is State.MISSING


def test_a_cell_whose_process_holds_it_is_running(cell: CellFolder) -> None:
    leave(cell, State.RUNNING)
    with hold(cell.lock, "cell"):
        assert cell.state is State.RUNNING


def test_a_cell_whose_process_is_gone_is_interrupted(cell: CellFolder) -> None:
    leave(cell, State.RUNNING)
    assert cell.state is State.INTERRUPTED


def test_a_cell_on_another_host_is_taken_to_run(cell: CellFolder) -> None:
    leave(cell, State.RUNNING, host="elsewhere")
    assert cell.state is State.RUNNING
    assert cell.last_words.startswith("as elsewhere said at ") and "if it was killed there" in cell.last_words


@pytest.mark.parametrize("state", [State.FAILED, State.INTERRUPTED])
def test_what_the_last_process_said_is_believed(state: State, cell: CellFolder) -> None:
    leave(cell, state)
    assert cell.state is state


def test_a_cell_that_says_it_is_done_and_has_no_result_is_interrupted(cell: CellFolder) -> None:
    leave(cell, State.DONE)
    assert cell.state is State.INTERRUPTED


def test_a_cell_with_a_result_is_done(cell: CellFolder) -> None:
    leave(cell, State.RUNNING)
    a_result(cell_id=CELL).write(cell.folder / "result.json", {})
    assert cell.state is State.DONE


def test_a_result_of_another_cell_is_damage(cell: CellFolder) -> None:
    a_result(cell_id="9876543210").write(cell.folder / "result.json", {})
    assert cell.state is State.DAMAGED
    assert "and the same command ends the cell again" in cell.last_words


def test_a_result_of_another_schema_is_damage(cell: CellFolder) -> None:
    a_result(cell_id=CELL, schema=1).write(cell.folder / "result.json", {})
    assert cell.state is State.DAMAGED
    assert cell.last_words.startswith(f"1 in {cell.folder}/result.json: rm ")


def test_a_status_that_cannot_be_read_is_of_a_cell_that_began(cell: CellFolder) -> None:
    (cell.folder / "status.json").write_text("{")
    assert cell.state is State.INTERRUPTED


def test_a_state_that_there_is_none_of_is_refused(cell: CellFolder) -> None:
    write_json(cell.folder / "status.json", {**vars(Status(CELL, State.DONE, 1)), "state": "STARTED"})
    with pytest.raises(ConfigError, match="another version's.*STARTED"):
        cell.status  # noqa: B018


def test_last_words_are_the_last_line_of_the_error(cell: CellFolder) -> None:
    cell.error.write_text("Traceback\n  more\nTrainingError: the loss became nan\n")
    assert cell.last_words == "TrainingError: the loss became nan"
