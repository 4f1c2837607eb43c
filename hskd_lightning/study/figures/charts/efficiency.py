"""What leaving the teacher out of the loop saves: seconds per step, online against offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from hskd_lightning.study.figures.chart import Axis, Chart, Line, Panel, Point, Skipped, of_figure, place
from hskd_lightning.study.results import Setting, grouped, label, telling, varying
from hskd_lightning.study.stats.defaults import LEVEL
from hskd_lightning.study.stats.intervals import summarize

STAGES = ("hidden", "prediction")
SOURCES = {"online": "teacher in the loop", "offline": "from the store"}


def efficiency(results: pd.DataFrame) -> Chart:
    """Two points a row, for each student and stage; the ratio is of the same seed's runs."""
    settings = [each for each in of_figure(results, "efficiency") if each.distils and each.true]
    axes = [axis for axis in varying(settings) if axis not in ("knowledge", "bits")]
    pairs = [pair for members in grouped(settings, axes) if len(pair := _by_source(members)) == len(SOURCES)]
    distinguishing = telling([each for pair in pairs for each in pair.values()], ["student", *axes])
    rows = [row for pair in pairs for row in _rows(pair, distinguishing)]
    if not rows:
        raise Skipped("no setting has run both with knowledge=online and with knowledge=offline")
    names = tuple(name for name, _ in rows)
    lines = tuple(
        Line(shown, "points", tuple(_place(points, source, at) for at, (_, points) in enumerate(rows)))
        for source, shown in SOURCES.items()
    )
    panel = Panel("", Axis("", names=names), Axis("Milliseconds per optimiser step", "from_zero"), lines)
    return Chart("efficiency", "A step without the teacher", CAPTION, (panel,))


CAPTION = (
    "Means over seeds with 95% t intervals, on the machine that trained. The factor is the mean over seeds of the "
    "ratio of their two runs, with its 95% t interval in brackets."
)

Timed = Mapping[str, Mapping[int, float]]


def _by_source(members: Sequence[Setting]) -> dict[str, Setting]:
    return {str(each["knowledge"]): each for each in members if each["knowledge"] in SOURCES}


def _rows(pair: Mapping[str, Setting], axes: Sequence[str]) -> list[tuple[str, dict[str, Point]]]:
    setting = pair["offline"]
    name = label(setting, axes) or str(setting["student"])
    timed = {stage: {source: _per_step(each, stage) for source, each in pair.items()} for stage in STAGES}
    return [
        (f"{name}, {stage} stage", _points(times, pair))
        for stage, times in timed.items()
        if all(map(len, times.values()))
    ]


def _per_step(setting: Setting, stage: str) -> dict[int, float]:
    """Milliseconds by seed."""
    seconds, steps = setting.by_seed(f"seconds_{stage}"), setting.by_seed(f"steps_{stage}")
    return {seed: 1000 * taken / steps[seed] for seed, taken in seconds.items() if steps.get(seed, 0) > 0}


def _points(times: Timed, pair: Mapping[str, Setting]) -> dict[str, Point]:
    return {
        source: place(
            summarize(taken, LEVEL), 0, cells=pair[source].cells, flag=_ratio(times) if source == "online" else ""
        )
        for source, taken in times.items()
    }


def _ratio(times: Timed) -> str:
    online, offline = times["online"], times["offline"]
    ratio = summarize({seed: online[seed] / offline[seed] for seed in online if offline.get(seed, 0) > 0}, LEVEL)
    if ratio.n == 0:
        return ""
    return f"{ratio.mean:.2f}×" + (f" [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio.n > 1 else "")


def _place(points: Mapping[str, Point], source: str, at: int) -> Point:
    timing = points[source]
    return Point(at, timing.n, timing.mean, timing.low, timing.high, flag=timing.flag, cells=timing.cells)
