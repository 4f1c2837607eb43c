"""How each kind of line is drawn by matplotlib, on the axes and in the legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation, Transform

from hskd_lightning.study.figures.chart import Kind, Line, Panel, Point
from hskd_lightning.study.figures.style import COLORS, PRINTED, Style, dash_of
from hskd_lightning.study.figures.ticks import squashed, unsquashed

INK, GREY = "#222222", "#8a8a8a"
DASHES: Mapping[str, Any] = {"solid": "-", "dash": (0, (5, 2)), "dot": (0, (1, 1.6)), "dashdot": (0, (5, 2, 1, 2))}
AROUND: Mapping[Kind, str] = {"ring": "o", "frame": "s"}
"""The marks of what is drawn round a point,"""
OPEN: Mapping[str, Any] = {"linestyle": "", "markersize": 9, "fillstyle": "none"}
"""and how they stand in the legend."""
MANY = 50
"""Points in a panel; from here on they are small."""


class Pen:
    """One line's style on one pair of axes; `aside` moves it by points of type, so that intervals do not overlap.

    Axes are linear for matplotlib: where a value lies on them is for `scale` to say, as on the page.
    """

    def __init__(self, ax: Axes, panel: Panel, style: Style, aside: float) -> None:
        self.ax, self.panel, self.style, self.aside = ax, panel, style, 4.5 * aside
        self.color = INK if style.color is None else COLORS[style.color]
        self.marker = PRINTED[style.marker]
        self.transform: Transform = ax.transData
        if aside:
            assert ax.figure is not None
            self.transform += ScaledTranslation(self.aside / 72, 0, ax.figure.dpi_scale_trans)

    def x(self, value: float) -> float:
        return squashed(value, self.panel.x)

    def y(self, value: float) -> float:
        return squashed(value, self.panel.y)

    def join(self, points: Iterable[Point], **properties: Any) -> None:
        """A line through the points, without marks."""
        places = [(self.x(point.x), self.y(point.mean)) for point in points]
        self.ax.plot(*zip(*places, strict=True), **{"color": self.color, "transform": self.transform, **properties})

    def mark(self, points: Sequence[Point], marker: str = "", size: float = 5.0, alpha: float = 1.0) -> None:
        """Means with their intervals; hollow where one seed has none to show."""
        for hollow in (False, True):
            shown = [point for point in points if (point.n == 1) == hollow]
            x, y, low, high = (
                np.array([scale(getattr(point, name)) for point in shown])
                for scale, name in ((self.x, "x"), (self.y, "mean"), (self.y, "low"), (self.y, "high"))
            )
            error: Any = None if hollow else [y - low, high - y]
            self.ax.errorbar(
                *((y, x) if self.panel.upright else (x, y)),
                xerr=error if self.panel.upright else None,
                yerr=None if self.panel.upright else error,
                fmt=marker or self.marker,
                color=self.color,
                markersize=size,
                markerfacecolor="white" if hollow else self.color,
                elinewidth=1.0,
                capsize=2,
                alpha=alpha,
                transform=self.transform,
                zorder=3,
            )

    def along(self, point: Point, shade: str, dash: str) -> None:
        """The mean all along the axes, and its interval as a band."""
        ax, upright = self.ax, self.panel.upright
        if not math.isnan(point.low):
            span = ax.axvspan if upright else ax.axhspan
            span(self.y(point.low), self.y(point.high), color=shade, alpha=0.14, linewidth=0)
        rule = ax.axvline if upright else ax.axhline
        rule(self.y(point.mean), color=self.color, linestyle=DASHES[dash], linewidth=1.0)


# Kinds.


def _curve(pen: Pen, line: Line) -> None:
    pen.join(line.points, zorder=2)
    _points(pen, line)


def _points(pen: Pen, line: Line) -> None:
    pen.mark(line.points, size=5.0 if len(pen.panel.measured) < MANY else 3.5)
    for point in line.points:
        if pen.panel.upright and point.flag:  # a column of its own, right of the axes
            place = ("axes fraction", "data")
            pen.ax.annotate(point.flag, (1.02, point.x), xycoords=place, va="center", fontsize=7, annotation_clip=False)


def _faint(pen: Pen, line: Line) -> None:
    pen.mark(line.points, alpha=0.25, size=3.5)


def _star(pen: Pen, line: Line) -> None:
    pen.mark(line.points, marker="*", size=11)


def _level(pen: Pen, line: Line) -> None:
    pen.along(line.points[0], GREY, dash_of(line, pen.style))


def _band(pen: Pen, line: Line) -> None:
    pen.along(line.points[0], pen.color, "dot")


def _fit(pen: Pen, line: Line) -> None:
    pen.join(line.points, linestyle=DASHES["dash"], linewidth=1.1, zorder=1)


def _front(pen: Pen, line: Line) -> None:
    pen.join(line.points, drawstyle="steps-post", color=GREY, linewidth=1.0, zorder=1)


def _steps(pen: Pen, line: Line) -> None:
    for point in line.points:
        ends = [replace(point, x=end) for end in (point.x, point.x_to)]
        pen.join(ends, linewidth=1.8, solid_capstyle="butt", transform=pen.ax.transData)
        middle = (pen.x(point.x) + pen.x(point.x_to)) / 2
        pen.mark([replace(point, x=unsquashed(middle, pen.panel.x))], size=4)
        top = (middle, pen.y(point.mean if math.isnan(point.high) else point.high))
        properties: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": pen.color}
        pen.ax.annotate(point.flag, top, (pen.aside, 0), **properties)


def _around(pen: Pen, line: Line) -> None:
    """A ring or a frame round the point, and a plumb line to its amount, written beside the axis."""
    (point,) = line.points
    x, y = pen.x(point.x), pen.y(point.mean)
    pen.ax.plot(x, y, AROUND[line.kind], markersize=11, color=INK, fillstyle="none", markeredgewidth=1.1)
    foot = pen.ax.get_xaxis_transform()
    plumb = {"arrowstyle": "-", "linestyle": DASHES["dot"], "linewidth": 0.9, "color": pen.color, "shrinkA": 6}
    pen.ax.annotate("", (x, 0), (x, y), xycoords=foot, textcoords="data", arrowprops={**plumb, "shrinkB": 0})
    side = "right" if pen.style.marker % 2 else "left"  # two students may need the same amount
    properties: dict[str, Any] = {"textcoords": "offset points", "ha": side, "color": pen.color, "rotation": 90}
    pen.ax.annotate(point.flag, (x, 0.03), (-2 if side == "right" else 2, 0), xycoords=foot, **properties)


def _reach(pen: Pen, line: Line) -> None:
    (point,) = line.points
    if not math.isnan(point.low):
        ends = [place if math.isfinite(place) else _most(pen.panel) for place in (point.low, point.high)]
        pen.join([replace(point, x=end) for end in ends], linewidth=1.0, marker="|", markersize=4)
    pen.mark([Point(point.x, 2, point.mean)], marker="v", size=5.5)


def _most(panel: Panel) -> float:
    """Where a range without an end leaves the panel: the bootstrap found no bound within what was measured."""
    return max(point.x for point in panel.measured)


DRAW: Mapping[str, Callable[[Pen, Line], None]] = {
    "curve": _curve,
    "points": _points,
    "faint": _faint,
    "star": _star,
    "level": _level,
    "band": _band,
    "fit": _fit,
    "front": _front,
    "steps": _steps,
    "ring": _around,
    "frame": _around,
    "reach": _reach,
}


def handle(line: Line, style: Style) -> Artist:
    """What a kind looks like in the legend; what marks several lines, each in its colour, is shown in ink."""
    color = INK if style.color is None or line.group else COLORS[style.color]
    if line.kind == "band":
        return Patch(color=color, alpha=0.15)
    hollow = all(point.n == 1 for point in line.points)
    marked: dict[str, Any] = {"marker": PRINTED[style.marker], "markerfacecolor": "white" if hollow else color}
    properties: dict[str, dict[str, Any]] = {
        "curve": marked,
        "steps": marked,
        "points": {"linestyle": "", **marked},
        "faint": {"linestyle": "", "alpha": 0.4, **marked},
        "star": {"linestyle": "", "marker": "*", "markersize": 10},
        "level": {"linestyle": DASHES[dash_of(line, style)], "linewidth": 1.0},
        "fit": {"linestyle": DASHES["dash"]},
        "front": {"color": GREY, "linewidth": 1.0, "drawstyle": "steps-post"},
        **{kind: {**OPEN, "marker": marker} for kind, marker in AROUND.items()},
        "reach": {"marker": "v"},
    }
    return Line2D([], [], **{"color": color, **properties[line.kind]})
