"""The tables of a study as plain rows, for a page, a console or a csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from hskd_lightning.study.figures.chart import Skipped, of_figure
from hskd_lightning.study.paths import Path, paths
from hskd_lightning.study.results import (
    CONTEXT,
    Setting,
    anchors,
    full_hsk,
    grouped,
    label,
    logits_only,
    telling,
    varying,
)
from hskd_lightning.study.stats.comparison import Difference, compare, equivalence, rank
from hskd_lightning.study.stats.defaults import LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import diminishing
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving
from hskd_lightning.study.stats.saturation import fit_saturation

Row = dict[str, Any]


def settings_table(results: pd.DataFrame, figure: str, margin: float = MARGIN) -> list[Row]:
    """Every setting of a figure: its scores, what it is worth beside its baselines, and its tier.

    `to_full`, `to_logits`: paired differences, `_p` corrected by Holm over the settings of one student. `as_good`: the
    verdict of the equivalence test with full HSK, give or take `margin`. `tier`: see `rank`; where intervals overlap
    nothing is ranked.

    Raises:
        ConfigError: results lack a column, or two cells are one setting and seed.
    """
    try:
        settings = of_figure(results, figure)
    except Skipped:
        return []
    return [row for members in grouped(settings, CONTEXT) for row in _of_student(members, ABOUT.get(figure), margin)]


ABOUT = {"quirks": ["quirk"], "controls": ["control"]}
"""Figures whose settings are named by one axis: what else differs comes with it."""


def _of_student(members: Sequence[Setting], about: Sequence[str] | None, margin: float) -> Iterator[Row]:
    full, baseline = full_hsk(members), logits_only(members)
    anchored = anchors(members)
    others = [each for each in members if each not in anchored]
    named = about or telling(others, varying(others))
    to_full, to_logits = _beside(members, full), _beside(members, baseline)
    tiers = {row.name: row for row in rank({str(at): summarize(one.scores, LEVEL) for at, one in enumerate(members)})}
    for at in sorted(range(len(members)), key=lambda at: (members[at].amount, members[at].bytes)):
        setting, tier = members[at], tiers[str(at)]
        yield {
            "task": setting["task"],
            "student": setting["student"],
            "setting": anchored.get(setting) or label(setting, named) or "default",
            "scalars": setting.amount,
            "share": setting.mean("knowledge_fraction") if setting.distils else 0.0,
            "bytes": setting.bytes,
            **_mean(setting),
            **_difference("to_full", to_full.get(at)),
            **_difference("to_logits", to_logits.get(at)),
            "as_good": equivalence(setting.scores, full.scores, margin).verdict if full and full is not setting else "",
            "tier": tier.tier,
            "best": tier.best,
            "cells": " ".join(setting.cells),
        }


def _beside(members: Sequence[Setting], reference: Setting | None) -> Mapping[int, Difference]:
    if reference is None:
        return {}
    others = {at: each.scores for at, each in enumerate(members) if each is not reference}
    return compare(others, reference.scores, LEVEL)


def _mean(setting: Setting) -> Row:
    summary = summarize(setting.scores, LEVEL)
    return {"n": summary.n, "mean": summary.mean, "sd": summary.sd, "low": summary.low, "high": summary.high}


def _difference(name: str, difference: Difference | None) -> Row:
    parts = {"": "mean", "_low": "low", "_high": "high", "_p": "p_holm"}
    return {f"{name}{end}": getattr(difference, part, None) for end, part in parts.items()}


def minimum_table(results: pd.DataFrame, figure: str = "marginal_utility", margin: float = MARGIN) -> list[Row]:
    """How little is enough, one row for each path from logits only to full HSK.

    `serving`: the least amount shown to serve as well as full HSK, see `smallest_serving`. `keeping`: the amount that
    keeps 90% of the gain, see `smallest_keeping`. `diminishing` and `saturation`: what their tests say of the curve.

    Raises:
        ConfigError: as `settings_table`, or two settings of a path cost the same.
    """
    try:
        settings = of_figure(results, figure)
    except Skipped:
        return []
    task_paths = [(members[0]["task"], path) for members in grouped(settings, ["task"]) for path in paths(members)]
    return [
        {"task": task, "path": path.name, **_minimum(path, margin)}
        for task, path in task_paths
        if path.full is not None
    ]


def _minimum(path: Path, margin: float) -> Row:
    full = path.full.amount if path.full else float("nan")
    return {
        "full_scalars": full,
        **_prefixed("serving", asdict(smallest_serving(path.curve, margin=margin))),
        **_prefixed("keeping", asdict(smallest_keeping(path.curve, level=LEVEL))),
        **_prefixed("diminishing", asdict(diminishing(path.curve, LEVEL))),
        **_prefixed("saturation", asdict(fit_saturation(path.curve, LEVEL))),
    }


def _prefixed(name: str, row: Row) -> Row:
    return {f"{name}_{key}": value for key, value in row.items()}
