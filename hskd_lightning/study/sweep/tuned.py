"""The same grid of learning rates for each arm of a study, and the rates that the selection split chose.

An arm is what a block of the plan `tune` is about: full HSK, a tenth of it, the logits alone. Its grid is judged by
`selection_score` and never by dev, which is to report what is chosen here. An arm with two stages has more settings to
be the best of than one with one, so a difference that is as small as that between neighbours in a grid says nothing.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from hskd_lightning import console
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import write_json
from hskd_lightning.runs.result import Result
from hskd_lightning.settings import Settings
from hskd_lightning.study.sweep.plan import Plan, PlannedCell
from hskd_lightning.study.sweep.rates import task_of, taught_by

log = logging.getLogger(__name__)
TUNE = "tune"
"""The figure of the plan."""
RATES = ("student.lr.", "stage.hidden.lr", "stage.prediction.lr")
"""What is tuned, as overrides begin; what else differs tells arms apart."""


@dataclass(frozen=True)
class Tried:
    """One point of a grid."""

    rates: tuple[str, ...]
    """As they are typed: `student.lr.hidden=0.0001`."""
    scores: Mapping[int, float]
    """On the selection split, by seed; without those that are not finished."""
    cells: tuple[str, ...]
    """Of all its seeds."""

    @property
    def whole(self) -> bool:
        return len(self.scores) == len(self.cells)

    @property
    def mean(self) -> float:
        return fmean(self.scores.values()) if self.scores else float("nan")


@dataclass(frozen=True)
class Arm:
    """What is tuned by itself, and its grid in the plan's order."""

    overrides: tuple[str, ...]
    settings: Settings
    """Of one of its cells: all have the same but for rates and seed."""
    grid: tuple[Tried, ...]

    @cached_property
    def winner(self) -> Tried | None:
        """The rates with the highest mean, the first of them if several have it; None while a cell is missing."""
        return max(self.grid, key=lambda tried: tried.mean) if all(tried.whole for tried in self.grid) else None

    @property
    def edges(self) -> tuple[str, ...]:
        """Those of the winner's rates beyond which nothing was tried: a better one may lie there."""
        if self.winner is None:
            return ()
        columns = zip(self.winner.rates, zip(*(tried.rates for tried in self.grid), strict=True), strict=True)
        return tuple(won for won, tried in columns if _at_edge(won, set(tried)))

    @property
    def line(self) -> str:
        """The arm with its rates, as overrides of a run."""
        return " ".join((*self.overrides, *(self.winner.rates if self.winner else ())))


def _at_edge(won: str, tried: set[str]) -> bool:
    rates = sorted(float(each.partition("=")[2]) for each in tried)
    return len(rates) > 1 and float(won.partition("=")[2]) in (rates[0], rates[-1])


def check(cell: PlannedCell) -> None:
    """Refuse a cell of a grid that nothing could be chosen from, before the rest is composed.

    Raises:
        ConfigError: no examples are held out to choose by, or dev chooses.
    """
    if cell.figure != TUNE or cell.settings is None:
        return
    if cell.settings.data.selection == 0:
        allowed = "a share above 0 where rates are tuned: they are chosen on what is held out of train"
        raise ConfigError("data.selection", 0, allowed, "leave it at 0.1; dev is only to report what was chosen")
    if cell.settings.stage.prediction.select_on == "dev":
        allowed = "selection where rates are tuned: what dev has chosen, dev cannot judge"
        raise ConfigError("stage.prediction.select_on", "dev", allowed, "leave it, or preset.select_on, out")


def arms(plan: Plan, result_of: Callable[[PlannedCell], Result | None]) -> list[Arm]:
    """Every arm of a plan with what is there of its grid.

    Args:
        result_of: what a cell ended with; None while it has not.
    """
    grids: dict[tuple[str, ...], dict[tuple[str, ...], list[PlannedCell]]] = {}
    settings: dict[tuple[str, ...], Settings] = {}
    for cell in _tuned(plan):
        named = plan.distinguishing(cell).split()
        arm = tuple(each for each in named if not each.startswith((*RATES, "seed=")))
        rates = tuple(each for each in cell.overrides if each.startswith(RATES))
        grids.setdefault(arm, {}).setdefault(rates, []).append(cell)
        assert cell.settings is not None
        settings.setdefault(arm, cell.settings)
    return [
        Arm(arm, settings[arm], tuple(_tried(rates, cells, result_of) for rates, cells in grid.items()))
        for arm, grid in grids.items()
    ]


def _tuned(plan: Plan) -> list[PlannedCell]:
    return [cell for cell in plan.cells if cell.figure == TUNE and cell.id is not None]


def _tried(
    rates: tuple[str, ...], cells: Sequence[PlannedCell], result_of: Callable[[PlannedCell], Result | None]
) -> Tried:
    results = [result for cell in cells if (result := result_of(cell)) is not None]
    scores = {result.seed: result.selection_score for result in results if result.selection_score is not None}
    return Tried(rates, scores, tuple(str(cell.id) for cell in cells))


def finish(found: Sequence[Arm], folder: Path) -> list[Path]:
    """Write tuned.json and tuned.csv, and say each arm's winner as overrides to paste; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "tuned.json", folder / "tuned.csv"]
    of = found[0].settings  # a grid is of one task and teacher
    described = [_described(arm) for arm in found]
    write_json(written[0], {"task": task_of(of), "teacher": of.teacher.name, "arms": described})
    _write_csv(found, written[1])
    show(found)
    return written


def show(found: Sequence[Arm]) -> None:
    """The grids, and below them what to type."""
    header = ("arm", "learning rates", "on selection", "n", "")
    console.show_table(header, [_formatted(arm, tried) for arm in found for tried in arm.grid])
    for arm in found:
        if arm.winner is None:
            missing = sum(not tried.whole for tried in arm.grid)
            log.warning("%s: %d of %d settings have no score yet: no winner", arm.line, missing, len(arm.grid))
        else:
            log.info("%s", arm.line)
        for rate in arm.edges:
            log.warning("%s is the last that was tried on its side: widen the grid there", rate)


def _formatted(arm: Arm, tried: Tried) -> tuple[str, ...]:
    won = "best" if tried is arm.winner else ""
    return " ".join(arm.overrides), " ".join(tried.rates), f"{tried.mean:.4f}", str(len(tried.scores)), won


def _described(arm: Arm) -> dict[str, Any]:
    return {
        "arm": list(arm.overrides),
        "student": arm.settings.student.name,
        "taught": taught_by(arm.settings),
        "winner": None if arm.winner is None else list(arm.winner.rates),
        "overrides": None if arm.winner is None else arm.line,
        "at_the_edge": list(arm.edges),
        "grid": [
            {"rates": list(tried.rates), "selection_scores": _by_name(tried.scores), "cells": list(tried.cells)}
            for tried in arm.grid
        ],
    }


def _by_name(scores: Mapping[int, float]) -> dict[str, float]:
    return {str(seed): score for seed, score in scores.items()}


def _write_csv(found: Sequence[Arm], path: Path) -> None:
    """A row for each point of each grid; an arm without a hidden stage has no rate of it."""
    rows = [_row(arm, tried) for arm in found for tried in arm.grid]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(arm: Arm, tried: Tried) -> dict[str, Any]:
    return {
        "arm": " ".join(arm.overrides),
        "selection_score": tried.mean,
        "n": len(tried.scores),
        "winner": tried is arm.winner,
        "cells": " ".join(tried.cells),
        **dict(each.split("=", 1) for each in tried.rates),
    }
