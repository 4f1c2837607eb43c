"""train.py as a user runs it: a process of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import SMALL, TINY

pytestmark = pytest.mark.slow
Program = Callable[..., subprocess.CompletedProcess[str]]
FAST = (*SMALL, *TINY)


def test_the_users_line_runs_and_ends_in_a_table(program: Program, tmp_path: Path) -> None:
    out = program(*FAST, "depth=uniform", "length=cls_first", "width=pca").stdout
    for said in ("teacher accuracy", "student accuracy", "of full HSK", "stage hidden", "stage prediction"):
        assert said in out
    assert "━" in out and "\x1b[" not in out  # a table, and no colours where there is no terminal


def test_output_without_a_terminal_is_plain_lines(program: Program) -> None:
    done = program(*FAST)
    assert "hidden: step 6 of 6" in done.stdout
    assert done.stderr == ""


def test_a_sweep_runs_each_cell_once(program: Program, tmp_path: Path) -> None:
    sweep = ("-m", *FAST, "length=cls_first", "length.keep=1,2,4")
    program(*sweep)
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert sorted(result["length_keep"] for result in results) == [1, 2, 4]
    again = program(*sweep).stdout
    assert "sweep: 3 cells (3 done)" in again
    assert "step" not in again.replace("steps", "")


def test_a_failing_cell_says_so_at_once_and_the_others_go_on(program: Program, tmp_path: Path) -> None:
    sweep = ("-m", *FAST, "length=cls_first", "length.keep=1,0,2")
    done = program(*sweep, check=False)
    assert done.returncode != 0
    assert done.stdout.index("`length.keep` = 0") < done.stdout.rindex("of full HSK")
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 2


def test_several_devices_in_a_sweep_are_refused_before_anything_runs(program: Program, tmp_path: Path) -> None:
    done = program("-m", *FAST, "trainer.devices=2", "seed=0,1", check=False)
    assert done.returncode != 0
    assert "one cell, one device" in done.stdout
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} == {"plans"}  # what was asked, and nothing made


def test_explain_ends_in_seconds(program: Program) -> None:
    start = time.monotonic()
    out = program(*FAST, "explain=true", "depth=skip").stdout
    assert time.monotonic() - start < 60
    assert "1<-2" in out and "stage hidden" in out
