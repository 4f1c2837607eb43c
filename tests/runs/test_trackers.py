"""W&B and TensorBoard: the real clients, without a network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb
from omegaconf import DictConfig

from hskd_lightning.errors import TrainingError
from hskd_lightning.pipeline import run
from hskd_lightning.runs.trackers import OFFLINE_RUNS, choose_mode
from tests.helpers import ROOT, SMALL, TINY, result_of
from tests.offline_run import offline_runs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_account")]
Small = Callable[..., DictConfig]
Program = Callable[..., subprocess.CompletedProcess[str]]


def test_without_a_key_the_mode_is_offline() -> None:
    assert choose_mode("auto") == "offline"


def test_with_a_key_and_without_a_route_the_mode_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
        wandb.teardown()  # or it goes on with what it read before
        assert choose_mode("auto") == "offline"
    wandb.teardown()


def test_a_mode_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode("auto") == "disabled"
    assert choose_mode("offline") == "offline"


def test_an_offline_run_holds_axes_curves_and_scores(small: Small, tmp_path: Path) -> None:
    score = run(small("logger=wandb", "seed=3"))
    (told,) = offline_runs(tmp_path)
    result = result_of(tmp_path)
    assert told.id == result["cell_id"] and told.sweep is None
    axes = ("task", "student_init", "depth", "length_keep", "seed", "knowledge_fraction", "cell_id")
    assert {name: told.config[name] for name in axes} == {name: result[name] for name in axes}
    losses = {f"{stage}/{name}" for stage, name in (("hidden", "loss"), ("prediction", "loss"))}
    assert losses | {"hidden/selection_loss", "prediction/selection_accuracy"} <= told.logged
    finals = ("score", "teacher_score", "seconds_hidden", "steps_prediction", "peak_memory_mb", "parameters_student")
    assert {name: told.summary[f"final/{name}"] for name in finals} == {name: result[name] for name in finals}
    assert told.summary["final/score"] == score and "final/seed" not in told.summary
    assert told.curve("curve/score") == [(result["knowledge_fraction"], score)]
    assert told.curve("curve/teacher") == [(0, result["teacher_score"]), (1, result["teacher_score"])]


def test_a_baseline_is_a_line_from_end_to_end(small: Small, tmp_path: Path) -> None:
    score = run(small("logger=wandb", "knowledge=labels"))
    (told,) = offline_runs(tmp_path)
    assert told.curve("curve/labels") == [(0, score), (1, score)]
    assert "curve/score" not in told.logged


def test_a_cell_that_ran_without_wandb_is_told_once_it_is_asked_for_with_it(small: Small, tmp_path: Path) -> None:
    run(small())
    score = run(small("logger=wandb"))
    run(small("logger=wandb"))
    (told,) = offline_runs(tmp_path)
    assert told.id == told.config["cell_id"]
    assert {"hidden/loss", "prediction/selection_accuracy"} <= told.logged
    assert told.summary["final/score"] == score


AGENT = {"WANDB_SWEEP_ID": "s1", "WANDB_RUN_ID": "given", "WANDB_PROJECT": "theirs"}


def test_a_sweep_tells_wandb_of_the_cells_that_were_done_without_it(program: Program, tmp_path: Path) -> None:
    sweep = ("-m", *SMALL, *TINY, "seed=0,1")
    program(*sweep, "hydra.sweeper.amounts=[0.1]")
    trained = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("runs/*/student/model.safetensors"))]
    program(*sweep, "hydra.sweeper.amounts=[0.1]", "logger=wandb")
    assert {run.config["seed"] for run in offline_runs(tmp_path)} == {0, 1}
    again = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("runs/*/student/model.safetensors"))]
    assert len(trained) == 2 and again == trained


def test_under_an_agent_the_run_is_the_one_that_the_agent_waits_for(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in AGENT.items():
        monkeypatch.setenv(name, value)
    for identifier in ("given", "another"):  # the second finds the cell done, and must answer all the same
        monkeypatch.setenv("WANDB_RUN_ID", identifier)
        program(*SMALL, *TINY, "logger=wandb")
    first, second = offline_runs(tmp_path)
    result = result_of(tmp_path)
    assert (first.id, first.sweep, second.id, second.sweep) == ("given", "s1", "another", "s1")
    for told in (first, second):
        assert told.config["cell_id"] == result["cell_id"]
        assert told.summary["final/score"] == result["score"] and "hidden/loss" in told.logged


def wandb_sync(root: Path) -> str:
    """What `make wandb-sync` would upload; -o: as if the environment of these tests were the one it makes."""
    command = ["make", "-C", str(ROOT), "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", "ARGS=--dry-run"]
    environment = {**os.environ, "HSKD_ROOT": str(root)}
    done = subprocess.run([*command, "wandb-sync"], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_one_command_finds_all_runs_that_cells_left_offline(small: Small, tmp_path: Path) -> None:
    assert f"/runs/{OFFLINE_RUNS};" in (ROOT / "Makefile").read_text()
    for seed in (1, 2):
        run(small("logger=wandb", f"seed={seed}"))
    said = wandb_sync(tmp_path)
    assert "Would sync 2 run(s)" in said
    assert all(str(record) in said for record in tmp_path.glob("runs/*/wandb/offline-run-*/*.wandb"))


def test_there_may_be_no_run_to_upload(tmp_path: Path) -> None:
    assert f"no offline run below {tmp_path}/runs" in wandb_sync(tmp_path)


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
