"""What a cell of a multirun knows of the others: enough to build one store for all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from hskd_lightning import config as configuration
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import read_json, write_json

log = logging.getLogger(__name__)
CELLS = "cells.json"


def note_cells(folder: Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Write a sweep's cells down before the first one runs: in a file, as they may be other processes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CELLS, {"cells": [dict(config) for config in configs]})


def other_cells() -> list[dict[str, Any]]:
    """The resolved configurations of this sweep's cells; nothing outside a multirun."""
    if not configuration.in_multirun():
        return []
    path = Path(HydraConfig.get().runtime.cwd) / HydraConfig.get().sweep.dir / CELLS
    if not path.exists():
        return []
    try:
        noted = read_json(path, "sweep", "start the sweep again: it writes the list anew", ("cells",))
    except ConfigError as error:
        log.warning("this cell builds a store for itself alone.\n%s", error)
        return []
    return list(noted["cells"])
