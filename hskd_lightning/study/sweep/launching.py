"""Cells of a sweep, run by whatever launcher; what counts is what they leave on disk."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hskd_lightning.study.sweep.at_once import is_launcher
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.progress import watching
from hskd_lightning.usage import quoted

log = logging.getLogger(__name__)


def prepare(config: DictConfig, cells: Sequence[PlannedCell], others: Iterable[Mapping[str, Any]], place: Path) -> None:
    """What cells find when they start: each other, and the teacher where several would wait for it.

    Args:
        config: of the sweep.
        cells: those that will run.
        others: the configurations that a store shall serve together.
        place: the sweep's folder, where these are noted.
    """
    from hskd_lightning.assets.siblings import note_cells  # here: a sweep that is done needs no torch
    from hskd_lightning.study.sweep.prepare import make_teacher

    note_cells(place, others)
    if is_launcher(config, "JoblibLauncher"):
        make_teacher(cells)


def launch(cells: Sequence[PlannedCell], launcher: Launcher, plan: Plan, place: Path, at_once: int | None) -> None:
    """Run cells by any launcher. What a launcher says of a lost job is told, and the disk tells the rest.

    Args:
        place: the sweep's folder, where the cells are noted.
        at_once: so many at a time; None: as many as the launcher likes.
    """
    with watching(plan, launcher):
        for first in range(0, len(cells), at_once or len(cells) or 1):
            batch = cells[first : first + (at_once or len(cells))]
            try:
                launcher.launch([placed(cell, place) for cell in batch], initial_job_idx=first)
            except Exception as error:  # a job that was killed: the launchers' exceptions have no common class
                log.error("the launcher stopped: %s: %s", type(error).__name__, error)


def placed(cell: PlannedCell, place: Path) -> list[str]:
    """A cell's overrides, and its folders in full: a worker may stand elsewhere, without this environment."""
    assert cell.settings is not None
    folders = {f"paths.{name}": folder for name, folder in dataclasses.asdict(cell.settings.paths).items()}
    folders["hydra.sweep.dir"] = str(place)
    return [*cell.overrides, *(f"{key}={quoted(str(Path(folder).absolute()))}" for key, folder in folders.items())]
