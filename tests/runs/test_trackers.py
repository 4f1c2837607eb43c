"""W&B and TensorBoard: the real clients, without a network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb
from omegaconf import DictConfig

from hskd_lightning.errors import TrainingError
from hskd_lightning.pipeline import run
from hskd_lightning.runs.trackers import choose_mode

pytestmark = pytest.mark.slow
Small = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def inspect(path: Path, *options: str) -> str:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_without_a_key_the_mode_is_offline() -> None:
    assert choose_mode("auto") == "offline"


def test_a_mode_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode("auto") == "disabled"
    assert choose_mode("offline") == "offline"


def test_an_offline_run_holds_axes_curves_and_scores(small: Small, tmp_path: Path) -> None:
    score = run(small("logger=wandb", "seed=3"))
    (record,) = tmp_path.glob("runs/*/wandb/offline-run-*/*.wandb")
    cell = record.parents[2].name
    assert record.name == f"run-{cell}.wandb"
    summary = json.dumps(json.loads(inspect(record, "--summary")))
    assert '"final/score"' in summary and str(score)[:6] in summary
    assert '"hidden/loss"' in summary and '"prediction/loss"' in summary
    history = inspect(record)
    assert "hidden/selection_loss" in history and "prediction/selection_accuracy" in history


def test_two_cells_of_one_process_are_two_runs_even_if_one_fails(small: Small, tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        run(small("logger=wandb", "stage.hidden.lr=1e38", "stage.hidden.clip=null"))
    assert wandb.run is None
    run(small("logger=wandb"))
    assert len(list(tmp_path.glob("runs/*/wandb/offline-run-*/*.wandb"))) == 2


def test_nothing_is_written_to_the_home_folder(small: Small, tmp_path: Path) -> None:
    run(small("logger=wandb"))
    home = tmp_path / "home"
    assert not home.exists() or not [path for path in home.rglob("*") if path.is_file()]


def test_tensorboard_gets_the_losses(small: Small, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(small("logger=tensorboard"))
    (folder,) = tmp_path.glob("runs/*/tensorboard")
    events = EventAccumulator(str(folder))
    events.Reload()
    assert {"hidden/loss", "prediction/loss", "final/score"} <= set(events.Tags()["scalars"])
