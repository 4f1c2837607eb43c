"""Every command of the README composes: train.py and the store's."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from hskd_lightning.choices import build
from hskd_lightning.config import plain
from hskd_lightning.settings import Choice
from hskd_lightning.store import __main__ as store
from hskd_lightning.study import __main__ as study
from hskd_lightning.study.sweep.collect import read
from hskd_lightning.study.sweep.compose import as_multirun
from tests.helpers import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(?:bash|console)\n(.*?)```", README, re.DOTALL)
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
    assert words[3] in (study if "hskd_lightning.study" in words else store).COMMANDS
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
    if "launch=ray" in command and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    with as_multirun(str(ROOT / given.config_dir), given.config_name, overrides) as (config, _):
        assert config.hydra.sweeper.plans or words[3] == "minimum"


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
                build(Choice.of(config[axis]), axis)


def test_make_help_names_the_targets_the_readme_uses() -> None:
    used = set(re.findall(r"make ([a-z-]+)", "\n".join(BLOCKS)))
    makefile = (ROOT / "Makefile").read_text()
    assert used
    assert all(re.search(rf"^{target}:.*## ", makefile, re.MULTILINE) for target in used)


def test_files_that_the_readme_names_exist() -> None:
    named = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert named
    assert [name for name in named if not (Path(ROOT) / name).exists()] == []


# Its tables stand on rows in results/readme/.


def rows_of(study: str) -> pd.DataFrame:
    return read(ROOT / f"results/readme/{study}/results.csv")


def spread(scores: pd.Series) -> str:
    return f"{scores.mean():.3f} ± {scores.std():.3f}"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("knowledge == 'offline' and depth == 'all'", "| all hidden states, then logits | 100% |"),
        ("knowledge == 'offline' and depth == 'uniform' and bits == 'fp16'", "then logits (the default) |"),
        ("knowledge == 'logits'", "| logits alone | 0 | 0 |"),
    ],
)
def test_the_first_table_is_that_of_its_rows(rows: str, words: str) -> None:
    found = rows_of("first_result").query(rows)
    assert sorted(found.seed) == [0, 1, 2]
    (line,) = (line for line in README.splitlines() if words in line)
    assert spread(found.score) in line.replace("*", "")


@pytest.mark.parametrize("source", ["fp32", "fp16", "bf16", "int8", "online"])
def test_what_a_dtype_costs_is_that_of_its_rows(source: str) -> None:
    found = rows_of("first_result").query("depth == 'uniform' and hsk_amount == 0.1 and knowledge != 'logits'")
    found = found[found.knowledge == ("online" if source == "online" else "offline")]
    found = found[(found.bits == source) | (source == "online")]
    assert sorted(found.seed) == [0, 1, 2]
    assert re.search(rf"\b{re.escape(spread(found.score))} \({source}\)", " ".join(README.split()))


@pytest.mark.parametrize("importance", ["taylor", "random", "magnitude"])
def test_the_table_of_importances_is_that_of_its_rows(importance: str) -> None:
    found = rows_of("importance").query(f"student_init_importance == '{importance}'").sort_values("seed")
    assert list(found.seed) == [0, 1, 2]
    each = ", ".join(f"{score:.3f}" for score in found.score)
    (line,) = (line for line in README.splitlines() if line.lower().startswith(f"| {importance} | "))
    assert line.replace("*", "").split(" | ")[1:] == [each, f"{spread(found.score)} |"]
