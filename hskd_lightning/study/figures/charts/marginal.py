"""The main figure: what hidden-state knowledge brings, and what each further scalar of it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Kind,
    Line,
    Panel,
    Point,
    Skipped,
    collapsed_seeds,
    level,
    of_figure,
    point,
    readings,
    score_axis,
    teacher_level,
    titled,
)
from hskd_lightning.study.paths import Path, paths
from hskd_lightning.study.results import CONTEXT, SHORTER, Setting, grouped
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.marginal_utility import Segment, marginal_utility
from hskd_lightning.study.stats.minimum import Keeping, Least, Serving, smallest_keeping, smallest_serving
from hskd_lightning.study.stats.moderation import Rule, Variance, variance_of
from hskd_lightning.study.stats.saturation import fit_saturation

SCALARS = "Hidden-state scalars per example"
BYTES = "Bytes of knowledge per example"


def marginal(results: pd.DataFrame, margin: float = MARGIN, variance: Rule = "welch") -> Chart:
    """Score and gain per scalar against the amount, and score against bytes, a row of panels for each student."""
    settings = of_figure(results, "marginal_utility")
    judged = Judged(margin, variance_of(variance, [each.scores for each in settings]))
    panels = [
        panel
        for members in grouped(settings, CONTEXT)
        for panel in _panels(titled(members, settings), paths(members), members, judged)
    ]
    if not panels:
        raise Skipped("it takes two amounts of hidden-state knowledge, or one and logits only")
    spoken = readings(each.scores.contributions for each in settings)
    caption = CAPTION.format(margin=margin, alpha=ALPHA, spoken=spoken)
    return Chart("marginal_utility", "The marginal utility of hidden-state knowledge", caption, tuple(panels))


CAPTION = (
    "First: means over seeds with 95% t intervals; 0 scalars is logits only, in as many steps as both stages have; a "
    "level is logits only in as many as the prediction stage has. Bands: full HSK, give or take the margin "
    "of {margin:g}. Ring: the least amount that, with all larger ones, is shown to serve as well as full HSK "
    "(one-sided t tests at {alpha:g}, in fixed order) on new sentences, as far as predictions are known; frame: on "
    "these sentences alone. Triangle: the smallest measured amount shown to keep 90% of the gain, with the bracket in "
    "which that begins, drawn to the last point where it has no end. Dashed: the saturating exponential, where it "
    "fits. Second: the gain from one amount to the next per 1000 scalars added, with 95% t intervals; * where it is "
    "not 0 after Holm's correction. Brackets, gains and their stars speak of {spoken}. Third: the same means against "
    "what the knowledge weighs."
)


@dataclass(frozen=True)
class Judged:
    """By what rules a path is judged."""

    margin: float
    variance: Variance


def _panels(title: str, ways: Sequence[Path], members: Sequence[Setting], judged: Judged) -> Iterator[Panel]:
    ways = [path for path in ways if len(path.settings) > 1]
    if not ways:
        return
    positive = [amount for path in ways for amount in path.curve if amount > 0]
    x = Axis(SCALARS, "zero_log", least=min(positive))
    lines = [line for path in ways for line in _scores(path)]
    marks = [line for path in ways for line in _marks(path, judged)]
    levels = [line for path in ways for line in level(SHORTER, path.shorter, path.name)]
    beside = (*marks, *levels, *_collapsed(ways), *teacher_level(members))
    yield Panel(f"{title}: score", x, score_axis(members), (*lines, *beside))
    steps = [_steps(path, marginal_utility(path.curve, LEVEL, judged.variance)) for path in ways]
    largest = max((abs(at.mean) for line in steps for at in line.points if at.n), default=0.0) or 1.0
    gain = Axis("Gain per 1000 scalars added (score)", "zero_log", least=10.0 ** (math.floor(math.log10(largest)) - 1))
    yield Panel(f"{title}: marginal utility", x, gain, tuple(steps))
    weighed = [_by_bytes(path) for path in ways]
    sizes = [at.x for line in weighed for at in line.points if at.x > 0]
    if sizes:
        x = Axis(BYTES, "zero_log", least=min(sizes))
        yield Panel(f"{title}: bytes", x, score_axis(members), (*weighed, *teacher_level(members)))


def _scores(path: Path) -> list[Line]:
    points = tuple(point(each, each.amount, "" if each.distils else "logits only") for each in path.settings)
    fit = fit_saturation(path.curve, LEVEL)
    if not fit.verdict.startswith("saturates"):
        return [Line(path.name, "curve", points)]
    least, most = path.settings[1].amount, path.settings[-1].amount
    amounts = [*np.linspace(0, least, 12).tolist(), *np.geomspace(least, most, 60).tolist()[1:]]
    drawn = tuple(Point(amount, fit.n, fit.at(amount)) for amount in amounts)
    return [Line(path.name, "points", points), Line("saturating fit", "fit", drawn, path.name)]


def _collapsed(ways: Sequence[Path]) -> list[Line]:
    """Each setting once, though baselines are in several paths."""
    settings = {each.cells: each for path in ways for each in path.settings}
    return collapsed_seeds(list(settings.values()), lambda each: each.amount)


def _by_bytes(path: Path) -> Line:
    points = [point(each, each.bytes, "" if each.distils else "logits only") for each in path.settings]
    return Line(path.name, "curve", tuple(sorted(points, key=lambda at: at.x)))


def _marks(path: Path, judged: Judged) -> list[Line]:
    """Full HSK with its margin, and the two definitions of the minimum knowledge."""
    if path.full is None:
        return []
    top, margin = point(path.full, math.nan), judged.margin
    within = Point(math.nan, top.n, top.mean, top.mean - margin, top.mean + margin, cells=top.cells)
    serving = smallest_serving(path.curve, margin=margin, alpha=ALPHA, variance=judged.variance)
    return [
        Line(f"full HSK ± {margin:g}", "band", (within,), path.name),
        *_serving(path, serving),
        *_reach(path, smallest_keeping(path.curve, level=LEVEL, variance=judged.variance), top.mean),
    ]


def _serving(path: Path, serving: Serving) -> list[Line]:
    """A ring where the least serves on new sentences, a frame where it does so on these alone."""
    if serving.sentences is None:
        return _least(path, "frame", "these", serving.seeds)
    if serving.sentences.amount == serving.seeds.amount:
        return _least(path, "ring", "these and new", serving.sentences)
    return [*_least(path, "ring", "new", serving.sentences), *_least(path, "frame", "these", serving.seeds)]


def _least(path: Path, kind: Kind, sentences: str, least: Least) -> list[Line]:
    if least.amount is None:
        return []
    at = next(each for each in path.settings if each.amount == least.amount)
    note = f"{at.amount:,.0f} scalars, {at.mean('knowledge_fraction'):.2%} of full HSK: {least.verdict}"
    around = Point(at.amount, least.n, point(at, 0).mean, note=note, flag=f"{at.amount:,.0f}", cells=at.cells)
    return [Line(f"least that serves as well, {sentences} sentences", kind, (around,), path.name)]


def _reach(path: Path, keeping: Keeping, top: float) -> list[Line]:
    if keeping.verdict != "kept":
        return []
    low, high = keeping.shown.low, keeping.shown.high
    at = high if math.isfinite(high) else low
    note = f"from {low:,.0f} to {high:,.0f}".replace("inf", "no end")
    height = top - (1 - keeping.share) * keeping.gain
    return [Line("90% of the gain", "reach", (Point(at, keeping.n, height, low, high, note=note),), path.name)]


def _steps(path: Path, segments: Sequence[Segment]) -> Line:
    return Line(path.name, "steps", tuple(_step(each) for each in segments))


def _step(segment: Segment) -> Point:
    gain = segment.gain
    mean, low, high = (1000 * score / segment.scalars for score in (gain.mean, gain.shown.low, gain.shown.high))
    flag = "*" if gain.shown.p_holm < ALPHA else ""
    return Point(segment.from_amount, gain.n, mean, low, high, segment.to_amount, flag=flag)
