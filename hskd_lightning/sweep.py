"""What a cell of a multirun knows of the others: enough to build one store for all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hskd_lightning import config as configuration

log = logging.getLogger(__name__)
CELLS = "cells.json"


class NoteCells(Callback):
    """Writes down, before a sweep's first cell, which cells it has: in a file, as cells may be other processes."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        hydra = config.hydra
        swept = [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]
        parsed = OverridesParser.create().parse_overrides([*swept, *hydra.overrides.task])
        (batch,) = BasicSweeper.split_arguments(parsed, None)
        folder = Path(hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        sources = [source.path for source in hydra.runtime.config_sources if source.schema == "file"]
        noted = {"config_dir": sources[0], "config_name": hydra.job.config_name, "cells": batch}
        (folder / CELLS).write_text(json.dumps(noted, indent=2))


def other_cells() -> Iterator[dict[str, Any]]:
    """The resolved configurations of this sweep's cells; nothing outside a multirun. Those that do not compose are left
    out: they will say so themselves.
    """
    if not configuration.in_multirun():
        return
    path = Path(HydraConfig.get().runtime.cwd) / HydraConfig.get().sweep.dir / CELLS
    if not path.exists():
        return
    noted = json.loads(path.read_text())
    with ExitStack() as stack:
        if not GlobalHydra.instance().is_initialized():  # a launcher's worker process
            stack.enter_context(initialize_config_dir(noted["config_dir"], version_base="1.3"))
        for overrides in noted["cells"]:
            try:
                yield configuration.plain(compose(noted["config_name"], overrides=overrides))
            except (HydraException, OmegaConfBaseException) as error:
                log.debug("a cell that does not compose: %s", error)
