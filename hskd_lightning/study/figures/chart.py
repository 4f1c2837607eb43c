"""A figure as plain numbers, before anyone draws it: what matplotlib, plotly and the csv beside a figure all read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from hskd_lightning.study.results import CONTEXT, Setting, finished, label, settings_of, telling
from hskd_lightning.study.stats.collapse import collapsed
from hskd_lightning.study.stats.defaults import LEVEL
from hskd_lightning.study.stats.intervals import DECIMALS, Summary, significant, summarize

Kind = Literal["curve", "points", "faint", "star", "level", "band", "fit", "front", "steps", "ring", "frame", "reach"]
Scale = Literal["linear", "from_zero", "log", "zero_log"]


class Skipped(Exception):
    """There is nothing to draw yet; says what is missing."""


DIGITS = 9
"""Significant digits of what is drawn: finer than any print, and the same on every processor."""


@dataclass(frozen=True)
class Point:
    """A mean over `n` seeds and its interval; nan where there is none. `x_to`: where a step or a range ends.

    `note` is what the point is called beside its line's name, `flag` what is printed next to it. Numbers are rounded
    here, once for all who draw them: the last bits of a sum are another's on another processor, and a figure is not.
    """

    x: float
    n: int
    mean: float
    low: float = math.nan
    high: float = math.nan
    x_to: float = math.nan
    note: str = ""
    flag: str = ""
    cells: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("x", "mean", "low", "high", "x_to"):
            if math.isfinite(value := getattr(self, name)):
                object.__setattr__(self, name, significant(round(value, DECIMALS), DIGITS))


@dataclass(frozen=True)
class Line:
    """Points under one name. Lines of one `group` share colour and marker.

    `kind` is one of
      curve    points joined                       points   points alone
      faint    points shown to be worse than cheaper ones
      star     full HSK as a point                 level    a horizontal line with its interval as a band
      band     from low to high, all along         fit      a smooth curve without points
      front    a staircase                         steps    from x to x_to, the interval around them
      ring     around a point                      frame    the same, square
      reach    a mark with a horizontal range, from low to high
    """

    name: str
    kind: Kind
    points: tuple[Point, ...]
    group: str = ""

    @property
    def style(self) -> str:
        """The name that decides colour and marker."""
        return self.group or self.name


@dataclass(frozen=True)
class Axis:
    """`label` has the unit. `names`: of the places 0, 1, ... of an axis without numbers.

    from_zero: linear, 0 is on it. zero_log: logarithmic, and 0 is shown left of a break.
    """

    label: str
    scale: Scale = "linear"
    names: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()
    """Where ticks are wanted; none: wherever is convenient."""
    least: float = 1.0
    """The smallest positive value of a zero_log axis: the break is left of it."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes. Where x has names it is drawn upright, so that they are read without turning the head."""

    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]

    @property
    def upright(self) -> bool:
        return bool(self.x.names)

    @property
    def measured(self) -> list[Point]:
        """The points of settings, without what is drawn beside them."""
        return [at for line in self.lines if line.kind in ("curve", "points", "faint") for at in line.points]

    @property
    def xs(self) -> list[float]:
        """Every place along x; what reaches beyond the measured amounts does not widen the panel."""
        return [end for line in self.lines if line.kind != "reach" for at in line.points for end in (at.x, at.x_to)]

    @property
    def ys(self) -> list[float]:
        """Every mean, and each end of an interval that does not squeeze what stands beside it.

        As a level's might, and that of two seeds, which reaches 12.7 standard errors to either side.
        """
        shown = [(line.kind, at) for line in self.lines if line.kind != "reach" for at in line.points]
        narrow = [at for kind, at in shown if kind != "level" and at.n != 2]
        return [*(at.mean for _, at in shown), *(end for at in narrow for end in (at.low, at.high))]


@dataclass(frozen=True)
class Chart:
    """A figure. `columns`: panels in a row; panels of one column share x where `shared` is set."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    columns: int = 3

    @property
    def lines(self) -> Iterator[Line]:
        return (line for panel in self.panels for line in panel.lines)

    def rows(self) -> list[dict[str, Any]]:
        """Exactly the plotted numbers, one row for each point."""
        return [_row(panel, line, point) for panel in self.panels for line in panel.lines for point in line.points]

    def legend(self) -> dict[str, Line]:
        """What is explained, once: the name with its number of seeds, and a line that is drawn that way."""
        named: dict[str, list[Line]] = {}
        for line in sorted(self.lines, key=lambda line: line.kind not in ("curve", "points", "steps")):
            if line.name and line.points:
                named.setdefault(line.name, []).append(line)
        return {f"{name}{seeds(lines)}": lines[0] for name, lines in named.items()}


def _row(panel: Panel, line: Line, point: Point) -> dict[str, Any]:
    return {
        "panel": panel.title,
        "line": line.name or line.style,
        "kind": line.kind,
        "x": panel.x.names[int(point.x)] if panel.upright and not math.isnan(point.x) else point.x,
        "x_to": point.x_to,
        "n": point.n,
        "mean": point.mean,
        "low": point.low,
        "high": point.high,
        "note": point.note,
        "cells": " ".join(point.cells),
    }


def seeds(lines: Iterable[Line]) -> str:
    """`(n=5)`, or from how few to how many seeds the points are means over."""
    counts = sorted(
        {point.n for line in lines for point in line.points if point.n and line.kind not in ("fit", "front")}
    )
    if not counts:
        return ""
    several = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    return f" (n={several})"


# Points and lines of settings.


def point(setting: Setting, x: float, note: str = "") -> Point:
    """The mean score of a setting with its 95% t interval."""
    return place(summarize(setting.scores, LEVEL), x, note, setting.cells)


def place(summary: Summary, x: float, note: str = "", cells: tuple[str, ...] = (), flag: str = "") -> Point:
    """A point for a mean that is known already, at its place along x."""
    return Point(x, summary.n, summary.mean, summary.low, summary.high, note=note, flag=flag, cells=cells)


def collapsed_seeds(settings: Sequence[Setting], x: Callable[[Setting], float]) -> list[Line]:
    """The seeds that failed to learn, each at its own score: their means have them in, and nobody should wonder why."""
    points = tuple(
        Point(x(setting), 1, setting.scores[seed], note=f"seed {seed} of {len(setting.scores)} collapsed")
        for setting in settings
        for seed in collapsed(setting.scores)
    )
    return [Line("collapsed seed, counted in its mean", "points", points)] if points else []


def readings(known: Iterable[object]) -> str:
    """Of what the intervals of differences speak: `known` has None where a setting's predictions are not known."""
    return "new seeds and new sentences" if all(each is not None for each in known) else SEEDS_ALONE


SEEDS_ALONE = "new seeds on these sentences (for new sentences, the predictions of all cells must be known)"


def level(name: str, setting: Setting | None, group: str = "") -> list[Line]:
    """A baseline as a horizontal line; nothing where it was not run."""
    return [] if setting is None else [Line(name, "level", (point(setting, math.nan),), group)]


def teacher_level(settings: Sequence[Setting]) -> list[Line]:
    """The teacher's own score: one number for all, as a teacher is trained once."""
    scores = [score for setting in settings for score in setting.by_seed("teacher_score").values()]
    mean = sum(scores) / len(scores) if scores else math.nan
    return [Line("teacher", "level", (Point(math.nan, 0, mean),))] if scores else []


def metric(settings: Sequence[Setting]) -> str:
    """What is scored, with its range."""
    names = sorted({str(name) for setting in settings for name in setting.rows["metric"].dropna()})
    return UNITS.get(names[0], names[0]) if len(names) == 1 else "the task's metric"


def score_axis(settings: Sequence[Setting]) -> Axis:
    """The axis of all scores: on dev, never on the examples that chose a checkpoint."""
    return Axis(f"Dev score ({metric(settings)})")


UNITS = {
    "accuracy": "accuracy, 0 to 1",
    "accuracy_f1": "accuracy, 0 to 1",
    "mcc": "Matthews correlation, \N{MINUS SIGN}1 to 1",
    "pearson_spearman": "mean correlation, \N{MINUS SIGN}1 to 1",
}


def of_figure(results: pd.DataFrame, figure: str) -> list[Setting]:
    """The settings of a figure's rows.

    Raises:
        Skipped: there are none.
    """
    rows = finished(results)
    settings = settings_of(rows[rows["figure"] == figure])
    if not settings:
        raise Skipped(f"no finished cell is of the figure {figure}")
    return settings


def titled(members: Sequence[Setting], everyone: Sequence[Setting]) -> str:
    """A panel's title: the student and the task, and whatever else tells it from the other panels."""
    first = members[0]
    more = label(first, [axis for axis in telling(everyone, CONTEXT) if axis not in ("task", "student")])
    return f"{first['student']} on {first['task']}" + (f" ({more})" if more else "")
