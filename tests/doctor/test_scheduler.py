"""SLURM, torchrun and Ray, as their variables say, against a cell's devices and this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from functools import partial

import pytest
import torch

from hskd_lightning.doctor import scheduler
from hskd_lightning.doctor.finding import State, examined
from hskd_lightning.settings.groups import TrainerSettings
from tests.doctor.found import only

SRUN = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.fixture(autouse=True)
def by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scheduler, whatever started these tests."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "TORCHELASTIC_", "RAY_"))]:
        monkeypatch.delenv(name)


def export(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def cell_of(devices: int) -> TrainerSettings:
    rest = {"precision": "32-true", "log_every": 50, "checkpoint_every": 200, "graphs": False}
    return TrainerSettings(accelerator="cpu", devices=devices, **rest)


@pytest.mark.parametrize(
    ("variables", "devices", "state", "words"),
    [
        ({}, 1, State.OK, "1 of a cell on cpu"),
        ({**SRUN, "SLURM_JOB_NAME": "bash"}, 1, State.OK, "no launcher"),
        (SRUN, 4, State.OK, "4 by srun"),
        (SRUN, 1, State.NOTE, "they share out a store's shards"),
        (SRUN, 2, State.RED, "the 4 processes that srun started"),
        ({**SRUN, "SLURM_NNODES": "2"}, 4, State.RED, "srun started on 2 machine(s)"),
        ({"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "4"}, 1, State.RED, "that torchrun started"),
    ],
)
def test_processes_against_devices(
    variables: dict[str, str], devices: int, state: State, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(variables, monkeypatch)
    found = only(partial(scheduler.processes, cell_of(devices)))
    assert found.state == state and words in found.said


@pytest.mark.parametrize(
    ("variables", "threads", "state", "words"),
    [
        ({}, 1, State.OK, "none"),
        ({"SLURM_CPUS_PER_TASK": "1"}, 1, State.OK, "job 7"),
        ({"SLURM_CPUS_PER_TASK": "1"}, 2, State.NOTE, "a cell has 2 threads"),
        ({"SLURM_CPUS_PER_TASK": "9999"}, 1, State.NOTE, "SLURM_CPUS_PER_TASK=9999, and this process may use"),
        pytest.param({"SLURM_GPUS_ON_NODE": "0"}, 1, State.OK, "job 7", marks=WITHOUT_GPU),
        pytest.param({"SLURM_GPUS_ON_NODE": "2"}, 1, State.RED, "torch finds none", marks=WITHOUT_GPU),
        pytest.param({"SLURM_GPUS_ON_NODE": "gpu:a100:4"}, 1, State.RED, "torch finds none", marks=WITHOUT_GPU),
    ],
)
def test_what_slurm_allocated_against_what_is_found(
    variables: dict[str, str], threads: int, state: State, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export({**variables, "SLURM_JOB_ID": "7"} if variables else {}, monkeypatch)
    found = only(partial(scheduler.slurm, threads))
    assert found.state == state and words in found.said


def test_more_than_one_thing_may_not_match(monkeypatch: pytest.MonkeyPatch) -> None:
    export({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "9999"}, monkeypatch)
    assert [found.state for found in examined(partial(scheduler.slurm, 10_000))] == [State.NOTE, State.NOTE]


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("address", [None, "", "auto"])
def test_ray_without_a_machine(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    assert only(scheduler.ray).state == State.OK


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_that_is_there(form: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", form.format(port))
    assert only(scheduler.ray).state == State.OK


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{bound.getsockname()[1]}")
        found = only(scheduler.ray)
    assert found.state == State.NOTE and "launch=ray_cluster would fail" in found.said
