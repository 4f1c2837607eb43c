"""Every command of the README composes: train.py and the store's."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from hskd_lightning import store
from hskd_lightning.config import check_arguments, plain
from hskd_lightning.study.compose import as_multirun
from tests.conftest import ROOT

BLOCKS = re.findall(r"```(?:bash|console)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith(("python train.py", "python -m hskd_lightning.store", "python -m hskd_lightning.study"))
]
PLANS = [command for command in COMMANDS if "--config-dir" in command]


def overrides_of(command: str) -> list[str]:
    words = shlex.split(command)
    if "train.py" in words:
        return [word for word in words[words.index("train.py") + 1 :] if not word.startswith("-")]
    assert words[3] in store.COMMANDS
    return [word for word in words[4:] if "=" in word]


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", PLANS)
def test_a_documented_plan_composes(command: str) -> None:
    words = shlex.split(command)
    parser = argparse.ArgumentParser()
    parser.add_argument("--config-dir")
    parser.add_argument("--config-name")
    given, rest = parser.parse_known_args(words)
    overrides = [word for word in rest if "=" in word]
    with as_multirun(str(ROOT / given.config_dir), given.config_name, overrides) as (config, _):
        assert config.hydra.sweeper.plans


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in PLANS])
def test_a_documented_command_composes(
    configure: Callable[..., DictConfig], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSKD_MINILM", "anywhere")
    parsed = OverridesParser.create().parse_overrides(overrides_of(command))
    for cells in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        for cell in cells:
            config = plain(configure(*cell))
            for axis in ("depth", "length", "width"):
                check_arguments(config[axis], axis)


def test_make_help_names_the_targets_the_readme_uses() -> None:
    used = set(re.findall(r"make ([a-z-]+)", "\n".join(BLOCKS)))
    makefile = (ROOT / "Makefile").read_text()
    assert used
    assert all(re.search(rf"^{target}:.*## ", makefile, re.MULTILINE) for target in used)


def test_files_that_the_readme_names_exist() -> None:
    named = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert named
    assert [name for name in named if not (Path(ROOT) / name).exists()] == []
