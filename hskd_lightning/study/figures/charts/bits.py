"""How finely the kept values must be said: score against the bits of a token."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hskd_lightning.study.figures.chart import (
    Axis,
    Chart,
    Line,
    Panel,
    Skipped,
    collapsed_seeds,
    level,
    of_figure,
    point,
    score_axis,
    teacher_level,
    titled,
)
from hskd_lightning.study.results import CONTEXT, Setting, full_hsk, grouped, label, logits_only, telling, varying

REFERENCE = "fp16"
"""The bits that the others are to be seen against: what is kept where nothing is said."""


def bits(results: pd.DataFrame) -> Chart:
    """One line a strategy, against the bits that a kept token takes in a layer."""
    settings = of_figure(results, "bits")
    panels = tuple(filter(None, (_panel(members, settings) for members in grouped(settings, CONTEXT))))
    if not panels:
        raise Skipped("no cell says how many bits it spends")
    return Chart("bits", "How finely the knowledge is said", CAPTION, panels)


CAPTION = (
    "The same layers, tokens and units in fewer bits. Means over seeds with 95% t intervals; horizontal lines are "
    f"logits only, full HSK and these values in {REFERENCE} with theirs, and the teacher. Means, components and "
    "codebooks, which all examples share, are not in the bits; results.csv has them."
)


def _panel(members: Sequence[Setting], everyone: Sequence[Setting]) -> Panel | None:
    full, baseline = full_hsk(members), logits_only(members)
    swept = [each for each in members if each.distils and each.true and each is not full]
    known = [each for each in swept if spent(each) > 0]  # so written, nan is out
    if not known:
        return None
    plain = next((each for each in known if each["bits"] == REFERENCE), None)
    levels = [*level("logits only", baseline), *level("full HSK", full), *level(REFERENCE, plain)]
    x = Axis("Bits a kept token takes in a layer", "log")
    lines = [*_lines(known), *collapsed_seeds(known, spent)]
    return Panel(titled(members, everyone), x, score_axis(members), (*lines, *levels, *teacher_level(members)))


def spent(setting: Setting) -> float:
    """Bits a token and layer."""
    return setting.mean("knowledge_token_bits")


def _lines(settings: Sequence[Setting]) -> list[Line]:
    axes = [axis for axis in varying(settings) if axis != "bits_keep"]
    named = telling(settings, axes)
    return [
        Line(
            label(members[0], named) or str(members[0]["bits"]),
            "curve",
            tuple(point(each, spent(each), label(each, ["bits_keep"])) for each in sorted(members, key=spent)),
        )
        for members in grouped(settings, axes)
    ]
