"""Cells that share a machine: their threads, and one GPU each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from hskd_lightning.runs import device
from hskd_lightning.runs.device import VISIBLE, claim, settle


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
