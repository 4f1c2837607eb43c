"""What the dashboards show, part by part. Each key is one that runs log: the axes and amounts of a cell's config, its
figures `final/*`, its rows `curve/*`, its losses by stage.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hskd_lightning.settled import AXES

with warnings.catch_warnings():  # the package's own, about pydantic
    warnings.simplefilter("ignore", DeprecationWarning)
    from wandb_workspaces.reports.v2 import (
        BarPlot,
        Config,
        LinePlot,
        ParallelCoordinatesPlot,
        ParallelCoordinatesPlotColumn,
        RunComparer,
        ScatterPlot,
        SummaryMetric,
    )

SCORE = "final/score"
RUNS_SHOWN = 500
"""A curve is of many cells; W&B would draw ten."""
LINES = ["curve/teacher", "curve/logits", "curve/labels"]
"""What a curve is to be seen against: the teacher, and the baselines without hidden states."""
AXIS_COLUMNS = (
    *("task", "teacher", "student", "student_init", "knowledge", "control", "preset"),
    *("depth", "depth_keep", "length", "length_keep", "width", "width_keep"),
    *("bits", "bits_keep", "hsk_amount", "seed"),
    *("knowledge_fraction", "knowledge_bytes", "knowledge_token_bits", "knowledge_shared_bytes"),
)
FIGURE_COLUMNS = (
    *(SCORE, "final/score_last", "final/teacher_score", "final/seconds_hidden", "final/seconds_prediction"),
    *("final/peak_memory_mb", "final/parameters_student"),
)
COLUMNS = [f"config:{name}.value" for name in AXIS_COLUMNS] + [f"summary:{name}" for name in FIGURE_COLUMNS]
"""The table of all cells, from left to right."""


@dataclass(frozen=True)
class Part:
    """A section of both dashboards."""

    title: str
    says: str
    """What to read off this part."""
    panels: Sequence[Any]


def parts() -> list[Part]:
    """All parts, top to bottom, of panels of their own: W&B's report moves those it is given."""
    return [_utility(), *(_dimension(axis) for axis in AXES), _bits(), _joint(), _efficiency(), _losses(), _cells()]


def _utility() -> Part:
    says = (
        "Score on dev by the share of full hidden-state knowledge that was distilled. The lines are the teacher, the "
        "teacher's logits alone, and gold labels alone; bands are the spread of seeds. A curve that goes flat early is "
        "knowledge that a student does not need. Choose one task, one teacher and one student in the run table first."
    )
    panels = [
        _curve("Score by share of full HSK", "task"),
        _scatter("Score by share of full HSK, each cell", Config("knowledge_fraction"), log_x=True),
        _bars("Score by knowledge", [SCORE], "knowledge"),
        _bars("Score by control (none: true states)", [SCORE], "control"),
    ]
    return Part("Marginal utility", says, panels)


def _dimension(axis: str) -> Part:
    what = {"depth": "teacher layers", "length": "tokens", "width": "hidden units"}[axis]
    says = (
        f"How many {what}, and which: the strategies against each other at the same share of full HSK, then by `keep`."
    )
    panels = [
        _curve(f"Score by share of full HSK, {axis} strategies", axis),
        _scatter(f"Score by {axis}.keep", Config(f"{axis}_keep")),
        _bars(f"Score by {axis} strategy", [SCORE], axis),
    ]
    return Part(axis.capitalize(), says, panels)


def _bits() -> Part:
    says = (
        "How finely the kept values are said: the score by the bits of a kept token, and by all bytes of an example. "
        "Compare cells of the same layers, tokens and units."
    )
    panels = [
        _scatter("Score by bits a token and layer", Config("knowledge_token_bits"), log_x=True),
        _scatter("Score by bytes an example", Config("knowledge_bytes"), log_x=True),
        _bars("Score by bits", [SCORE], "bits"),
    ]
    return Part("Bits", says, panels)


def _joint() -> Part:
    says = (
        "All three dimensions at once. The line is the Pareto front: the best score for so many bytes an example. What "
        "lies below it pays for knowledge that another choice does not need."
    )
    chosen = [Config(name) for axis in (*AXES, "bits") for name in (axis, f"{axis}_keep")]
    columns = [*chosen, Config("knowledge_fraction"), SummaryMetric(SCORE)]
    panels = [
        _scatter("Pareto: score by bytes an example", Config("knowledge_bytes"), log_x=True, running_ymax=True),
        ParallelCoordinatesPlot(
            title="Depth, length, width, bits, score",
            columns=[ParallelCoordinatesPlotColumn(metric) for metric in columns],
        ),
    ]
    return Part("Joint and Pareto", says, panels)


def _efficiency() -> Part:
    says = "What a score costs, with the teacher in the loop (`online`) and from a store (`offline`), and by student."
    seconds = ["final/seconds_hidden", "final/seconds_prediction"]
    panels = [
        _scatter("Score by seconds of the hidden stage", SummaryMetric("final/seconds_hidden"), log_x=True),
        _bars("Seconds by stage", seconds, "knowledge"),
        _bars("Peak memory, MB", ["final/peak_memory_mb"], "knowledge"),
        _scatter("Score by parameters of the student", SummaryMetric("final/parameters_student"), log_x=True),
        _bars("Score by student", [SCORE], "student"),
        _bars("Score by first weights", [SCORE], "student_init"),
    ]
    return Part("Efficiency", says, panels)


def _losses() -> Part:
    says = (
        "Both stages, on the training batches and on the selection split. Hidden losses compare only at equal targets."
    )
    x = "trainer/global_step"
    panels = [
        LinePlot(title="Hidden stage: loss", x=x, y=["hidden/loss"]),
        LinePlot(title="Hidden stage: loss on the selection split", x=x, y=["hidden/selection_loss"]),
        LinePlot(title="Prediction stage: loss", x=x, y=["prediction/loss"]),
        LinePlot(title="Prediction stage: selection split", x=x, metric_regex="prediction/selection_.*"),
    ]
    return Part("Losses by stage", says, panels)


def _cells() -> Part:
    says = "Every cell with its axes, amounts, scores and costs: filter, group and sort the run table by any column."
    return Part("All cells", says, [RunComparer(diff_only="split")])


def _curve(title: str, by: str) -> Any:
    """Cells as a curve, mean and spread at each share; teacher and baselines as lines."""
    y = ["curve/score", *LINES]
    return LinePlot(
        title=title, x="curve/fraction", y=y, title_x="share of full HSK", title_y="score on dev", **_grouped(by)
    )


def _scatter(title: str, x: Any, **options: Any) -> Any:
    return ScatterPlot(title=title, x=x, y=SummaryMetric(SCORE), **options)


def _bars(title: str, metrics: list[str], by: str) -> Any:
    return BarPlot(title=title, metrics=metrics, **_grouped(by))


def _grouped(by: str) -> dict[str, Any]:
    spread = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    return {"groupby": Config(by), **spread, "max_runs_to_show": RUNS_SHOWN}
