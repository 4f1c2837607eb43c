"""Part `cells`: cells a minute of a toy study, several at once on one GPU, by the program's own command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.gpu.setup import Row, Setup, attempt

ROOT = Path(__file__).parents[2]
QUICK = ("data=toy_study", "teacher.training.epochs=1", "logger=csv")
"""The study's cells; how well they are taught does not matter here."""
RATES = ("2e-3", "3e-3")
"""An axis that all cells share a store along."""
SMALL = ("data.source.train=200", "data.source.dev=40", "data.distil_limit=64", "trainer=cpu")


def cells(setup: Setup) -> Iterator[Row]:
    """A sweep of new seeds at each number at once; teacher, tokens and store are there before."""
    root = setup.root / "sweep"
    overrides = (*QUICK, f"paths.root={root}", *(SMALL if setup.smoke else ("trainer=gpu",)))
    made = attempt("teacher and store", lambda: _run(overrides, {}))
    if "failed" in made:
        yield made
        return
    seed = 1
    for at_once in (1, 2) if setup.smoke else (1, 8, 4, 2):  # the ends first, should time run out
        count = max(1, at_once // len(RATES))
        seeds = [str(seed + number) for number in range(count)]
        seed += count
        sweep = partial(_sweep, root, overrides, seeds, at_once)
        yield {"at once": at_once, **attempt(f"{at_once} at once", sweep)}


def _sweep(root: Path, overrides: tuple[str, ...], seeds: list[str], at_once: int) -> Row:
    """How long a sweep took, start and all, and how many cells a minute ended once the first had begun."""
    before = set((root / "runs").glob("*/result.json"))
    asked = ("-m", *overrides, "launch=joblib", f"seed={','.join(seeds)}", f"stage.hidden.lr={','.join(RATES)}")
    took = _run(asked, {"HSKD_JOBS": str(at_once)})["s"]
    ended = set((root / "runs").glob("*/result.json")) - before
    count = len(seeds) * len(RATES)
    assert len(ended) == count, f"{len(ended)} of {count} cells ended"
    begun = min(path.with_name("config.yaml").stat().st_mtime for path in ended)
    span = max(path.stat().st_mtime for path in ended) - begun
    return {"cells": count, "command, s": took, "cells, s": span, "cells a minute": 60 * count / span}


def _run(overrides: tuple[str, ...], environment: dict[str, str]) -> Row:
    command = [sys.executable, str(ROOT / "train.py"), *overrides]
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-1500:], done.stderr[-1500:], sep="\n", flush=True)
        raise RuntimeError(f"exit code {done.returncode}")
    return {"s": time.perf_counter() - started}
