"""docs/new_strategy.md, taken at its word: its blocks written into a copy of the repository, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import blocks, commands
from tests.helpers import ROOT, SMALL, TINY, result_of

PAGE = ROOT / "docs/new_strategy.md"
COPIED = ("hskd_lightning", "hydra_plugins", "conf", "sweeps")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's packages, and what the page adds to them."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", tmp_path)
    strategy, test = blocks(PAGE, "python")
    (described,) = blocks(PAGE, "yaml")
    (tmp_path / "hskd_lightning/compress/length/right_first.py").write_text(strategy)
    (tmp_path / "conf/length/right_first.yaml").write_text(described)
    (tmp_path / "test_right_first.py").write_text(test)
    return tmp_path


@pytest.mark.slow
def test_the_worked_example_passes_its_own_test_and_trains(copy: Path) -> None:
    (block,) = blocks(PAGE, "bash")
    (command,) = commands(block)
    words = [*command.words[2:], *SMALL, *TINY, f"paths.root={copy}"]
    tested = "import test_right_first as page; page.test_cls_then_the_last_words_and_no_separator()"
    script = f"{tested}; from hskd_lightning.train import main; main({words!r})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = result_of(copy)
    assert (found["length"], found["length_keep"]) == ("right_first", 3)
