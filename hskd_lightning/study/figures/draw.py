"""Draw a study: each figure as PNG, SVG and PDF, and beside them the numbers in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.figures import matplotlib_figure
from hskd_lightning.study.figures.chart import Chart, Skipped
from hskd_lightning.study.figures.charts import CHARTS, TESTED
from hskd_lightning.study.stats.defaults import MARGIN
from hskd_lightning.study.stats.moderation import Rule

log = logging.getLogger(__name__)


def draw(
    results: pd.DataFrame,
    folder: Path,
    only: Sequence[str] | None = None,
    margin: float = MARGIN,
    variance: Rule = "welch",
) -> list[Path]:
    """Write `<figure>.png`, `.svg`, `.pdf` and `.csv` for each figure that has finished cells; the paths written.

    A half-finished sweep is drawn as far as it goes; a figure without rows is skipped, and the log says why.

    Args:
        results: one row per (figure, cell), as in results.csv.
        folder: made if it is not there.
        only: names of figures; None for all.
        margin: of the equivalence test, in units of score.
        variance: over seeds, see `moderation`.

    Raises:
        ConfigError: there is no figure of that name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for chart in charts(results, only, margin, variance):
        paths += matplotlib_figure.save(chart, folder)
        paths.append(folder / f"{chart.name}.csv")
        pd.DataFrame(chart.rows()).to_csv(paths[-1], index=False, lineterminator="\n")
    return paths


def charts(
    results: pd.DataFrame, only: Sequence[str] | None = None, margin: float = MARGIN, variance: Rule = "welch"
) -> list[Chart]:
    """Every figure that can be drawn of these rows; a reason in the log for each that cannot."""
    asked = list(CHARTS) if only is None else list(only)
    for name in asked:
        if name not in CHARTS:
            raise ConfigError("only", name, ", ".join(CHARTS), "leave it out to draw every figure")
    missed = set(asked) if only is not None else set(results.get("figure", ()))
    rules: dict[str, Any] = {"margin": margin, "variance": variance}
    built = (_built(name, results, rules, logging.WARNING if name in missed else logging.DEBUG) for name in asked)
    return [chart for chart in built if chart is not None]


def _built(name: str, results: pd.DataFrame, rules: Mapping[str, Any], level: int) -> Chart | None:
    try:
        return CHARTS[name](results, **(rules if name in TESTED else {}))
    except (Skipped, ConfigError) as reason:
        log.log(level, "figure %s is skipped: %s", name, reason)
        return None
