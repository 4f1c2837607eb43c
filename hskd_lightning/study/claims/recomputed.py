"""What a claim could say, from the rows: by the words that select it, all that its kind of claim knows."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.figures.chart import Skipped, of_figure
from hskd_lightning.study.paths import paths
from hskd_lightning.study.report.tables import ABOUT, names
from hskd_lightning.study.results import CONTEXT, CONTRIBUTIONS, Setting, grouped
from hskd_lightning.study.stats.comparison import Difference, equivalence
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.defaults import LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import diminishing
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving
from hskd_lightning.study.sweep.collect import read
from hskd_lightning.study.sweep.found import read_answer

SELECTING = ("results", "figure", *CONTEXT, "setting", "vs", "path", "reading", "margin", "level")
ANSWER = "answer."
POINTS = 100
"""Differences are spoken of in points: a score of 0.01."""
Words = Mapping[str, str]
Found = dict[str, float | str]
Kind = TypeVar("Kind")


def recomputed(words: Words, root: Path) -> Found:
    """Everything that can be said of what a claim selects, by the keys of a claim, in the units of one.

    Args:
        words: of the claim; those that are checked only tell which kind it is of.
        root: the folder that `results` is in.

    Raises:
        ConfigError: nothing, or more than one thing, is selected so.
    """
    folder = root / _needed(words, "results")
    if any(key.startswith(ANSWER) for key in words):
        return _answer(folder)
    figure = words.get("figure", "marginal_utility")
    settings = _settings(folder, figure)
    if "path" in words:
        return _path(words, settings)
    named = _named(words, figure, settings)
    setting = _one(_needed(words, "setting"), named, "setting")
    return _difference(words, setting, _one(words["vs"], named, "vs")) if "vs" in words else _setting(setting)


def _needed(words: Words, key: str) -> str:
    if key not in words:
        raise ConfigError("claim", " ".join(words), f"a claim with {key}=", f"say {key}=...")
    return words[key]


@functools.cache
def _table(folder: Path) -> pd.DataFrame:
    return read(folder / "results.csv")


@functools.cache
def _settings(folder: Path, figure: str) -> list[Setting]:
    try:
        return of_figure(_table(folder), figure)
    except Skipped as reason:
        raise ConfigError("figure", figure, str(reason), "name a figure of these results") from None


def _named(words: Words, figure: str, settings: Sequence[Setting]) -> list[tuple[str, Setting]]:
    """The settings that the words allow, by the names that the tables of this figure have for them."""
    found: list[tuple[str, Setting]] = []
    for members in grouped(settings, CONTEXT):
        if all(str(members[0][axis]) == words[axis] for axis in CONTEXT if axis in words):
            found += [(name, setting) for setting, name in names(members, ABOUT.get(figure, ())).items()]
    return found


def _one(name: str, named: Sequence[tuple[str, Kind]], key: str) -> Kind:
    found = [each for called, each in named if called == name]
    if len(found) != 1:
        known = "; ".join(dict.fromkeys(called for called, _ in named)) or "none"
        remedy = "say student=... (or task, teacher) too" if found else "name one of these"
        raise ConfigError(key, name, f"one of: {known}" if not found else f"one, not {len(found)}", remedy)
    return found[0]


def _setting(setting: Setting) -> Found:
    summary = summarize(setting.scores, LEVEL)
    means = ((str(name), setting.mean(str(name))) for name in setting.rows if name != CONTRIBUTIONS)
    columns: Found = {name: mean for name, mean in means if math.isfinite(mean)}
    share = setting.mean("knowledge_fraction") if setting.distils else 0.0
    own: Found = {"n": summary.n, "mean": summary.mean, "sd": summary.sd, "low": summary.low, "high": summary.high}
    cost: Found = {"scalars": setting.amount, "bytes": setting.bytes, "share": share}
    return columns | own | cost


def _difference(words: Words, setting: Setting, other: Setting) -> Found:
    reading = _reading(words, setting.scores.contributions is not None and other.scores.contributions is not None)
    found = difference(setting.scores, other.scores, _number(words, "level", LEVEL))
    judged = equivalence(setting.scores, other.scores, _number(words, "margin", POINTS * MARGIN) / POINTS)
    shown, verdict = getattr(found, reading), getattr(judged, reading)
    if shown is None:
        raise ConfigError("reading", reading, "seeds: not of all cells is known what they said", "say reading=seeds")
    return {
        "difference": POINTS * found.estimate,
        "low": POINTS * shown.low,
        "high": POINTS * shown.high,
        "n": found.n,
        "verdict": verdict.verdict,
        "fewer_bytes": other.bytes / setting.bytes if setting.bytes else math.inf,
        "fewer_scalars": other.amount / setting.amount if setting.amount else math.inf,
    }


def _path(words: Words, settings: Sequence[Setting]) -> Found:
    tasks = grouped(settings, ["task"])
    asked = [members for members in tasks if words.get("task", members[0]["task"]) == members[0]["task"]]
    curve = _one(words["path"], [(path.name, path) for members in asked for path in paths(members)], "path").curve
    reading = _reading(words, all(scores.contributions is not None for scores in curve.values()))
    falls, serving = (
        diminishing(curve, LEVEL),
        getattr(smallest_serving(curve, margin=_number(words, "margin", POINTS * MARGIN) / POINTS), reading),
    )
    keeping = getattr(smallest_keeping(curve, level=LEVEL), reading)
    if serving is None or keeping is None:
        raise ConfigError("reading", reading, "seeds: not of all cells is known what they said", "say reading=seeds")
    figures = {name: getattr(falls, name) for name in ("height", "height_without", "slopes")}
    return {
        "diminishing": getattr(falls, reading),
        **{key: value for name, figure in figures.items() for key, value in _ends(name, figure, reading).items()},
        "serving": "none" if serving.amount is None else serving.amount,
        "serving_verdict": serving.verdict,
        "keeps_from": keeping.low,
        "keeps_to": keeping.high if math.isfinite(keeping.high) else "no end",
    }


def _ends(name: str, figure: Difference, reading: str) -> Found:
    shift = getattr(figure, reading)
    return {name: POINTS * figure.mean, f"{name}_low": POINTS * shift.low, f"{name}_high": POINTS * shift.high}


def _reading(words: Words, known: bool) -> str:
    """New sentences without a word, where these are known."""
    reading = words.get("reading", "sentences" if known else "seeds")
    if reading not in ("seeds", "sentences"):
        raise ConfigError("reading", reading, "seeds or sentences", "say reading=seeds, or leave it out")
    return reading


def _number(words: Words, key: str, otherwise: float) -> float:
    try:
        return float(words.get(key, otherwise))
    except ValueError:
        raise ConfigError(key, words[key], "a number", f"leave {key} out for {otherwise:g}") from None


def _answer(folder: Path) -> Found:
    answer = read_answer(folder)
    if answer is None:
        raise ConfigError("results", str(folder), "a folder with an answer.json", "name that of a `study minimum`")
    return _flat(answer, ANSWER)


def _flat(value: Mapping[str, Any], place: str) -> Found:
    flat: Found = {}
    for key, each in value.items():
        if isinstance(each, Mapping):
            flat |= _flat(each, f"{place}{key}.")
        elif isinstance(each, int | float | str):
            flat[f"{place}{key}"] = each
    return flat
