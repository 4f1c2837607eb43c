"""The settings of a recipe, run where nothing is that could be reused."""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd

from hskd_lightning.errors import ConfigError, command
from hskd_lightning.study.sweep.collect import read
from hskd_lightning.study.verify.recipe import Recipe

log = logging.getLogger(__name__)


def rerun(recipe: Recipe, folder: Path) -> pd.DataFrame:
    """Run every setting with every seed: teacher, stores and students are made anew. The rows of its results.csv.

    Args:
        recipe: what to run.
        folder: where; it is empty.

    Raises:
        ConfigError: a cell did not end in a result.
    """
    arguments = recipe.arguments(folder)
    log.info("%s", shlex.join(["python", "train.py", *arguments]))
    done = subprocess.run([sys.executable, "-m", "hskd_lightning.train", *arguments])
    results = folder / "results" / "results.csv"
    if done.returncode or not results.exists():
        remedy = f"what went wrong stands above; the same by hand: {command('train')} -m, with these arguments"
        raise ConfigError("verify.yaml: settings", list(recipe.settings), "cells that all end in a result", remedy)
    return read(results)
