"""What several test modules share: the small run, a command line, and how what a run leaves is read."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from hskd_lightning.assets import Assets
from hskd_lightning.data.loader import collate
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
"""Whether chance is given more rounds than CI has the time for."""
KILLS = 5 if THOROUGH else 2
"""Random moments at which a sweep is killed."""
SMALL = (
    "data.source.train=300",
    "data.source.dev=60",
    "data.distil_limit=96",
    "data.hidden_epochs=2",
    "data.prediction_epochs=2",
    "teacher.init.shape.hidden_size=16",
    "teacher.init.shape.num_attention_heads=2",
    "teacher.init.shape.intermediate_size=32",
    "teacher.training.epochs=1",
    "trainer.accelerator=cpu",
)
"""The default run, shrunk until it takes a second or two. The scores mean nothing."""
TINY = ("student.shape.hidden_size=8", "student.shape.intermediate_size=16")
"""The same for student=tiny, the default."""


def command_line(root: Path, *overrides: str) -> list[str]:
    """train.py with everything written below `root`."""
    return [sys.executable, str(ROOT / "train.py"), *overrides, f"paths.root={root}"]


def options(group: str) -> list[str]:
    """Every option of a group of conf/: what is added there is tested too."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def with_option(group: str, option: str) -> list[str]:
    """Those of a group's options that have an option of this name themselves."""
    return [name for name in options(group) if option in OmegaConf.load(CONF / group / f"{name}.yaml")]


def only_cell(root: Path) -> Path:
    """The folder of the one cell that was run below `root`."""
    (folder,) = [path for path in (root / "runs").iterdir() if path.is_dir()]
    return folder


def only_store(root: Path) -> Path:
    """The folder of the one store that was built below `root`."""
    (manifest,) = root.glob("artifacts/store/*/manifest.json")
    return manifest.parent


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a cell's folder."""
    return json.loads((folder / name).read_text())  # type: ignore[no-any-return]


def result_of(root: Path) -> dict[str, Any]:
    """result.json of the one cell that was run below `root`."""
    return read(only_cell(root), "result.json")


def trace(folder: Path) -> list[tuple[str, int, str, float]]:
    """Every logged figure of the one cell in `folder`: stage, step, name, value."""
    (path,) = folder.glob("*/metrics.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [(stage, int(step), name, float(value)) for stage, step, name, value in rows]


def refusal(key: str, phrase: str) -> pytest.RaisesExc[ConfigError]:
    """Expect a ConfigError that names `key` and says `phrase`."""
    return pytest.raises(ConfigError, match=f"(?s)`{re.escape(key)}`.*{re.escape(phrase)}")


def batch_of(assets: Assets, rows: list[int], split: str = "train") -> TokenBatch:
    """These examples of one of the student's splits, by their rows."""
    examples = getattr(assets.corpus.student_splits, split)
    return collate(examples, torch.tensor(rows), assets.corpus.tokenizer.pad_token_id, assets.corpus.pad_to)
