"""`-m`: plan the cells of a sweep, run those that are not done, and say what came of them.

Whatever launcher runs the cells, what counts is what they leave on disk: a sweep that was killed, or whose launcher
lost a job, goes on with the same command.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from hskd_lightning import config as configuration
from hskd_lightning.errors import ConfigError
from hskd_lightning.runs.state import State
from hskd_lightning.runs.trackers import unreported
from hskd_lightning.settings.sweeper import Block, SweeperSettings, read_sweeper
from hskd_lightning.study.sweep import outcome
from hskd_lightning.study.sweep.compose import Compose, composer
from hskd_lightning.study.sweep.plan import Axis, Plan, PlannedCell, expand, parse, resolve
from hskd_lightning.study.sweep.progress import watching

log = logging.getLogger(__name__)
CURVE = "curve"
"""The figure of a sweep that is no plan of sweeps/."""


def run_sweep(config: DictConfig, launcher: Launcher, arguments: Sequence[str]) -> None:
    """Run a sweep to its end; exit with 1 if a cell failed or cannot be."""
    try:
        settings = read_sweeper(configuration.plain(config.hydra.sweeper))
        loader = launcher.hydra_context.config_loader  # type: ignore[attr-defined]
        plan = make_plan(settings, arguments, composer(loader, config))
        cells = wanted(plan, settings, config.force)[: settings.max_cells]
    except ConfigError as error:
        sys.exit(f"\n{error}\n")
    outcome.say_plan(plan)
    if config.explain:
        outcome.show_plan(plan)
        return
    place = Path(config.hydra.sweep.dir).absolute()
    plan.note(place)
    launch(cells, launcher, plan, place, settings.max_batch_size)
    name = f"{'-'.join(settings.plans) or CURVE}"[:40] + f"-{plan.name}"
    folder = Path(settings.to or Path(config.paths.root) / "studies" / name)
    outcome.finish(plan, folder, settings.margin)


def make_plan(settings: SweeperSettings, arguments: Sequence[str], compose: Compose) -> Plan:
    """The cells of a sweep.

    Args:
        settings: what the sweep is asked for.
        arguments: the user's overrides.

    Raises:
        ConfigError: overrides or blocks that cannot be expanded.
    """
    given = parse(arguments)
    plans, seeds = plans_of(settings, given)
    composed = functools.cache(lambda overrides: compose(overrides))  # one setting may be in several figures
    chosen = [_whole(each.removeprefix("seed=")) for each in given.get("seed", [])] or seeds
    cells: dict[tuple[str, str | None, str | None], PlannedCell] = {}
    asked = 0
    for figure, blocks in plans.items():
        for setting in expand(blocks, given):
            for overrides, config in _with_seeds(setting, composed(setting), chosen):
                cell = resolve(figure, overrides, config)
                cells.setdefault((figure, cell.id, cell.reason), cell)
                asked += 1
    ordered = sorted(cells.values(), key=lambda cell: cell.settings.seed if cell.settings else 0)
    return Plan(tuple(ordered), own_axes=not settings.plans, repeated=asked - len(ordered))


def _whole(seed: str) -> int:
    try:
        return int(seed)
    except ValueError:
        raise ConfigError("seed", seed, "a whole number, or several", "write seed=0,1,2") from None


def _with_seeds(
    setting: tuple[str, ...], config: Mapping[str, Any], seeds: Sequence[int]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """A setting with each seed. Nothing in conf/ is made from the seed, so it is put in rather than composed anew."""
    if not seeds:
        yield setting, config
    for seed in seeds:
        yield (*setting, f"seed={seed}"), {**config, "seed": seed}


def plans_of(settings: SweeperSettings, given: Mapping[str, Axis]) -> tuple[Mapping[str, list[Block]], list[int]]:
    """Blocks by figure, and the seeds: the plans of a file, the user's own axes, or the curve over `hsk.amount`."""
    if settings.plans:
        return settings.plans, settings.seeds
    if any(len(axis) > 1 for key, axis in given.items() if key != "seed"):
        return {CURVE: [{}]}, []
    baseline: list[Block] = [{"knowledge": "logits"}] if 0 in settings.amounts else []
    return {CURVE: [*baseline, {"hsk.amount": [amount for amount in settings.amounts if amount]}]}, settings.seeds


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
    return cell.settings is not None and unreported(cell.settings.logger, cell.folder)


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
