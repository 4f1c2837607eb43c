"""What a sweep's seeds can show, before it runs: by the spread of its finished cells, or of a usual student."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from hskd_lightning.runs.state import State
from hskd_lightning.study.stats.power import foresight
from hskd_lightning.study.sweep.plan import Plan, PlannedCell

USUAL = 0.007
"""The standard deviation over seeds of a student pruned from MiniLM on SST-2, where no cell tells a sweep its own."""


def said(plan: Plan, margin: float) -> str:
    """How small a loss the planned seeds can show, and how many would show the margin; a sentence."""
    by_setting: dict[str, list[PlannedCell]] = {}
    for cell in plan.to_run:
        by_setting.setdefault(_setting(cell), []).append(cell)
    n = min(map(len, by_setting.values()), default=0)
    spread = pooled([_scores(cells) for cells in by_setting.values()])
    source = "as its finished cells spread" if spread is not None else "as students of SST-2 were seen to spread"
    spread = USUAL if spread is None else spread
    return f"{n} seed{'' if n == 1 else 's'} a setting, {source}: {foresight(n, spread, margin)}"


def pooled(settings: list[list[float]]) -> float | None:
    """The standard deviation within settings, over all of them; None where none has two scores."""
    parts = [(statistics.variance(scores), len(scores) - 1) for scores in settings if len(scores) > 1]
    if not parts:
        return None
    return math.sqrt(sum(variance * df for variance, df in parts) / sum(df for _, df in parts))


def _scores(cells: list[PlannedCell]) -> list[float]:
    results = [cell.result for cell in cells if cell.state == State.DONE]
    return [result.score for result in results if result is not None]


def _setting(cell: PlannedCell) -> str:
    """Everything but the seed."""
    config: Mapping[str, Any] = cell.config
    return repr({key: value for key, value in config.items() if key != "seed"})
