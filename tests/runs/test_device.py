"""Cells that share a machine: their threads, and the GPU that fewest others have."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.runs import device
from hskd_lightning.runs.device import VISIBLE, claim, least_claimed, settle
from hskd_lightning.settings import read_settings
from hskd_lightning.settings.groups import TrainerSettings
from tests.helpers import refusal

FOUR = ("0", "1", "2", "3")
HOLD = """
import sys
from hskd_lightning.runs.device import claim
print(claim(tuple("0123")), flush=True)
sys.stdin.read()
"""
"""A process that claims one of four GPUs and keeps it until its input ends."""


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process that has claimed nothing yet, on a machine where nobody else has."""
    claim.cache_clear()
    monkeypatch.setattr(device, "_LOCKS", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv(VISIBLE, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    os.environ.pop(VISIBLE, None)


@pytest.fixture
def trainer(small: Callable[..., DictConfig]) -> TrainerSettings:
    return read_settings(plain(small())).trainer


def several_gpus(monkeypatch: pytest.MonkeyPatch, sweeping: bool) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "in_multirun", lambda: sweeping)


def holder() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def claimed_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("claims", "chosen"),
    [([], "0"), (["0"], "1"), (["0", "1", "2", "3"], "0"), (["0", "1", "3", "0"], "2"), (["7", "7", "0"], "1")],
)
def test_the_least_claimed_gpu_is_chosen(claims: list[str], chosen: str) -> None:
    assert least_claimed(claims, FOUR) == chosen


def test_a_claim_is_kept() -> None:
    assert claim(FOUR) == claim(FOUR) == "0"


@pytest.mark.slow
def test_six_processes_on_four_gpus_have_two_two_one_and_one() -> None:
    processes = [holder() for _ in range(6)]
    claims = [claimed_by(process) for process in processes]
    assert sorted(map(claims.count, FOUR)) == [1, 1, 2, 2]
    freed = next(gpu for gpu in FOUR if claims.count(gpu) == 1)
    dead = processes.pop(claims.index(freed))
    dead.kill()
    dead.communicate()
    assert claim(FOUR) == freed
    for process in processes:
        process.communicate("")


def test_a_cell_of_a_sweep_sees_one_gpu(trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=True)
    settle(None, trainer)
    assert os.environ[VISIBLE] == "0"


def test_a_cell_of_wandbs_agent_sees_one_gpu(trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=False)
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    settle(None, trainer)
    assert os.environ[VISIBLE] == "0"


def test_a_gpu_that_a_cluster_gave_is_the_one(trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=True)
    monkeypatch.setenv(VISIBLE, "5")
    settle(None, trainer)
    assert os.environ[VISIBLE] == "5"


def test_of_several_gpus_that_a_cluster_gave_one_is_taken(
    trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    several_gpus(monkeypatch, sweeping=True)
    monkeypatch.setenv(VISIBLE, "GPU-8932f937,5")
    settle(None, trainer)
    assert os.environ[VISIBLE] == "GPU-8932f937"


def test_a_cell_by_itself_is_left_alone(trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    several_gpus(monkeypatch, sweeping=False)
    threads = torch.get_num_threads()
    settle(None, trainer)
    assert VISIBLE not in os.environ and torch.get_num_threads() == threads


def test_threads_are_those_that_were_given(trainer: TrainerSettings) -> None:
    settle(1, trainer)
    assert torch.get_num_threads() == 1


def asked(devices: Any, **options: Any) -> TrainerSettings:
    common = {"accelerator": "cpu", "precision": "32-true", "log_every": 50, "checkpoint_every": 200, "graphs": False}
    return TrainerSettings(**{**common, **options}, devices=devices)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        (asked(1), {}),
        (asked("1"), {}),
        (asked([3]), {}),
        (asked(-1), {}),  # on a CPU: one
        (asked(2), {}),
        (asked(4), TORCHRUN),
        (asked(2, num_nodes=2), TORCHRUN),
        (asked(4), SRUN),
        (asked(1), SRUN),  # four processes that share out a store's shards
        (asked(2, num_nodes=2), {"MASTER_ADDR": "one", "MASTER_PORT": "29500", "NODE_RANK": "1"}),
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
        (asked(1), TORCHRUN, "trainer.devices", "the 4 processes that torchrun started"),
        (asked(2), SRUN, "trainer.devices", "the 4 processes that srun started"),
        (asked(4), {**SRUN, "SLURM_NNODES": "2"}, "trainer.devices", "that srun started on 2 machine(s)"),
        (asked(2, num_nodes=2), {}, "trainer.num_nodes", "nothing says which machine this is"),
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
        device.check_devices(asked(4))
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    device.check_devices(asked(4))
