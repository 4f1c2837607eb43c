"""A finished cell, asked for again: answered from its files, before anything is imported that trains."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hskd_lightning import config as configuration
from hskd_lightning import console
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.runs.result import Result
from hskd_lightning.settings import Settings, read_settings
from hskd_lightning.settled import cell_id

log = logging.getLogger(__name__)


def finished_score(config: Mapping[str, Any]) -> float | None:
    """The score of a cell that is done, which is said as at its end; None where there is more to do than to say it.

    A cell's name needs no model, and a cell that has a result was checked when it ran.

    Raises:
        ConfigError: a value out of its range, data that are not there, or a damaged result.
    """
    settings = read_settings(config)
    if _more_to_do(settings):
        return None
    cell = CellFolder(Path(settings.paths.runs) / cell_id(config))
    if cell.result is None:
        return None
    say_done_before(cell)
    return say_result(cell).score


def say_done_before(cell: CellFolder) -> None:
    """That nothing runs."""
    log.info("cell %s: done before, force=true runs it again", cell.id)


def say_result(cell: CellFolder) -> Result:
    """What the cell ended with: a table, or in a sweep a line."""
    result = cell.result
    assert result is not None
    (console.say_result if configuration.in_multirun() else console.show_result)(result, cell.folder)
    return result


def _more_to_do(settings: Settings) -> bool:
    """Whether more than the result is asked for, or something that is checked on the longer way alone."""
    asked = settings.explain or settings.force or settings.export or settings.logger.kind == "wandb"
    trainer = settings.trainer
    alone = trainer.devices == trainer.num_nodes == 1
    usual = alone and trainer.accelerator in ("auto", "cpu") and settings.store.path is None
    return asked or not usual
