"""Every command of the README composes: train.py and the store's."""

from __future__ import annotations

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
from tests.conftest import ROOT

BLOCKS = re.findall(r"```(?:bash|console)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS = [
    line.split("#")[0].strip()
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith(("python train.py", "python -m hskd_lightning.store"))
]


def overrides_of(command: str) -> list[str]:
    words = shlex.split(command)
    if "train.py" in words:
        return [word for word in words[words.index("train.py") + 1 :] if not word.startswith("-")]
    assert words[3] in store.COMMANDS
    return [word for word in words[4:] if "=" in word]


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
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
