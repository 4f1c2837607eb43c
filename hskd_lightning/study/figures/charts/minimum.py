"""How little is enough: everything that a search tried, and what it confirmed on fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Point,
    Skipped,
    level,
    point,
    score_axis,
    titled,
)
from hskd_lightning.study.results import (
    CONTEXT,
    Setting,
    finished,
    full_hsk,
    grouped,
    label,
    logits_only,
    settings_of,
    varying,
)
from hskd_lightning.study.stats.defaults import MARGIN

TRIED, FRESH = "search", "minimum"
"""The figures of results.csv with the cells of the search, and those of the confirmation: never counted together."""
VERDICT = "confirmed"
"""The column that says what became of a confirmed setting."""
SERVES = "confirmed: serves"
"""Its line is there without points, too, so that each verdict has one colour in all figures."""


def minimum(results: pd.DataFrame) -> Chart:
    """Score against bytes: the search's cells, the confirmed settings with their intervals, and the answer."""
    rows = finished(results)
    margin = float(rows["margin"].max()) if "margin" in rows else MARGIN
    tried, fresh = (settings_of(rows[rows["figure"] == figure]) for figure in (TRIED, FRESH))
    everyone = [*tried, *fresh]
    panels = tuple(
        _panel(
            [each for each in members if each in tried], [each for each in members if each in fresh], everyone, margin
        )
        for members in grouped(everyone, CONTEXT)
        if any(_between(each) for each in members)
    )
    if not panels:
        raise Skipped("no finished cell is of a search; study minimum runs one")
    return Chart("minimum", "The least that serves as well", caption(margin), panels)


def caption(margin: float) -> str:
    """What the figure shows."""
    return (
        "Every setting that the search tried, the mean of its own seeds (hollow: one), and those that were confirmed "
        f"on fresh seeds, with 95% t intervals over these. The band reaches from full HSK down to {margin:g} below it; "
        "the ring is the smallest that was shown to serve as well, one-sided, in the order of the ladder."
    )


def _between(setting: Setting) -> bool:
    """Whether it has some of the hidden states, and it is known how many bytes that are."""
    return setting.distils and not setting.is_full and setting.bytes > 0


def _panel(tried: Sequence[Setting], fresh: Sequence[Setting], everyone: Sequence[Setting], margin: float) -> Panel:
    axes = varying([*tried, *fresh])
    full = full_hsk(fresh) or full_hsk(tried)
    between, confirmed = (list(filter(_between, settings)) for settings in (tried, fresh))
    shown = [each for each in confirmed if verdict(each) == "shown"]
    lines = [
        Line("tried, a seed or a few", "faint", _alone(_points(between, axes))),
        Line("confirmed: not shown", "points", _points([each for each in confirmed if each not in shown], axes)),
        Line(SERVES, "points", _points(shown, axes)),
        *(replace(line, points=_alone(line.points)) for line in level("logits only", logits_only([*tried, *fresh]))),
        *level("full HSK", full),
        *_margin(full, margin),
        *_ring(shown),
    ]
    axis = Axis("Bytes of knowledge an example", "log")
    return Panel(titled([*tried, *fresh], everyone), axis, score_axis([*tried, *fresh]), tuple(lines))


def verdict(setting: Setting) -> str | None:
    """What became of a confirmed setting."""
    said = list(setting.rows[VERDICT].dropna()) if VERDICT in setting.rows else []
    return str(said[0]) if said else None


def _points(settings: Sequence[Setting], axes: Sequence[str]) -> tuple[Point, ...]:
    return tuple(point(each, each.bytes, label(each, axes)) for each in settings)


def _alone(points: Sequence[Point]) -> tuple[Point, ...]:
    """Without intervals: a search has two or three seeds of a setting, whose intervals hide all else."""
    return tuple(replace(each, low=math.nan, high=math.nan) for each in points)


def _margin(full: Setting | None, margin: float) -> list[Line]:
    if full is None:
        return []
    mean = full.mean("score")
    return [Line("within the margin", "band", (Point(math.nan, 0, mean, mean - margin, mean),))]


def _ring(shown: Sequence[Setting]) -> list[Line]:
    if not shown:
        return []
    least = min(shown, key=lambda each: each.bytes)
    where = Point(least.bytes, len(least.scores), least.mean("score"), flag=f"{least.bytes:,.0f} bytes")
    return [Line("the least that is shown to serve", "ring", (where,), SERVES)]
