"""How many cells run at a time where the user does not say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import joblib
import pytest
import torch
from hydra._internal.callbacks import Callbacks
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import OmegaConf

from hskd_lightning.study.sweep.at_once import _processes, cells_at_once, several_at_once
from hskd_lightning.study.sweep.compose import as_multirun
from hskd_lightning.study.sweep.plan import PlannedCell
from tests.helpers import refusal


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


@pytest.mark.parametrize(
    "words", [("hydra/launcher=basic",), ("launch=joblib",), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=3"), ()]
)
def test_what_the_user_says_wins_and_one_cell_runs_here(words: tuple[str, ...]) -> None:
    """`seed=0,1` alone would have been changed: no launcher is there that could be."""
    cell = PlannedCell("curve", ("seed=0",), {}, "0123456789")
    cells = [cell] * (2 if words else 1)
    launcher = cast(Launcher, None)
    with as_multirun(None, "train", ["seed=0,1", *words]) as (config, _):
        assert several_at_once(config, launcher, cells, len(cells)) == (config, launcher, cells)


def test_the_last_cell_of_several_has_the_threads_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSKD_JOBS", "4")
    OmegaConf.register_new_resolver("hskd.cells_at_once", cells_at_once, replace=True)  # as train.py does
    cell = PlannedCell("curve", ("seed=1",), {}, "0123456789")
    with as_multirun(None, "train", ["seed=0,1"]) as (config, loader):
        launcher = cast(Launcher, SimpleNamespace(hydra_context=HydraContext(loader, Callbacks()), task_function=None))
        parallel, _, (ours,) = several_at_once(config, launcher, [cell], of=2)
    assert (parallel.threads, parallel.hydra.launcher.n_jobs) == (1, 1)
    assert ours.overrides == ("seed=1", "launch=joblib")


@pytest.mark.parametrize("jobs", ["many", "0", "-1", "1.5"])
def test_no_number_of_processes_is_refused(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSKD_JOBS", jobs)
    with as_multirun(None, "train", ["launch=joblib"]) as (config, _), refusal("HSKD_JOBS", "a whole number from 1"):
        _processes(config)


@pytest.mark.parametrize(("jobs", "said"), [(None, True), ("1", False)])
def test_one_gpu_runs_one_cell_and_says_how_to_run_several(
    jobs: str | None, said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    OmegaConf.register_new_resolver("hskd.cells_at_once", cells_at_once, replace=True)  # as train.py does
    monkeypatch.setenv("HSKD_JOBS", jobs) if jobs else monkeypatch.delenv("HSKD_JOBS")
    cells = [PlannedCell("curve", (f"seed={seed}",), {}, "0123456789") for seed in (0, 1)]
    with as_multirun(None, "train", ["seed=0,1"]) as (config, loader), caplog.at_level("INFO"):
        context = SimpleNamespace(config_loader=loader)
        launcher = cast(Launcher, SimpleNamespace(hydra_context=context, task_function=None))
        assert several_at_once(config, launcher, cells, len(cells)) == (config, launcher, cells)
    assert ("HSKD_JOBS=8" in caplog.text) == said
