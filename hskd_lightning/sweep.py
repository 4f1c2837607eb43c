"""What a cell of a multirun knows of the others: enough to build one store for all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from hskd_lightning import config as configuration
from hskd_lightning.artifacts import write_json

CELLS = "cells.json"


def note_cells(folder: Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Write a sweep's cells down before the first one runs: in a file, as they may be other processes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CELLS, [dict(config) for config in configs])


def other_cells() -> list[dict[str, Any]]:
    """The resolved configurations of this sweep's cells; nothing outside a multirun."""
    if not configuration.in_multirun():
        return []
    path = Path(HydraConfig.get().runtime.cwd) / HydraConfig.get().sweep.dir / CELLS
    noted: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return noted
