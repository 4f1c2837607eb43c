"""Cells per hour of one sweep with one process, and with several that have a core each.

The whole command is timed, from its start to its table: processes that start late or wait for each other count.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import report, taking_turns

TRAIN = Path(__file__).parents[1] / "train.py"
AMOUNTS = (0.03, 0.1, 0.3)
LAUNCHES: dict[str, tuple[tuple[str, ...], int]] = {
    "one by one, a core": (("threads=1",), 1),
    "one by one, all cores": ((), 1),
    "launch=joblib, 1 job": (("launch=joblib",), 1),
    "launch=joblib, 2 jobs": (("launch=joblib",), 2),
}


def sweeper(
    root: Path, seeds: int, overrides: tuple[str, ...], jobs: int, first: itertools.count[int]
) -> Callable[[], None]:
    """A sweep of `seeds` new seeds at every call: what is done is not run again."""

    def sweep() -> None:
        fresh = ",".join(str(next(first)) for _ in range(seeds))
        axes = [f"seed={fresh}", f"hsk.amount={','.join(map(str, AMOUNTS))}"]
        command = [sys.executable, str(TRAIN), "-m", "data=toy_study", *axes, *overrides, f"paths.root={root}"]
        environment = {**os.environ, "HSKD_JOBS": str(jobs)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    return sweep


def measure(root: Path, seeds: int, rounds: int) -> list[dict[str, Any]]:
    """Seconds of a sweep and cells per hour. The first sweep of all builds what the others share, and is not timed."""
    first = itertools.count()
    sweeps = {name: sweeper(root, seeds, overrides, jobs, first) for name, (overrides, jobs) in LAUNCHES.items()}
    sweeps["one by one, a core"]()  # the teacher of one thread
    seconds = taking_turns(sweeps, rounds, warm_up=0)
    cells = seeds * len(AMOUNTS)
    one_job = seconds["launch=joblib, 1 job"]
    return [
        {"way": name, "cells": cells, "s": took, "cells an hour": 3600 * cells / took, "times one job": one_job / took}
        for name, took in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        report("sweep_jobs", measure(Path(root), given.seeds, given.rounds))


if __name__ == "__main__":
    main()
