"""The main figure: what hidden-state knowledge brings, and what each further scalar of it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Point,
    Skipped,
    level,
    of_figure,
    point,
    score_axis,
    teacher_level,
)
from hskd_lightning.study.paths import Path, paths
from hskd_lightning.study.results import SHORTER, Setting, grouped
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.marginal_utility import Segment, marginal_utility
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving
from hskd_lightning.study.stats.saturation import fit_saturation

SCALARS = "Hidden-state scalars per example"
BYTES = "Bytes of knowledge per example"


def marginal(results: pd.DataFrame, margin: float = MARGIN) -> Chart:
    """Score and gain per scalar against the amount, and score against bytes, a row of panels for each task."""
    settings = of_figure(results, "marginal_utility")
    panels = [panel for members in grouped(settings, ["task"]) for panel in _panels(paths(members), members, margin)]
    if not panels:
        raise Skipped("it takes two amounts of hidden-state knowledge, or one and logits only")
    caption = CAPTION.format(margin=margin, alpha=ALPHA)
    return Chart("marginal_utility", "The marginal utility of hidden-state knowledge", caption, tuple(panels))


CAPTION = (
    "First: means over seeds with 95% t intervals; 0 scalars is logits only, in as many steps "
    "as both stages have; a level is logits only in as many as the prediction stage has. Bands: full HSK, give "
    "or take the margin of {margin:g}. Ring: the least amount that, with all larger ones, is shown to serve as well as "
    "full HSK (one-sided paired t tests at {alpha:g}, in fixed order). Triangle: the amount that keeps 90% of the gain, "
    "with its bootstrap interval, drawn to the last point where it has no end. Dashed: the saturating exponential, "
    "where it holds. Second: the gain from one amount to the next per 1000 scalars added, with 95% paired t intervals; * where "
    "it is not 0 after Holm's correction. Third: the same means against what the knowledge weighs."
)


def _panels(task_paths: Sequence[Path], members: Sequence[Setting], margin: float) -> Iterator[Panel]:
    task_paths = [path for path in task_paths if len(path.settings) > 1]
    if not task_paths:
        return
    task = str(members[0]["task"])
    positive = [amount for path in task_paths for amount in path.curve if amount > 0]
    x = Axis(SCALARS, "zero_log", least=min(positive))
    lines = [line for path in task_paths for line in _scores(path)]
    marks = [line for path in task_paths for line in _marks(path, margin)]
    levels = [line for path in task_paths for line in level(SHORTER, path.shorter, path.name)]
    yield Panel(f"{task}: score", x, score_axis(members), (*lines, *marks, *levels, *teacher_level(members)))
    steps = [_steps(path, marginal_utility(path.curve, LEVEL)) for path in task_paths]
    largest = max((abs(at.mean) for line in steps for at in line.points if at.n), default=0.0) or 1.0
    gain = Axis("Gain per 1000 scalars added (score)", "zero_log", least=10.0 ** (math.floor(math.log10(largest)) - 1))
    yield Panel(f"{task}: marginal utility", x, gain, tuple(steps))
    weighed = [_by_bytes(path) for path in task_paths]
    sizes = [at.x for line in weighed for at in line.points if at.x > 0]
    if sizes:
        x = Axis(BYTES, "zero_log", least=min(sizes))
        yield Panel(f"{task}: bytes", x, score_axis(members), (*weighed, *teacher_level(members)))


def _scores(path: Path) -> list[Line]:
    points = tuple(point(each, each.amount, "" if each.distils else "logits only") for each in path.settings)
    fit = fit_saturation(path.curve, LEVEL)
    if not fit.verdict.startswith("saturates"):
        return [Line(path.name, "curve", points)]
    least, most = path.settings[1].amount, path.settings[-1].amount
    amounts = [*np.linspace(0, least, 12).tolist(), *np.geomspace(least, most, 60).tolist()[1:]]
    drawn = tuple(Point(amount, fit.n, fit.at(amount)) for amount in amounts)
    return [Line(path.name, "points", points), Line("saturating fit", "fit", drawn, path.name)]


def _by_bytes(path: Path) -> Line:
    points = [point(each, each.bytes, "" if each.distils else "logits only") for each in path.settings]
    return Line(path.name, "curve", tuple(sorted(points, key=lambda at: at.x)))


def _marks(path: Path, margin: float) -> list[Line]:
    """Full HSK with its margin, and the two definitions of the minimum knowledge."""
    if path.full is None:
        return []
    top = point(path.full, math.nan)
    within = Point(math.nan, top.n, top.mean, top.mean - margin, top.mean + margin, cells=top.cells)
    lines = [Line(f"full HSK ± {margin:g}", "band", (within,), path.name)]
    serving = smallest_serving(path.curve, margin=margin, alpha=ALPHA)
    if serving.amount is not None:
        at = next(each for each in path.settings if each.amount == serving.amount)
        note = f"{serving.amount:,.0f} scalars, {at.mean('knowledge_fraction'):.2%} of full HSK: {serving.verdict}"
        ring = Point(at.amount, serving.n, point(at, 0).mean, note=note, flag=f"{serving.amount:,.0f}", cells=at.cells)
        lines.append(Line("least that serves as well", "ring", (ring,), path.name))
    keeping = smallest_keeping(path.curve, level=LEVEL)
    if keeping.amount is not None:
        height = top.mean - (1 - keeping.share) * keeping.gain
        reach = Point(keeping.amount, keeping.n, height, keeping.low, keeping.high, note=f"{keeping.amount:,.0f}")
        lines.append(Line("90% of the gain", "reach", (reach,), path.name))
    return lines


def _steps(path: Path, segments: Sequence[Segment]) -> Line:
    return Line(path.name, "steps", tuple(_step(each) for each in segments))


def _step(segment: Segment) -> Point:
    mean, low, high = (1000 * value for value in (segment.per_scalar, segment.low, segment.high))
    flag = "*" if segment.p_holm < ALPHA else ""
    return Point(segment.from_amount, segment.n, mean, low, high, segment.to_amount, flag=flag)
