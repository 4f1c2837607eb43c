"""How many cells run at a time where the user does not say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
import torch
import yaml

from hskd_lightning.study.sweep.at_once import cells_at_once
from tests.helpers import SMALL, TINY

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("accelerator", "threads", "gpus", "cells"),
    [
        ("auto", 1, 0, 8),
        ("auto", 2, 0, 4),
        ("auto", 16, 0, 1),
        ("auto", None, 0, 1),
        ("auto", 1, 2, 2),
        ("gpu", 1, 1, 1),
        ("cpu", 1, 2, 8),
    ],
)
def test_one_a_gpu_else_one_a_core(
    accelerator: str, threads: int | None, gpus: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert cells_at_once(accelerator, threads) == cells


@pytest.mark.slow
def test_a_sweep_takes_the_machine_and_says_how_to_change_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = ("-m", *SMALL, *TINY, "hydra.sweeper.amounts=[0,0.1]", "seed=0,1")
    monkeypatch.setenv("HSKD_JOBS", "2")
    said = program(*sweep).stdout
    assert "sweep: 2 cells at a time, threads=1 each; HSKD_JOBS=1 runs one by one" in said
    assert said.count("first the teacher of all cells") == 1
    kept = [yaml.safe_load(path.read_text()) for path in tmp_path.glob("runs/*/config.yaml")]
    assert [config["threads"] for config in kept] == [1] * 4
    assert len(list(tmp_path.glob("artifacts/teacher/*/manifest.json"))) == 1
    assert len(list(tmp_path.glob("artifacts/store/*/manifest.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["launch=null", "hydra/launcher=basic"])
def test_what_the_user_says_of_it_wins(launch: str, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSKD_JOBS", "2")
    said = program("-m", *SMALL, *TINY, "hydra.sweeper.amounts=[0.1]", "seed=0,1", launch).stdout
    assert "at a time" not in said
