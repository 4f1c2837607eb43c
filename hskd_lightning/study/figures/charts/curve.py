"""Whatever was swept by `python train.py -m ...`: one axis that varies, and the score."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Point,
    Scale,
    collapsed_seeds,
    level,
    of_figure,
    point,
    score_axis,
    teacher_level,
)
from hskd_lightning.study.results import KEEPS, Setting, full_hsk, grouped, label, logits_only, telling, varying

AMOUNTS = ("hsk_amount", *KEEPS)


def sweep(results: pd.DataFrame) -> Chart:
    """Score against the scalars per example where these vary, else against the name that was swept."""
    settings = of_figure(results, "curve")
    panels = tuple(_panel(members) for members in grouped(settings, ["task"]))
    return Chart("curve", "The sweep", CAPTION, panels)


CAPTION = (
    "Means over seeds with 95% t intervals. Where full HSK or logits only were run beside the sweep, they are lines."
)


def _panel(members: Sequence[Setting]) -> Panel:
    full, baseline = full_hsk(members), logits_only(members)
    swept = [each for each in members if each is not full and each is not baseline] or list(members)
    beside = [each for each in members if each not in swept]
    levels = [line for each in beside for line in level("full HSK" if each is full else "logits only", each)]
    draw = _by_amount if len({each.amount for each in swept}) > 1 else _by_name
    x, lines = draw(swept)
    drawn = (*lines, *levels, *teacher_level(members))
    return Panel(str(members[0]["task"]), x, score_axis(members), drawn)


def _by_amount(swept: Sequence[Setting]) -> tuple[Axis, list[Line]]:
    """One line for all that differs only in how much is kept, along the axis with the most values."""
    distinguishing = varying(swept)
    amounts = max(AMOUNTS, key=lambda axis: len({each[axis] for each in swept}))  # hsk_amount wins a tie
    along = AMOUNTS if amounts == "hsk_amount" else (amounts,)
    axes = [axis for axis in distinguishing if axis not in along]
    named = telling(swept, axes)
    lines = [
        Line(
            label(members[0], named) or str(members[0]["student"]),
            "curve",
            _points(members, telling(swept, distinguishing)),
        )
        for members in grouped(swept, axes)
    ]
    positive = [each.amount for each in swept if each.amount > 0]
    scale: Scale = "log" if len(positive) == len(swept) else "zero_log"
    drawn = [*lines, *collapsed_seeds(swept, lambda each: each.amount)]
    return Axis("Hidden-state scalars per example", scale, least=min(positive)), drawn


def _points(members: Sequence[Setting], distinguishing: Sequence[str]) -> tuple[Point, ...]:
    return tuple(
        point(each, each.amount, label(each, distinguishing)) for each in sorted(members, key=lambda each: each.amount)
    )


def _by_name(swept: Sequence[Setting]) -> tuple[Axis, list[Line]]:
    distinguishing = varying(swept)
    ordered = [each for (each,) in grouped(swept, distinguishing)] if distinguishing else list(swept)
    names = tuple(label(each, telling(swept, distinguishing)) or str(each["student"]) for each in ordered)
    points = tuple(point(each, at, names[at]) for at, each in enumerate(ordered))
    drawn = [Line("swept", "points", points), *collapsed_seeds(ordered, lambda each: float(ordered.index(each)))]
    return Axis("", names=names), drawn
