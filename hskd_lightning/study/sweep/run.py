"""`-m`: plan the cells of a sweep, run those that are not done, and say what came of them.

Whatever launcher runs the cells, what counts is what they leave on disk: a sweep that was killed, or whose launcher
lost a job, goes on with the same command.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hskd_lightning import config as configuration
from hskd_lightning.errors import ConfigError, TrainingError
from hskd_lightning.runs.state import State
from hskd_lightning.settings.sweeper import SweeperSettings, read_sweeper
from hskd_lightning.study import rules
from hskd_lightning.study.sweep import foresight, outcome
from hskd_lightning.study.sweep.at_once import several_at_once
from hskd_lightning.study.sweep.kept import planned
from hskd_lightning.study.sweep.launching import launch, prepare
from hskd_lightning.study.sweep.plan import Plan, PlannedCell, folder_of

log = logging.getLogger(__name__)


def run_sweep(config: DictConfig, launcher: Launcher, arguments: Sequence[str]) -> None:
    """Run a sweep to its end; exit with 1 if a cell failed or cannot be."""
    try:
        settings = read_sweeper(configuration.plain(config.hydra.sweeper))
        if settings.minimum.run:
            from hskd_lightning.study.sweep.search import run_search  # here: a sweep that is done needs no models

            run_search(config, launcher, settings, arguments)
            return
        loader = launcher.hydra_context.config_loader  # type: ignore[attr-defined]
        plan = planned(config, loader, arguments)
        cells: Sequence[PlannedCell] = wanted(plan, settings, config.force)[: settings.max_cells]
    except (ConfigError, TrainingError) as error:
        sys.exit(f"\n{error}\n")
    outcome.say_plan(plan)
    if config.explain:
        outcome.show_plan(plan)
        log.info(foresight.said(plan, settings.margin))
        return
    place = Path(config.hydra.sweep.dir).absolute()
    folder = folder_of(configuration.plain(config.paths), settings, plan)
    try:
        fixed = rules.fixed(folder, rules.Rules(_seeds(plan), settings.margin))
    except ConfigError as error:
        sys.exit(f"\n{error}\n")
    if cells:
        try:
            config, launcher, cells = several_at_once(config, launcher, cells, len(plan.to_run))
        except ConfigError as error:
            sys.exit(f"\n{error}\n")
        prepare(config, cells, (cell.config for cell in plan.to_run), place)
        launch(cells, launcher, plan, place, settings.max_batch_size)
    from hskd_lightning.study.sweep import ending  # here: explain=true draws no figures

    if settings.margin != fixed.margin:
        log.warning(
            "the margin is %g, as study.json has it from before the first cell, not %g; `study figures --margin` asks "
            "what another would say",
            fixed.margin, settings.margin,
        )  # fmt: skip
    ending.finish(plan, folder, fixed.margin, settings.only)


def _seeds(plan: Plan) -> tuple[int, ...]:
    return tuple(sorted({cell.settings.seed for cell in plan.to_run if cell.settings is not None}))


def wanted(plan: Plan, settings: SweeperSettings, force: bool) -> list[PlannedCell]:
    """The cells to run now: those that are not done, or those in the one state that was asked for.

    A finished cell that W&B knows nothing of, or that is still to be exported, is among them: it is not trained again.
    """
    if settings.only is not None:
        return plan.in_state(_state(settings.only))
    if force:
        return list(plan.to_run)
    return [cell for cell in plan.to_run if cell.state != State.DONE or _unreported(cell) or _unexported(cell)]


def _unexported(cell: PlannedCell) -> bool:
    return cell.settings is not None and cell.settings.export and not cell.files.export.is_dir()


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
