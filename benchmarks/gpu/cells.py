"""Part `cells`: cells a minute of a toy study, several at once on one GPU, by the program's own command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.setup import Row, Setup, attempt

ROOT = Path(__file__).parents[2]
QUICK = ("data=toy_study", "teacher.training.epochs=1", "logger=csv")
"""The study's cells; how well they are taught does not matter here."""
SMALL = ("data.source.train=200", "data.source.dev=40", "data.distil_limit=64", "trainer=cpu")


def cells(setup: Setup) -> list[Row]:
    """A sweep of new seeds at each number at once; teacher, tokens and store are there before."""
    root = setup.root / "sweep"
    overrides = (*QUICK, f"paths.root={root}", *(SMALL if setup.smoke else ("trainer=gpu",)))
    made = attempt("teacher and store", lambda: _run(overrides, {}))
    if "failed" in made:
        return [made]
    rows, seed = [], 1
    for at_once in (1, 2) if setup.smoke else (1, 2, 4, 8):
        count = 2 if setup.smoke else max(4, 2 * at_once)
        seeds = [str(seed + number) for number in range(count)]
        seed += count
        row = attempt(
            f"{at_once} at once", lambda seeds=seeds, at_once=at_once: _sweep(root, overrides, seeds, at_once)
        )  # type: ignore[misc]
        rows.append({"at once": at_once, **row})
    return rows


def _sweep(root: Path, overrides: tuple[str, ...], seeds: list[str], at_once: int) -> Row:
    """How long a sweep took, start and all, and how many cells a minute ended once the first had begun."""
    before = set((root / "runs").glob("*/result.json"))
    asked = ("-m", *overrides, "launch=joblib", f"seed={','.join(seeds)}", "hsk.amount=0.1")
    took = _run(asked, {"HSKD_JOBS": str(at_once)})["s"]
    ended = set((root / "runs").glob("*/result.json")) - before
    assert len(ended) == len(seeds), f"{len(ended)} of {len(seeds)} cells ended"
    begun = min(path.with_name("config.yaml").stat().st_mtime for path in ended)
    span = max(path.stat().st_mtime for path in ended) - begun
    count = len(seeds)
    return {"cells": count, "command, s": took, "cells, s": span, "cells a minute": 60 * count / span}


def _run(overrides: tuple[str, ...], environment: dict[str, str]) -> Row:
    command = [sys.executable, str(ROOT / "train.py"), *overrides]
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-1500:], done.stderr[-1500:], sep="\n", flush=True)
        raise RuntimeError(f"exit code {done.returncode}")
    return {"s": time.perf_counter() - started}
