"""How an amount is best shared out: score against bytes, along each path and along the best of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Point,
    Skipped,
    of_figure,
    point,
    score_axis,
    teacher_level,
    titled,
)
from hskd_lightning.study.figures.pareto import front
from hskd_lightning.study.paths import Path, paths
from hskd_lightning.study.results import CONTEXT, LOGITS, Setting, grouped

ENVELOPE = "lower envelope"


def paths_chart(results: pd.DataFrame) -> Chart:
    """One line for each `hsk.path`, and the fewest bytes that reach each score by any of them."""
    settings = of_figure(results, "paths")
    panels = tuple(filter(None, (_panel(members, settings) for members in grouped(settings, CONTEXT))))
    if not panels:
        raise Skipped("no finished path says how many bytes it spends")
    return Chart("paths", "How an amount is shared out", CAPTION, panels)


CAPTION = (
    "The same amounts, shared out over layers, tokens and units in several ways. Means over seeds with 95% t "
    "intervals; 0 bytes is logits only, and every path ends at full HSK. The staircase is the paths' lower envelope in "
    "bytes: the least that reached each score by any of them. The best of several means is somewhat too good, so it "
    "ranks nothing."
)


def _panel(members: Sequence[Setting], everyone: Sequence[Setting]) -> Panel | None:
    lines = [_line(path) for path in paths(members) if len(path.settings) > 1]
    points = [at for line in lines for at in line.points]
    sizes = [at.x for at in points if at.x > 0]
    if not sizes:
        return None
    corners = tuple(Point(at.x, at.n, at.mean, cells=at.cells) for at in front(points))
    x = Axis("Bytes of knowledge per example", "zero_log", least=min(sizes))
    drawn = (*lines, Line(ENVELOPE, "front", corners), *teacher_level(members))
    return Panel(titled(members, everyone), x, score_axis(members), drawn)


def _line(path: Path) -> Line:
    known = [each for each in path.settings if each.bytes >= 0]  # so written, nan is out
    points = (point(each, each.bytes, "" if each.distils else LOGITS) for each in known)
    return Line(path.name, "curve", tuple(sorted(points, key=lambda at: at.x)))
