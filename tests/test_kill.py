"""kill -9 in each stage, and two processes at once: nothing half-written is ever taken for whole."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.forked import Forked
from tests.helpers import SMALL, TINY, command_line, only_cell, read, result_of, trace

pytestmark = pytest.mark.slow
LONG = ("data.hidden_epochs=40", "data.prediction_epochs=40", "trainer.checkpoint_every=7")
"""120 steps a stage: long enough to be hit, with checkpoints that fall in mid-epoch (3 steps an epoch)."""
TEACHER_LONG = ("teacher.training.epochs=12",)
PATIENCE = 120


def start(root: Path, *overrides: str) -> Forked:
    shape = () if any(override.startswith("student=") for override in overrides) else TINY
    return Forked(command_line(root, *SMALL, *shape, *LONG, *TEACHER_LONG, *overrides))


def finish(root: Path, *overrides: str) -> str:
    process = start(root, *overrides)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    return out


def kill_when(process: Forked, moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert process.poll() is None, f"ended before the moment came:\n{process.communicate(PATIENCE)[0]}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(PATIENCE)
    assert process.returncode == -signal.SIGKILL


def weights(root: Path) -> dict[str, torch.Tensor]:
    (path,) = root.glob("runs/*/checkpoints/prediction/last.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unbroken")
    finish(root)
    return root


MOMENTS = {
    "teacher": "artifacts/teacher/*.partial/fit/resume.ckpt",
    "hidden": "runs/*/checkpoints/hidden/resume.ckpt",
    "prediction": "runs/*/checkpoints/prediction/resume.ckpt",
}


@pytest.mark.parametrize("stage", MOMENTS)
def test_killed_in_a_stage_ends_as_the_unbroken_run(stage: str, unbroken: Path, tmp_path: Path) -> None:
    process = start(tmp_path)
    kill_when(process, lambda: any(tmp_path.glob(MOMENTS[stage])))
    assert not list(tmp_path.glob("runs/*/result.json"))
    out = finish(tmp_path)
    assert f"{stage}: resumed at step" in out
    ours, theirs = result_of(tmp_path), result_of(unbroken)
    same = ("score", "score_last", "teacher_score", "clipped_hidden", "clipped_prediction")
    assert [ours[key] for key in same] == [theirs[key] for key in same]
    assert all(torch.equal(value, weights(unbroken)[name]) for name, value in weights(tmp_path).items())
    assert trace(tmp_path / "runs") == trace(unbroken / "runs")


PRUNED = (
    "student=rosita6",
    "student.shape.blocks=2",
    "student.shape.heads=1",
    "student.shape.ffn=20",
    "student.shape.embedding_rank=4",
    "data.distil_limit=240",
)
BEGINNINGS = {"importance": "artifacts/importance/*.partial", "student": "artifacts/student/*.partial"}


@pytest.fixture(scope="module")
def unbroken_pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unbroken_pruned")
    finish(root, *PRUNED)
    return root


@pytest.mark.parametrize("moment", BEGINNINGS)
def test_killed_before_a_pruned_student_is_whole_ends_as_the_unbroken_run(
    moment: str, unbroken_pruned: Path, tmp_path: Path
) -> None:
    process = start(tmp_path, *PRUNED)
    kill_when(process, lambda: any(tmp_path.glob(BEGINNINGS[moment])))
    assert not any(tmp_path.glob(f"artifacts/{moment}/*/manifest.json"))
    finish(tmp_path, *PRUNED)
    assert result_of(tmp_path)["score"] == result_of(unbroken_pruned)["score"]
    assert all(torch.equal(value, weights(unbroken_pruned)[name]) for name, value in weights(tmp_path).items())


def test_killed_teacher_is_not_taken_for_whole(tmp_path: Path) -> None:
    process = start(tmp_path)
    kill_when(process, lambda: any(tmp_path.glob(MOMENTS["teacher"])))
    whole = [path for path in (tmp_path / "artifacts/teacher").iterdir() if path.suffix == ""]
    assert whole == []


def test_two_processes_that_want_one_teacher_train_it_once(tmp_path: Path) -> None:
    both = [start(tmp_path, f"seed={seed}") for seed in (0, 1)]
    said = [process.communicate(timeout=PATIENCE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("teacher: fine-tuning" in out for out in said) == 1
    assert len(list((tmp_path / "artifacts/teacher").glob("*/manifest.json"))) == 1
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 2


def test_two_processes_that_want_one_cell_run_it_once(tmp_path: Path) -> None:
    both = [start(tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("done before" in out for out in said) == 1
    status = read(only_cell(tmp_path), "status.json")
    assert (status["state"], status["attempt"]) == ("DONE", 1)
