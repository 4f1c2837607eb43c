"""Cells that share a machine: their threads, and one GPU each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from hskd_lightning.runs import device
from hskd_lightning.runs.device import VISIBLE, claim, settle
from hskd_lightning.settings.groups import TrainerSettings
from tests.helpers import refusal


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has claimed nothing yet."""
    claim.cache_clear()
    monkeypatch.setattr(device, "_LOCKS", [])
    monkeypatch.delenv(VISIBLE, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    os.environ.pop(VISIBLE, None)


def several_gpus(monkeypatch: pytest.MonkeyPatch, sweeping: bool) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "in_multirun", lambda: sweeping)


def test_the_first_free_gpu_is_taken_and_kept(tmp_path: Path) -> None:
    assert claim(tmp_path, 2) == claim(tmp_path, 2) == 0


def test_a_gpu_that_another_cell_has_is_passed_over(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".gpu-0.lock"):
        assert claim(tmp_path, 2) == 1


def test_with_more_cells_than_gpus_the_last_is_shared(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".gpu-0.lock"), FileLock(tmp_path / ".gpu-1.lock"):
        assert claim(tmp_path, 2) == 1


def test_a_cell_of_a_sweep_sees_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=True)
    settle(None, tmp_path)
    assert os.environ[VISIBLE] == "0"


def test_a_gpu_that_a_cluster_gave_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=True)
    monkeypatch.setenv(VISIBLE, "5")
    settle(None, tmp_path)
    assert os.environ[VISIBLE] == "5"


def test_a_cell_by_itself_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=False)
    threads = torch.get_num_threads()
    settle(None, tmp_path)
    assert VISIBLE not in os.environ and torch.get_num_threads() == threads


def test_threads_are_those_that_were_given(tmp_path: Path) -> None:
    settle(1, tmp_path)
    assert torch.get_num_threads() == 1


def trainer(devices: Any, **options: Any) -> TrainerSettings:
    common = {"accelerator": "cpu", "precision": "32-true", "log_every": 50, "checkpoint_every": 200}
    return TrainerSettings(**{**common, **options}, devices=devices)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        (trainer(1), {}),
        (trainer("1"), {}),
        (trainer([3]), {}),
        (trainer(-1), {}),  # on a CPU: one
        (trainer(2), {}),
        (trainer(4), TORCHRUN),
        (trainer(2, num_nodes=2), TORCHRUN),
        (trainer(4), SRUN),
        (trainer(1), SRUN),  # four processes that share out a store's shards
        (trainer(2, num_nodes=2), {"MASTER_ADDR": "one", "MASTER_PORT": "29500", "NODE_RANK": "1"}),
    ],
)
def test_devices_whose_processes_are_there_or_started_are_taken(
    settings: TrainerSettings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    device.check_devices(settings)


@pytest.mark.parametrize(
    ("settings", "environment", "key", "phrase"),
    [
        (trainer(0), {}, "trainer.devices", "a number from 1"),
        (trainer("two"), {}, "trainer.devices", "a number from 1"),
        (trainer([]), {}, "trainer.devices", "a number from 1"),
        (trainer(1.5), {}, "trainer.devices", "a number from 1"),
        (trainer(1), TORCHRUN, "trainer.devices", "the 4 processes that torchrun started"),
        (trainer(2), SRUN, "trainer.devices", "the 4 processes that srun started"),
        (trainer(2, num_nodes=2), {}, "trainer.num_nodes", "nothing says which machine this is"),
    ],
)
def test_devices_whose_processes_would_wait_for_others_are_refused(
    settings: TrainerSettings,
    environment: dict[str, str],
    key: str,
    phrase: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with refusal(key, phrase):
        device.check_devices(settings)


def test_in_a_sweep_several_devices_are_refused_unless_its_launcher_started_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "in_multirun", lambda: True)
    with refusal("trainer.devices", "one cell, one device"):
        device.check_devices(trainer(4))
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    device.check_devices(trainer(4))
