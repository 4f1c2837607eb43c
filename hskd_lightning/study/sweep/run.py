"""`-m`: plan the cells of a sweep, run those that are not done, and say what came of them.

Whatever launcher runs the cells, what counts is what they leave on disk: a sweep that was killed, or whose launcher
lost a job, goes on with the same command.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hskd_lightning import config as configuration
from hskd_lightning.errors import ConfigError
from hskd_lightning.runs.state import State
from hskd_lightning.settings.sweeper import SweeperSettings, read_sweeper
from hskd_lightning.study import rules
from hskd_lightning.study.sweep import foresight, outcome
from hskd_lightning.study.sweep.at_once import is_launcher, several_at_once
from hskd_lightning.study.sweep.kept import planned
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.progress import watching

log = logging.getLogger(__name__)


def run_sweep(config: DictConfig, launcher: Launcher, arguments: Sequence[str]) -> None:
    """Run a sweep to its end; exit with 1 if a cell failed or cannot be."""
    try:
        settings = read_sweeper(configuration.plain(config.hydra.sweeper))
        loader = launcher.hydra_context.config_loader  # type: ignore[attr-defined]
        plan = planned(config, loader, arguments)
        cells: Sequence[PlannedCell] = wanted(plan, settings, config.force)[: settings.max_cells]
    except ConfigError as error:
        sys.exit(f"\n{error}\n")
    outcome.say_plan(plan)
    if config.explain:
        outcome.show_plan(plan)
        log.info(foresight.said(plan, settings.margin))
        return
    place = Path(config.hydra.sweep.dir).absolute()
    name = f"{'-'.join(settings.plans) or 'curve'}"[:40] + f"-{plan.name}"
    folder = Path(settings.to or Path(config.paths.root) / "studies" / name)
    try:
        rules.fixed(folder, rules.Rules(_seeds(plan), settings.margin))
    except ConfigError as error:
        sys.exit(f"\n{error}\n")
    if cells:
        try:
            config, launcher, cells = several_at_once(config, launcher, cells)
        except ConfigError as error:
            sys.exit(f"\n{error}\n")
        _prepare(config, cells, plan, place)
        launch(cells, launcher, plan, place, settings.max_batch_size)
    from hskd_lightning.study.sweep import ending  # here: explain=true draws no figures

    ending.finish(plan, folder, settings.margin)


def _seeds(plan: Plan) -> tuple[int, ...]:
    return tuple(sorted({cell.settings.seed for cell in plan.to_run if cell.settings is not None}))


def _prepare(config: DictConfig, cells: Sequence[PlannedCell], plan: Plan, place: Path) -> None:
    """What cells find when they start: each other, and the teacher where several would wait for it."""
    from hskd_lightning.assets.siblings import note_cells  # here: a sweep that is done needs no torch
    from hskd_lightning.study.sweep.prepare import make_teacher

    note_cells(place, (cell.config for cell in plan.to_run))
    if is_launcher(config, "JoblibLauncher"):
        make_teacher(cells)


def wanted(plan: Plan, settings: SweeperSettings, force: bool) -> list[PlannedCell]:
    """The cells to run now: those that are not done, or those in the one state that was asked for.

    A finished cell that W&B knows nothing of is among them: it is told of it, and not trained again.
    """
    if settings.only is not None:
        return plan.in_state(_state(settings.only))
    if force:
        return list(plan.to_run)
    return [cell for cell in plan.to_run if cell.state != State.DONE or _unreported(cell)]


def _unreported(cell: PlannedCell) -> bool:
    if cell.settings is None or cell.settings.logger.kind != "wandb":
        return False
    from hskd_lightning.runs.trackers import unreported  # here: wandb takes seconds

    return unreported(cell.settings.logger, cell.folder)


def _state(name: str) -> State:
    try:
        return State(str(name).upper())
    except ValueError:
        allowed = ", ".join(State)
        raise ConfigError("hydra.sweeper.only", name, allowed, "name one of these states, or leave it out") from None


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
    return [*cell.overrides, *(f"{key}={_quoted(Path(folder).absolute())}" for key, folder in folders.items())]


def _quoted(path: Path) -> str:
    """A path as Hydra's command line spells it, whatever characters it has."""
    escaped = str(path).replace("'", "\\'")
    return f"'{escaped}'"
