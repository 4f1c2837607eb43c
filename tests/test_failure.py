"""A failure is printed once: alone as the last words, in a sweep when it happens."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hskd_lightning.failure import printed_once
from tests.helpers import SMALL, TINY

pytestmark = pytest.mark.slow
Program = Callable[..., subprocess.CompletedProcess[str]]
NAN = ("stage.hidden.lr=1e38", "stage.hidden.clip=null", "stage.hidden.warmup=0.0")
A_SWEEP = ("hydra.sweeper.amounts=[0.1]", "seed=0")


def test_a_training_that_cannot_go_on_is_the_last_word(program: Program) -> None:
    done = program(*SMALL, *TINY, *NAN, check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("the loss became") == 1
    assert done.stderr.startswith("\nthe loss became nan in stage hidden, step 1")


def test_a_mistake_inside_a_cell_is_the_last_word(program: Program, tmp_path: Path) -> None:
    _with_damage(program, tmp_path)
    done = program(*SMALL, *TINY, check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("cannot be used") == 1
    assert "Traceback" not in done.stderr and "manifest.json" in done.stderr


def test_a_mistake_inside_a_cell_of_a_sweep_is_printed_when_it_happens(program: Program, tmp_path: Path) -> None:
    _with_damage(program, tmp_path)
    done = program("-m", *SMALL, *TINY, *A_SWEEP, check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("cannot be used") == 1
    (error,) = tmp_path.glob("runs/*/error.txt")
    assert f"cell {error.parent.name} failed: `" in done.stdout
    assert str(error) in done.stderr


def test_an_error_that_nobody_foresaw_is_left_to_hydra(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), printed_once():
        raise RuntimeError("of our own")
    assert capsys.readouterr().err == ""


def _with_damage(program: Program, root: Path) -> None:
    """A cell that is to run again from first weights that are no longer what was written."""
    program(*SMALL, *TINY)
    (manifest,) = root.glob("artifacts/student/*/manifest.json")
    manifest.write_text("{}")
    shutil.rmtree(root / "runs")
