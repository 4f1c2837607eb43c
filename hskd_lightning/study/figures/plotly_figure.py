"""Charts on a page: the same plain numbers as plotly figures, one for each panel, in colours that the page defines.

Figures are dictionaries as plotly.js takes them. A colour is written var(--c0): the page puts in that of its theme.
Plotly shows some HTML in any text: what is no `Markup` is escaped, all at once when a figure is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hskd_lightning.study.figures.chart import Axis, Chart, Line, Panel, Point
from hskd_lightning.study.figures.style import SHOWN, Style, dash_of, styles
from hskd_lightning.study.figures.ticks import BREAK, span, squashed, ticks, unsquashed, written
from hskd_lightning.study.markup import BR, Markup, element, joined, markup

Trace = dict[str, Any]
AROUND = {"ring": "circle-open", "frame": "square-open"}
"""The marks of what is drawn round a point."""
NO_BAR = "none"
"""An end of an interval that is not there: no number, for plotly caps one of 0 (and takes null for 0)."""
CELLS = 8
"""Cell ids that a hover names before it only counts them."""


def figures(chart: Chart) -> list[dict[str, Any]]:
    """One figure for each panel, with its own legend: on a phone they stand below each other."""
    style_of = styles(chart)
    names = {line.name: label for label, line in chart.legend().items()}
    return [_escaped(_figure(panel, style_of, names)) for panel in chart.panels]


def _escaped(value: Any) -> Any:
    """Whatever is text as markup; plotly's own words have nothing to escape."""
    if isinstance(value, Mapping):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(each) for each in value]
    return markup(value) if isinstance(value, str) else value


def _figure(panel: Panel, style_of: Mapping[str, Style], names: Mapping[str, str]) -> dict[str, Any]:
    traces, explained = [], set()
    for line in sorted(panel.lines, key=lambda line: line.kind not in BEHIND):
        for trace in TRACES[line.kind](Brush(panel, style_of[line.style]), line):
            shown = trace.pop("explained", True) and line.name in names and line.name not in explained
            explained |= {line.name} if shown else set()
            traces.append({**BASE, **trace, **_named(line, names), "showlegend": shown})
    return {"data": traces, "layout": _layout(panel), "entries": len(explained), "rows": len(panel.x.names)}


def _named(line: Line, names: Mapping[str, str]) -> dict[str, Any]:
    """In the order of the printed legend, whatever is painted first."""
    name = names.get(line.name, line.style)
    return {"name": name, "legendgroup": name, "legendrank": list(names).index(line.name) if line.name in names else 0}


BASE: Mapping[str, Any] = {"type": "scatter", "hoverinfo": "text"}
BEHIND = ("level", "band", "fit", "front")


class Brush:
    """One line's style on one panel."""

    def __init__(self, panel: Panel, style: Style) -> None:
        self.panel, self.style = panel, style
        self.color = "var(--ink)" if style.color is None else f"var(--c{style.color})"
        self.shade = "var(--ink-soft)" if style.color is None else f"var(--c{style.color}-soft)"

    def places(self, points: Sequence[Point]) -> dict[str, list[float]]:
        x = [squashed(point.x, self.panel.x) for point in points]
        y = [squashed(point.mean, self.panel.y) for point in points]
        return {"x": y, "y": x} if self.panel.upright else {"x": x, "y": y}

    def line(self, points: Sequence[Point], **properties: Any) -> Trace:
        """A line through the points, without marks, silent under the pointer."""
        return {
            **self.places(points),
            "mode": "lines",
            "hoverinfo": "skip",
            "line": {"color": self.color, **properties},
        }

    def marks(self, line: Line, mode: str = "markers", size: float = 8, symbol: str = "") -> Trace:
        """Means with their intervals; hollow where one seed has none to show."""
        points = line.points
        symbol = symbol or SHOWN[self.style.marker]
        return {
            **self.places(points),
            "mode": mode,
            "line": {"color": self.color, "width": 2},
            "marker": {
                "symbol": [f"{symbol}-open" if point.n == 1 else symbol for point in points],
                "color": self.color,
                "size": size,
            },
            "error_x" if self.panel.upright else "error_y": self._interval(points),
            "hovertext": [hover(self.panel, line, point) for point in points],
        }

    def _interval(self, points: Sequence[Point]) -> dict[str, Any]:
        ends = [[squashed(value, self.panel.y) for value in (at.mean, at.low, at.high)] for at in points]
        up = [NO_BAR if math.isnan(high) else high - mean for mean, _, high in ends]
        down = [NO_BAR if math.isnan(low) else mean - low for mean, low, _ in ends]
        properties = {"thickness": 1.2, "width": 3, "color": self.color}
        return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **properties}

    def along(self, line: Line, dash: str) -> list[Trace]:
        """The mean from end to end, and its interval as a band."""
        (point,) = line.points
        panel = self.panel
        ends = (-0.6, len(panel.x.names) - 0.4) if panel.upright else span(panel.x, panel.xs)
        across = [unsquashed(end, panel.x) if not panel.upright else end for end in ends]
        rule = self.line([replace(point, x=x) for x in across], dash=dash, width=1.5)
        rule |= {"hoverinfo": "text", "hovertext": hover(panel, line, point)}
        if math.isnan(point.low):
            return [rule]
        corners = [(across[0], point.low), (across[1], point.low), (across[1], point.high), (across[0], point.high)]
        band = self.line([replace(point, x=x, mean=y) for x, y in corners], width=0)
        return [{**band, "fill": "toself", "fillcolor": self.shade, "explained": False}, rule]


def hover(panel: Panel, line: Line, point: Point) -> Markup:
    """What the pointer is told: whose score, at what amount, how sure, of which cells."""
    said = [element("b", line.name or line.style), point.note]
    if not panel.upright and not math.isnan(point.x):
        to = "" if math.isnan(point.x_to) else f" to {point.x_to:,.4g}"
        said.append(f"{panel.x.label}: {point.x:,.4g}{to}")
    interval = "" if math.isnan(point.low) else f" [{point.low:.4g}, {point.high:.4g}]"
    said += [f"{point.mean:.4g}{interval}{f', n={point.n}' if point.n else ''} {point.flag}"]
    more = f" and {len(point.cells) - CELLS} more" if len(point.cells) > CELLS else ""
    said.append(f"cells {' '.join(point.cells[:CELLS])}{more}" if point.cells else "")
    return joined(filter(None, said), BR)


# Kinds.


def _faint(brush: Brush, line: Line) -> list[Trace]:
    return [{**brush.marks(line, size=6), "opacity": 0.3}]


def _front(brush: Brush, line: Line) -> list[Trace]:
    return [brush.line(line.points, shape="hv", width=1.5, color="var(--quiet)")]


def _steps(brush: Brush, line: Line) -> list[Trace]:
    """The steps, broken between, and in the middle of each its interval."""
    panel, traces = brush.panel, []
    for point in line.points:
        ends = [replace(point, x=end) for end in (point.x, point.x_to)]
        traces.append({**brush.line(ends, width=3), "explained": False})
    middles = [sum(squashed(end, panel.x) for end in (point.x, point.x_to)) / 2 for point in line.points]
    marks = {**brush.marks(line, mode="markers+text"), "x": middles}
    return [*traces, {**marks, "text": [point.flag for point in line.points], "textposition": "top center"}]


def _around(brush: Brush, line: Line) -> list[Trace]:
    """A ring or a frame round the point, and a plumb line to its amount, written above the axis."""
    (point,) = line.points
    marker = {"symbol": AROUND[line.kind], "size": 17, "color": "var(--ink)", "line": {"width": 1.5}}
    marks = {**brush.marks(line), "marker": marker, "error_y": {"visible": False}}
    low, high = span(brush.panel.y, brush.panel.ys)
    foot = replace(point, mean=unsquashed(low + 0.04 * (high - low), brush.panel.y))
    side = "middle left" if brush.style.marker % 2 else "middle right"  # two students may need the same amount
    text = {"mode": "lines+text", "text": ["", point.flag], "textposition": side, "textfont": {"color": brush.color}}
    return [marks, {**brush.line([point, foot], dash="dot", width=1), **text, "explained": False}]


def _reach(brush: Brush, line: Line) -> list[Trace]:
    (point,) = line.points
    panel = brush.panel
    most = max(at.x for at in panel.measured)
    low, x, high = (squashed(end if math.isfinite(end) else most, panel.x) for end in (point.low, point.x, point.high))
    marks = brush.marks(
        Line(line.name, "reach", (replace(point, low=math.nan, high=math.nan),)), symbol="triangle-down"
    )
    if math.isnan(point.low):
        return [marks]
    interval = {"type": "data", "symmetric": False, "array": [high - x], "arrayminus": [x - low], "width": 4}
    said = joined([line.name, f"{point.note} scalars, n={point.n}"], BR)
    return [{**marks, "error_x": {**interval, "color": brush.color, "thickness": 1.2}, "hovertext": said}]


TRACES: Mapping[str, Callable[[Brush, Line], list[Trace]]] = {
    "curve": lambda brush, line: [brush.marks(line, mode="lines+markers")],
    "points": lambda brush, line: [brush.marks(line)],
    "faint": _faint,
    "star": lambda brush, line: [brush.marks(line, size=15, symbol="star")],
    "level": lambda brush, line: brush.along(line, dash_of(line, brush.style)),
    "band": lambda brush, line: brush.along(line, "dot"),
    "fit": lambda brush, line: [brush.line(line.points, dash="dash", width=1.5)],
    "front": _front,
    "steps": _steps,
    "ring": _around,
    "frame": _around,
    "reach": _reach,
}


# Axes.


def _layout(panel: Panel) -> dict[str, Any]:
    x, y = (panel.y, panel.x) if panel.upright else (panel.x, panel.y)
    values = panel.ys if panel.upright else panel.xs
    return {
        "title": {"text": element("b", panel.title), "font": {"size": 14}, "x": 0, "xanchor": "left", "y": 0.99},
        "xaxis": {**_axis(x, values), "zeroline": False},
        "yaxis": {**(_names(panel) if panel.upright else _axis(y, panel.ys)), "zeroline": False},
        "margin": {"l": 8, "r": 12, "t": 30 if panel.title else 8, "b": 8},
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        "font": {"color": "var(--ink)", "size": 12.5, "family": "system-ui, sans-serif"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--quiet)", "activecolor": "var(--ink)"},
        "annotations": [BROKEN] if x.scale == "zero_log" else [],
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "var(--card)", "font": {"color": "var(--ink)"}},
    }


BROKEN: Mapping[str, Any] = {
    "text": "//",
    "x": BREAK / 2,
    "y": 0,
    "yref": "paper",
    "yanchor": "middle",
    "showarrow": False,
}


def _axis(axis: Axis, values: Sequence[float]) -> dict[str, Any]:
    low, high = span(axis, values)
    marks = list(axis.ticks) or ticks(axis, unsquashed(low, axis), unsquashed(high, axis))
    marked = {"tickvals": [squashed(at, axis) for at in marks], "ticktext": [written(at) for at in marks]}
    title = {"text": joined(axis.label.split(" ("), Markup("<br>(")), "standoff": 8}  # two lines, for a phone
    lines = {"gridcolor": "var(--grid)", "linecolor": "var(--quiet)", "automargin": True}
    return {"title": title, "range": [low, high], **lines, **(marked if marks else {})}


def _names(panel: Panel) -> dict[str, Any]:
    """The rows by name, and below each name what is to be printed beside its points: a phone has no room elsewhere."""
    flags = {int(point.x): point.flag for point in reversed(panel.measured) if point.flag}
    texts = [joined(name.split(", "), Markup(",<br>")) for name in panel.x.names]
    flagged = [joined([text, element("i", flags[at])], BR) if at in flags else text for at, text in enumerate(texts)]
    rows = len(texts)
    marked = {"tickvals": list(range(rows)), "ticktext": flagged, "range": [rows - 0.4, -0.6]}
    return {**marked, "showgrid": False, "automargin": True, "tickfont": {"size": 12}}
