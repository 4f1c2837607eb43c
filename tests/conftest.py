"""Fixtures of the whole suite: a configuration by overrides, and a program that runs in seconds without a network."""

from __future__ import annotations

import copy
import functools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from tests.helpers import ROOT, SMALL, TINY, command_line


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: with one of them last, one worker would end alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="session")
def heeded_interrupts() -> None:
    """What a shell starts with & or nohup ignores Ctrl-C, and so would every process that a test starts and stops."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Models this small only lose by threads, and test processes would fight for cores."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True, scope="session")
def one_cell_at_a_time() -> None:
    """A sweep's cells start no processes, which take longer to start than the cells here take."""
    os.environ["HSKD_JOBS"] = "1"


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may ask a hub; what tries fails at once, in other processes and in this one."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose user never heard of W&B."""
    for variable in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of artifacts for the session: a teacher is trained once, as in a study."""
    return tmp_path_factory.mktemp("artifacts")


@functools.cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    """Hydra takes a tenth of a second, and many tests ask for the same."""
    return compose("train", overrides=list(overrides))


@pytest.fixture
def configure(tmp_path: Path, artifacts: Path) -> Iterator[Callable[..., DictConfig]]:
    """Compose conf/train.yaml with overrides, everything written below this test's folder."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):

        def composed(*overrides: str) -> DictConfig:
            config = copy.deepcopy(_composed(overrides))
            for key, place in {"paths.root": tmp_path, "paths.artifacts": artifacts}.items():
                if not any(override.startswith(f"{key}=") for override in overrides):
                    OmegaConf.update(config, key, str(place))
            return config

        yield composed


@pytest.fixture
def small(configure: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """The same for the small run: what is given last wins."""

    def composed(*overrides: str) -> DictConfig:
        chosen = any(override.startswith("student=") for override in overrides)
        return configure(*SMALL, *(() if chosen else TINY), *overrides)

    return composed


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run train.py as a user does, in a process of its own."""

    def run(*overrides: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = command_line(tmp_path, *overrides)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
