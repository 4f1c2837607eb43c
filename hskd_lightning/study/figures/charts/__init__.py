"""The figures of a study: one function each, from the rows of finished cells to a `Chart`.

Adding one is a function, and a line here; whoever draws it, in print or on a page, need not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from hskd_lightning.study.figures.chart import Chart
from hskd_lightning.study.figures.charts.bits import bits
from hskd_lightning.study.figures.charts.curve import sweep
from hskd_lightning.study.figures.charts.differences import controls, quirks
from hskd_lightning.study.figures.charts.dimension import along
from hskd_lightning.study.figures.charts.efficiency import efficiency
from hskd_lightning.study.figures.charts.fronts import joint, pareto
from hskd_lightning.study.figures.charts.marginal import marginal
from hskd_lightning.study.figures.charts.minimum import minimum
from hskd_lightning.study.figures.charts.paths import paths_chart

CHARTS: Mapping[str, Callable[..., Chart]] = {
    "marginal_utility": marginal,
    "depth": partial(along, dimension="depth"),
    "length": partial(along, dimension="length"),
    "width": partial(along, dimension="width"),
    "bits": bits,
    "paths": paths_chart,
    "joint": joint,
    "efficiency": efficiency,
    "quirks": quirks,
    "controls": controls,
    "curve": sweep,
    "minimum": minimum,
    "pareto": pareto,
}
TESTED = ("marginal_utility", "quirks", "controls")
"""The figures that show the margin of the equivalence test, and take it as `margin`, and the `variance` over seeds."""
