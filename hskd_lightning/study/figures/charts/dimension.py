"""Score along one dimension of hidden-state knowledge: depth, length or width."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Scale,
    Skipped,
    collapsed_seeds,
    level,
    of_figure,
    point,
    score_axis,
    teacher_level,
    titled,
)
from hskd_lightning.study.results import CONTEXT, Setting, full_hsk, grouped, label, logits_only, telling, varying

COUNTED = {"depth": "Kept layer pairs P", "length": "Kept tokens per example K", "width": "Kept units per token W"}
SHARED = {
    "depth": "Kept share of the layer pairs",
    "length": "Kept share of the real tokens",
    "width": "Kept share of the hidden units W/D",
}
TITLES = {"depth": "Which layers, and how many", "length": "Which tokens, and how many"}
WIDE = 12
"""An axis whose ends are further apart than this factor is logarithmic."""


def along(results: pd.DataFrame, dimension: str) -> Chart:
    """One line per choice of layers, tokens or units, against how much of the dimension is kept."""
    settings = of_figure(results, dimension)
    panels = [_panel(members, settings, dimension) for members in grouped(settings, CONTEXT)]
    drawn = tuple(panel for panel in panels if panel is not None)
    if not drawn:
        raise Skipped(f"no cell says how much of the {dimension} it keeps")
    title = TITLES.get(dimension, "Which hidden units, and how many")
    return Chart(dimension, title, CAPTION.format(what=dimension), drawn)


CAPTION = (
    "Only {what} varies along a line. Means over seeds with 95% t intervals; horizontal lines are logits only and full "
    "HSK with theirs, and the teacher. In print, points that share a place are moved apart to be seen."
)


def _panel(members: Sequence[Setting], everyone: Sequence[Setting], dimension: str) -> Panel | None:
    full, baseline = full_hsk(members), logits_only(members)
    swept = [each for each in members if each.distils and each.true and each is not full]
    keeps = [each[f"{dimension}_keep"] for each in swept if each[f"{dimension}_keep"] is not None]
    if not keeps and dimension != "depth":
        return None
    counted = dimension == "depth" or max(keeps) >= 1
    known = [each for each in swept if not math.isnan(kept(each, dimension, counted))]
    lines = [*_lines(known, dimension, counted), *collapsed_seeds(known, lambda each: kept(each, dimension, counted))]
    if not lines:
        return None
    levels = [*level("logits only", baseline), *level("full HSK", full), *teacher_level(members)]
    axis = _axis(dimension, counted, [each.x for line in lines for each in line.points])
    return Panel(titled(members, everyone), axis, score_axis(members), (*lines, *levels))


def _lines(swept: Sequence[Setting], dimension: str, counted: bool) -> list[Line]:
    axes = [axis for axis in varying(swept) if axis not in (f"{dimension}_keep", "hsk_amount")]
    distinguishing = telling(swept, axes)
    return [
        Line(
            label(members[0], distinguishing) or label(members[0], [dimension]),
            "curve",
            tuple(sorted((point(each, kept(each, dimension, counted)) for each in members), key=lambda at: at.x)),
        )
        for members in grouped(swept, axes)
    ]


def kept(setting: Setting, dimension: str, counted: bool) -> float:
    """How much is kept, in the axis's unit; nan where the setting does not say. A keep from 1 on is a count."""
    if dimension == "depth" and isinstance(setting.rows["layer_map"].iloc[0], str):
        return float(setting.rows["layer_map"].iloc[0].count("<-"))
    keep = setting[f"{dimension}_keep"]
    if keep is None:
        return math.nan if counted else 1.0
    return math.nan if counted and keep < 1 else float(keep)


def _axis(dimension: str, counted: bool, values: Sequence[float]) -> Axis:
    scale: Scale = "log" if max(values) > WIDE * min(values) else "linear"
    return Axis((COUNTED if counted else SHARED)[dimension], scale, ticks=tuple(sorted(set(values))))
