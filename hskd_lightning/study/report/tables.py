"""The tables of a study as plain rows, for a page, a console or a csv.

What compares stands there twice: `_seeds` is of these sentences, `_sentences` of new ones, which is None where the
predictions of some cells are not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from hskd_lightning.study.stats.collapse import collapsed
from hskd_lightning.study.stats.comparison import Difference, Equivalence, compare, equivalence, rank
from hskd_lightning.study.stats.defaults import LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import Diminishing, diminishing
from hskd_lightning.study.stats.minimum import judge, not_shown, smallest_keeping, smallest_serving
from hskd_lightning.study.stats.moderation import Rule, Variance, variance_of
from hskd_lightning.study.stats.power import noise, undecided
from hskd_lightning.study.stats.saturation import fit_saturation
from hskd_lightning.study.stats.scores import BySeed

Row = dict[str, Any]
READINGS = ("seeds", "sentences")


@dataclass(frozen=True)
class Rules:
    """By what everything in a table is judged."""

    margin: float
    variance: Variance


def settings_table(results: pd.DataFrame, figure: str, margin: float = MARGIN, variance: Rule = "welch") -> list[Row]:
    """Every setting of a figure: its scores, what it is worth beside its baselines, and its tier.

    `to_full`, `to_logits`: differences with both readings, `_p` corrected by Holm over the settings of one student.
    `as_good`: the verdict of the equivalence test with full HSK, give or take `margin`, without a word that of new
    sentences; `needs`: what would decide, where it is undecided. `collapsed`: seeds that failed to learn. `tier`: see
    `rank`; where intervals overlap nothing is ranked.

    Raises:
        ConfigError: results lack a column, or two cells are one setting and seed.
    """
    try:
        settings = of_figure(results, figure)
    except Skipped:
        return []
    rules = Rules(margin, variance_of(variance, [each.scores for each in settings]))
    return [row for members in grouped(settings, CONTEXT) for row in _of_student(members, ABOUT.get(figure, ()), rules)]


ABOUT = {"quirks": ["quirk"], "controls": ["control"]}
"""Figures whose settings are named by one axis first: what else differs comes with it, mostly."""


def names(members: Sequence[Setting], about: Sequence[str] = ()) -> dict[Setting, str]:
    """What the settings of one student are called in its table, in their order.

    Args:
        members: settings of one context.
        about: axes that a name begins with, see `ABOUT`.
    """
    anchored = anchors(members)
    others = [each for each in members if each not in anchored]
    named = telling(others, [*about, *varying(others)])
    return {each: anchored.get(each) or label(each, named) or "default" for each in members}


def _of_student(members: Sequence[Setting], about: Sequence[str], rules: Rules) -> Iterator[Row]:
    full, baseline = full_hsk(members), logits_only(members)
    called = names(members, about)
    to_full, to_logits = _beside(members, full, rules), _beside(members, baseline, rules)
    tiers = {row.name: row for row in rank({str(at): summarize(one.scores, LEVEL) for at, one in enumerate(members)})}
    for at in sorted(range(len(members)), key=lambda at: (members[at].amount, members[at].bytes)):
        setting, tier = members[at], tiers[str(at)]
        yield {
            "task": setting["task"],
            "student": setting["student"],
            "setting": called[setting],
            "scalars": setting.amount,
            "share": setting.mean("knowledge_fraction") if setting.distils else 0.0,
            "bytes": setting.bytes,
            **_mean(setting),
            **_difference("to_full", to_full.get(at)),
            **_difference("to_logits", to_logits.get(at)),
            **_as_good(setting, full, rules),
            "collapsed": " ".join(map(str, collapsed(setting.scores))),
            "tier": tier.tier,
            "best": tier.best,
            "cells": " ".join(setting.cells),
        }


def _beside(members: Sequence[Setting], reference: Setting | None, rules: Rules) -> Mapping[int, Difference]:
    if reference is None:
        return {}
    others = {at: each.scores for at, each in enumerate(members) if each is not reference}
    return compare(others, reference.scores, LEVEL, rules.variance)


def _mean(setting: Setting) -> Row:
    summary = summarize(setting.scores, LEVEL)
    return {"n": summary.n, "mean": summary.mean, "sd": summary.sd, "low": summary.low, "high": summary.high}


def _difference(name: str, difference: Difference | None) -> Row:
    parts = {"low": "low", "high": "high", "p": "p_holm"}
    readings = {reading: getattr(difference, reading, None) for reading in READINGS}
    return {name: getattr(difference, "mean", None)} | {
        f"{name}_{reading}_{end}": getattr(shift, part, None)
        for reading, shift in readings.items()
        for end, part in parts.items()
    }


def _as_good(setting: Setting, full: Setting | None, rules: Rules) -> Row:
    if full is None or full is setting:
        return {"as_good": "", "as_good_seeds": "", "as_good_sentences": "", "needs": ""}
    found = equivalence(setting.scores, full.scores, rules.margin, variance=rules.variance)
    return {
        "as_good": found.verdict,
        "as_good_seeds": found.seeds.verdict,
        "as_good_sentences": found.sentences.verdict if found.sentences else "",
        "needs": _needs(found, setting.scores, full.scores),
    }


def _needs(found: Equivalence, scores: BySeed, full: BySeed) -> str:
    """What would decide a comparison; nothing where it is decided, or where one seed does not know its spread."""
    known = noise(scores, full, of_sentences=found.sentences is not None)
    if known is None or found.verdict != "undecided":
        return ""
    return undecided(known, found.n, found.margin, loss=-found.mean)


def minimum_table(
    results: pd.DataFrame, figure: str = "marginal_utility", margin: float = MARGIN, variance: Rule = "welch"
) -> list[Row]:
    """How little is enough, one row for each path from logits only to full HSK.

    `serving`: the least amount shown to serve as well as full HSK, see `smallest_serving`; `stopped`: the amount that
    was not shown to, and what it `needs`. `keeping`: the bracket of amounts that keep 90% of the gain, see
    `smallest_keeping`. `diminishing` and `saturation`: what their tests say of the curve.

    Raises:
        ConfigError: as `settings_table`, or two settings of a path cost the same.
    """
    try:
        settings = of_figure(results, figure)
    except Skipped:
        return []
    rules = Rules(margin, variance_of(variance, [each.scores for each in settings]))
    task_paths = [(members[0]["task"], path) for members in grouped(settings, ["task"]) for path in paths(members)]
    return [
        {"task": task, "path": path.name, **_minimum(path, rules)} for task, path in task_paths if path.full is not None
    ]


def _minimum(path: Path, rules: Rules) -> Row:
    curve, variance = path.curve, rules.variance
    return {
        "full_scalars": path.full.amount if path.full else float("nan"),
        **_prefixed("serving", asdict(smallest_serving(curve, margin=rules.margin, variance=variance))),
        **_stopped(path, rules),
        **_prefixed("keeping", asdict(smallest_keeping(curve, level=LEVEL, variance=variance))),
        **_diminishing(diminishing(curve, LEVEL, variance)),
        **_prefixed("saturation", asdict(fit_saturation(curve, LEVEL))),
    }


def _stopped(path: Path, rules: Rules) -> Row:
    """The amount at which the way down from full HSK ended, and what would take it further."""
    judged = judge(path.curve, margin=rules.margin, variance=rules.variance)
    amount = not_shown(judged)
    if amount is None or path.full is None:
        return {"stopped_amount": None, "stopped_verdict": "", "stopped_needs": ""}
    needs = _needs(judged[amount], path.curve[amount], path.full.scores)
    return {"stopped_amount": amount, "stopped_verdict": judged[amount].verdict, "stopped_needs": needs}


def _diminishing(found: Diminishing) -> Row:
    return {
        "diminishing_amounts": found.amounts,
        "diminishing_n": min(figure.n for figure in found.figures.values()),
        "diminishing_verdict": found.verdict,
        "diminishing_seeds": found.seeds,
        "diminishing_sentences": found.sentences,
        "diminishing_agreeing": "; ".join(found.agreeing),
        **{
            key: value
            for name in ("height", "height_without", "slopes")
            for key, value in _difference(f"diminishing_{name}", getattr(found, name)).items()
            if not key.endswith("_p")
        },
    }


def _prefixed(name: str, row: Mapping[str, Any]) -> Row:
    """A result as columns; what has parts, as a reading has, gets a column for each of them."""
    flat: Row = {}
    for key, value in row.items():
        flat |= _prefixed(f"{name}_{key}", value) if isinstance(value, dict) else {f"{name}_{key}": value}
    return flat
