"""Seconds until a command answers, beside what torch alone takes to import: each in a process of its own, by turns.

A sweep of one tiny cell is run first, so that there is a finished cell, a store and a kept plan to ask for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import report, taking_turns

ROOT = Path(__file__).parents[1]
CELL = ("debug=fast", "data.source.train=300", "data.source.dev=60", "trainer=cpu")
SWEEP = (*CELL, "hydra.sweeper.amounts=[0.1]", "seed=0")
AXES = ("length=cls_first", "length.keep=range(1,13)", "width.keep=range(1,9)", "seed=0,1,2")
COMMANDS: dict[str, tuple[str, ...]] = {
    "hskd --help": ("--help",),
    "train --help": ("train", "--help"),
    "store list": ("store", "list"),
    "study status": ("study", "status", *SWEEP),
    "study status, 288 cells": ("study", "status", *CELL, *AXES),
    "a finished cell": ("train", *CELL),
    "explain=true": ("train", *CELL, "seed=7", "explain=true"),
}


def asked(root: Path, words: tuple[str, ...]) -> Callable[[], None]:
    place = (f"paths.root={root}",) if "--help" not in words else ()
    command = [sys.executable, "-m", "hskd_lightning", *words, *place]
    return lambda: _run(command)


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def measure(root: Path, rounds: int) -> list[dict[str, Any]]:
    """Median seconds of each command, and as a share of an import of torch; the first round keeps the plans."""
    _run([sys.executable, "train.py", "-m", *SWEEP, f"paths.root={root}"])
    candidates = {name: asked(root, words) for name, words in COMMANDS.items()}
    candidates["import torch"] = lambda: _run([sys.executable, "-c", "import torch"])
    seconds = taking_turns(candidates, rounds)
    torch = seconds["import torch"]
    return [{"command": name, "s": took, "times import torch": took / torch} for name, took in seconds.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        report("start_up", measure(Path(root), given.rounds))


if __name__ == "__main__":
    main()
