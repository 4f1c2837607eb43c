"""GPUs of a driver, and of torch. The driver's program is one that stands first on the path, and answers as told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hskd_lightning.doctor import gpus
from hskd_lightning.doctor.finding import State
from tests.doctor.found import only

pytestmark = pytest.mark.skipif(torch.cuda.is_available() or gpus.DEVICE.exists(), reason="there is a GPU")
H100 = "NVIDIA H100, 81559 MiB, 550.54.15"
Driver = Callable[..., None]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Have nvidia-smi say these lines, and end with this exit code."""

    def saying(*lines: str, code: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text("\n".join(["#!/bin/sh", *(f"echo '{line}'" for line in lines), f"exit {code}"]))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return saying


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_no_driver_is_no_fault() -> None:
    assert [only(check).state for check in (gpus.in_torch, gpus.visible)] == [State.OK, State.OK]


def test_a_driver_whose_gpus_torch_cannot_use(driver: Driver) -> None:
    driver(H100)
    found = only(gpus.in_torch)
    assert found.state == State.RED and H100 in found.said and "torch" in found.remedy


def test_a_program_without_a_driver_is_no_gpu(driver: Driver) -> None:
    driver("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.", code=9)
    assert only(gpus.in_torch).state == State.OK


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_gpus_that_are_hidden_are_a_note(value: str, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(H100, H100)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert only(gpus.in_torch).state == State.NOTE
    found = only(gpus.visible)
    assert found.state == State.NOTE and "hides 2 GPU(s)" in found.said and "Ray" in found.remedy


def test_nothing_to_hide_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert only(gpus.visible).state == State.OK


@pytest.mark.parametrize(("there", "named"), [((), "0"), ((H100,), "0,1"), ((H100,), "0,GPU-1f3a")])
def test_a_gpu_is_named_that_is_not_there(
    there: tuple[str, ...], named: str, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(*there)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    found = only(gpus.visible)
    assert found.state == State.RED and f"CUDA_VISIBLE_DEVICES={named} names" in found.said


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="such a torch asks the driver itself")
def test_gpus_are_named_that_are_there(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(H100, H100)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert only(gpus.visible).state == State.OK
