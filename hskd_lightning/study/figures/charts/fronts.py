"""Budgets against scores: which are worth their cost."""

from __future__ import annotations

from collections.abc import Sequence

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
    score_axis,
    titled,
)
from hskd_lightning.study.figures.pareto import dominated, front
from hskd_lightning.study.results import (
    CONTEXT,
    Setting,
    finished,
    full_hsk,
    grouped,
    label,
    logits_only,
    settings_of,
    telling,
    varying,
)

HOW = (
    "The staircase joins the best means so far. A faint point is shown to be worse than one as cheap or cheaper: their "
    "95% t intervals do not overlap. Among the others nothing is ranked."
)


def joint(results: pd.DataFrame) -> Chart:
    """Budgets of layers x tokens x units against the scalars that they cost."""
    settings = of_figure(results, "joint")
    panels = tuple(filter(None, (_budgets(members, settings) for members in grouped(settings, CONTEXT))))
    if not panels:
        raise Skipped("no budget between logits only and full HSK is finished")
    return Chart("joint", "Budgets in three dimensions", HOW, panels)


def _budgets(members: Sequence[Setting], everyone: Sequence[Setting]) -> Panel | None:
    full, baseline = full_hsk(members), logits_only(members)
    budgets = [each for each in members if each.distils and each.true and each is not full]
    if not budgets:
        return None
    by = "depth_keep" if "depth_keep" in varying(budgets) else "depth"
    beside = [full] if full else []
    costs = {id(each): each.amount for each in [*budgets, *beside]}
    lines = _scatter(budgets, costs, [by], beside)
    lines += collapsed_seeds([*budgets, *beside], lambda each: each.amount)
    star = [Line("full HSK", "star", (point(full, full.amount),))] if full else []
    axis = Axis("Hidden-state scalars per example", "log")
    return Panel(titled(members, everyone), axis, score_axis(members), (*lines, *star, *level("logits only", baseline)))


def pareto(results: pd.DataFrame) -> Chart:
    """Everything that was run, against what it costs to keep and to train."""
    rows = finished(results)
    settings = [each for each in settings_of(rows) if each.true]
    panels = [
        panel
        for members in grouped(settings, CONTEXT)
        for panel in (_cost(members, settings, *unit) for unit in COSTS)
        if panel
    ]
    if not panels:
        raise Skipped("no finished cell says what it cost")
    return Chart("pareto", "What a score costs", f"{HOW} {OF_COSTS}", tuple(panels), columns=2)


OF_COSTS = (
    "Controls and the released code's switches are left out. Seconds are those of the machine that trained, both "
    "stages together, the teacher's one pass for a store not counted."
)
COSTS = (("knowledge", "Bytes of knowledge per example"), ("seconds", "Seconds of training, both stages"))


def _cost(members: Sequence[Setting], everyone: Sequence[Setting], kind: str, axis: str) -> Panel | None:
    costs = {id(each): each.bytes if kind == "knowledge" else seconds_of(each) for each in members}
    known = [each for each in members if costs[id(each)] >= 0]  # so written, nan is out
    if not known:
        return None
    positive = [cost for cost in costs.values() if cost > 0]
    x = Axis(axis, "zero_log" if len(positive) < len(known) else "log", least=min(positive, default=1.0))
    lines = [*_scatter(known, costs, ["knowledge"]), *collapsed_seeds(known, lambda each: costs[id(each)])]
    return Panel(titled(members, everyone), x, score_axis(known), tuple(lines))


def seconds_of(setting: Setting) -> float:
    """Seconds of both stages; a baseline may have no hidden stage."""
    stages = [setting.by_seed(f"seconds_{stage}") for stage in ("hidden", "prediction")]
    seeds = set(stages[1]) & (set(stages[0]) or set(stages[1]))
    return sum(stages[0].get(seed, 0.0) + stages[1][seed] for seed in seeds) / len(seeds) if seeds else float("nan")


def _scatter(
    settings: Sequence[Setting], costs: dict[int, float], by: Sequence[str], beside: Sequence[Setting] = ()
) -> list[Line]:
    """Points by group, those behind the front faint, and the front, to which `beside` belongs as well."""
    axes = telling(settings, varying(settings))
    points = {id(each): point(each, costs[id(each)], label(each, axes)) for each in [*settings, *beside]}
    everything = list(points.values())
    lines = []
    for members in grouped(settings, by):
        own = [points[id(each)] for each in members]
        behind = [each for each in own if dominated(each, everything)]
        name = label(members[0], by) or "every layer"
        lines += _shown(name, "points", [each for each in own if each not in behind])
        lines += _shown(name, "faint", behind)
    return [*lines, Line("best mean so far", "front", tuple(_bare(each) for each in front(everything)))]


def _shown(name: str, kind: Kind, points: Sequence[Point]) -> list[Line]:
    return [Line(name, kind, tuple(points))] if points else []


def _bare(point: Point) -> Point:
    """A corner of the staircase: the point is drawn already, with its interval."""
    return Point(point.x, point.n, point.mean, cells=point.cells)
