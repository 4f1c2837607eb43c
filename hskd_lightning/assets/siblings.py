"""What a cell of a multirun knows of the others: enough to build one store for all."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from hskd_lightning import config as configuration
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import read_json, write_json

log = logging.getLogger(__name__)
CELLS = "cells.json"
OURS = "study"
"""The option of hydra/sweeper that notes its cells."""


def note_cells(folder: Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Write a sweep's cells down before the first one runs: in a file, as they may be other processes."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CELLS, {"cells": [dict(config) for config in configs]})


def other_cells() -> list[dict[str, Any]]:
    """The resolved configurations of this sweep's cells; nothing outside a multirun, or where another sweeper runs it.

    Raises:
        ConfigError: the list that the sweep began with is not there: this process sees another disk.
    """
    if not configuration.in_multirun():
        return []
    folder = Path(HydraConfig.get().runtime.cwd) / HydraConfig.get().sweep.dir
    if not (folder / CELLS).exists():
        if HydraConfig.get().runtime.choices.get("hydra/sweeper") == OURS:
            raise _no_list(folder)
        return []
    try:
        noted = read_json(folder / CELLS, "sweep", "start the sweep again: it writes the list anew", ("cells",))
    except ConfigError as error:
        log.warning("this cell builds a store for itself alone.\n%s", error)
        return []
    return list(noted["cells"])


def _no_list(folder: Path) -> ConfigError:
    allowed = f"the folder with {CELLS} that the sweep began with; {socket.gethostname()} does not see it"
    return ConfigError("hydra.sweep.dir", str(folder), allowed, "name a folder that all machines share: paths.root=...")
