"""What a W&B run that was never uploaded has in its file, read back with wandb's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class OfflineRun:
    id: str
    sweep: str | None
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]

    @property
    def logged(self) -> set[str]:
        """The names of everything in its history."""
        return {name for row in self.history for name in row}

    def curve(self, name: str) -> list[tuple[float, float]]:
        return [(row["curve/fraction"], row[name]) for row in self.history if name in row]


def offline_runs(root: Path) -> list[OfflineRun]:
    """The runs of the cells below `root`, oldest first."""
    files = sorted(root.glob("runs/*/wandb/offline-run-*/*.wandb"), key=lambda path: path.parent.name)
    return [read(file) for file in files]


def read(path: Path) -> OfflineRun:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    (run,) = (record["run"] for record in records if record["type"] == "run")
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    summary: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"]["update"]
    return OfflineRun(run["run_id"], run.get("sweep_id"), run["config"]["update"], history, summary)
