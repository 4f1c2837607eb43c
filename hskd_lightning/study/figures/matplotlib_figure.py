"""Charts on paper: matplotlib, no state of its own, the same bytes every time."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hskd_lightning.study.figures.chart import Axis, Chart, Panel
from hskd_lightning.study.figures.matplotlib_lines import DRAW, Pen, handle
from hskd_lightning.study.figures.style import Style, styles
from hskd_lightning.study.figures.ticks import BREAK, span, squashed, ticks, unsquashed, written

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 5.0,
    "text.parse_math": False,  # a $ in a name is a $
    "pdf.fonttype": 42,
    "svg.hashsalt": "hskd",  # of the ids in the file, random without one
}
UNDATED: Mapping[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
WIDTH, HEIGHT, ROW, LETTER = 3.5, 2.6, 0.27, 0.066
"""Inches: a panel, a row of an upright one, a letter."""
LINE = 30
"""Letters that fit beside a panel; a longer label has its unit on a second line."""


def save(chart: Chart, folder: Path) -> list[Path]:
    """The figure as PNG, SVG and PDF."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # 50 lines of every font that a PDF takes letters from
    paths = [folder / f"{chart.name}.{form}" for form in UNDATED]
    with rc_context(RC):
        figure = render(chart)
        for path in paths:
            figure.savefig(path, dpi=200, metadata=UNDATED[path.suffix[1:]])
    return paths


def render(chart: Chart) -> Figure:
    """The panels in rows, one legend below all of them."""
    columns = min(chart.columns, len(chart.panels))
    rows = math.ceil(len(chart.panels) / columns)
    width, height = columns * max(map(_width, chart.panels)), rows * max(map(_height, chart.panels))
    named, style_of = chart.legend(), styles(chart)
    fitting = _fitting(list(named), width)
    figure = Figure((width, height + 0.19 * math.ceil(len(named) / fitting)), layout="constrained")
    for at, panel in enumerate(chart.panels, start=1):
        _draw(figure.add_subplot(rows, columns, at), panel, style_of)
    handles = [handle(line, style_of[line.style]) for line in named.values()]
    figure.legend(handles, list(named), loc="outside lower center", ncols=fitting)
    return figure


def _width(panel: Panel) -> float:
    """The names and flags of an upright panel stand beside it, and its label is no wider than its axes."""
    if not panel.upright:
        return WIDTH
    flags = max((len(point.flag) for point in panel.measured), default=0)
    return max(2.4, LETTER * len(panel.y.label)) + LETTER * (flags + max(map(len, panel.x.names)))


def _height(panel: Panel) -> float:
    return 0.85 + ROW * len(panel.x.names) if panel.upright else HEIGHT


def _fitting(names: list[str], width: float) -> int:
    """How many columns of the legend, set smaller, are no wider than the figure."""
    widest = 0.85 * LETTER * (max(map(len, names), default=0) + 7)
    return max(1, min(len(names), int(width / widest)))


def _draw(ax: Axes, panel: Panel, style_of: Mapping[str, Style]) -> None:
    ax.set_title(panel.title)
    names = list(dict.fromkeys(line.style for line in panel.lines if line.kind in ASIDE)) if _crowded(panel) else []
    step = min(1.0, 4 / max(1, len(names)))  # many lines move less, or they would leave the axes
    for line in panel.lines:
        at = step * (names.index(line.style) - (len(names) - 1) / 2) if line.style in names else 0.0
        DRAW[line.kind](Pen(ax, panel, style_of[line.style], at), line)
    _axes(ax, panel)


ASIDE = ("curve", "steps")


def _crowded(panel: Panel) -> bool:
    """Do several lines have points at the same x? Then their intervals would hide each other."""
    places = [{point.x for point in line.points} for line in panel.lines if line.kind in ASIDE]
    return len(set().union(*places)) < sum(map(len, places))


def _axes(ax: Axes, panel: Panel) -> None:
    """After drawing: labels, limits, and ticks where the values are."""
    if panel.upright:
        ax.set_xlabel(panel.y.label)
        ax.set_yticks(range(len(panel.x.names)), panel.x.names)
        ax.set_ylim(len(panel.x.names) - 0.4, -0.6)  # read from the top
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=5)  # -0.175 is wide
        _ticks(ax, "x", panel.y)
        return
    ax.set_xlabel(panel.x.label)
    ax.set_ylabel(panel.y.label if len(panel.y.label) <= LINE else panel.y.label.replace(" (", "\n("))
    ax.set_xlim(*span(panel.x, panel.xs))
    ax.set_ylim(*span(panel.y, panel.ys))
    _ticks(ax, "x", panel.x)
    _ticks(ax, "y", panel.y)
    if panel.x.scale == "zero_log":
        ax.annotate("//", (BREAK / 2, 0), xycoords=ax.get_xaxis_transform(), ha="center", va="center")


def _ticks(ax: Axes, name: str, axis: Axis) -> None:
    if axis.scale == "from_zero":
        getattr(ax, f"set_{name}lim")(0)
    low, high = sorted(getattr(ax, f"get_{name}lim")())
    values = list(axis.ticks) or ticks(axis, unsquashed(low, axis), unsquashed(high, axis))
    if values:
        getattr(ax, f"set_{name}ticks")([squashed(at, axis) for at in values], [written(at) for at in values])
