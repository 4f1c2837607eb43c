"""Finished cells, one row each, as settings: what was asked for, and the scores of its seeds.

A setting is all rows that agree in every axis but the seed. Axes are what a user chooses; amounts, scores and seconds
are what came of it, and never tell two settings apart.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.row_checks import AGAIN, check_rows
from hskd_lightning.study.stats.scores import Array, Scores

log = logging.getLogger(__name__)

CONTRIBUTIONS = "contributions"
"""The column of a table joined with `examples`: (E,) what each dev example, by rising id, adds to a score; or None."""
NEEDED = ("figure", "cell_id", "task", "student", "knowledge", "seed", "score")
CONTEXT = ("task", "teacher", "teacher_seed", "student", "student_init", "preset")
"""What a baseline has in common with the settings it is the baseline of."""
STRATEGIES = ("depth", "length", "width")
KEEPS = tuple(f"{strategy}_keep" for strategy in STRATEGIES)
CHOICES = (*CONTEXT, "knowledge", "baseline", "control", "quirk", "hsk_amount", "hsk_path", *STRATEGIES, "bits")
FULL, LOGITS, SHORTER = "full HSK", "logits only", "logits only, prediction steps"
"""What the two ends of a path are called, and the baseline that is trained for a shorter time."""
WHOLE = 0.999
"""A share of full HSK from here on is all of it: the means of counts over a split are not exact."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What was chosen (`axes`, without what was not) and the rows of it, one for each seed."""

    axes: Mapping[str, Any]
    rows: pd.DataFrame

    @cached_property
    def scores(self) -> Scores:
        """By seed; with what each dev example adds to them where that is known of every seed."""
        by_seed = self.by_seed("score")
        return Scores(by_seed, self._contributions(by_seed), self._examples)

    @cached_property
    def amount(self) -> float:
        """Scalars per example; 0 where no hidden states are distilled."""
        return self.mean("knowledge_scalars") if self.distils else 0.0

    @property
    def bytes(self) -> float:
        """Bytes of knowledge per example, positions and masks counted; nan where a table does not say."""
        return self.mean("knowledge_bytes") if self.distils else 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(self.rows["cell_id"].astype(str))

    @property
    def distils(self) -> bool:
        return self.axes["knowledge"] not in ("logits", "labels")

    @property
    def true(self) -> bool:
        """Learns from the teacher's own states, our way."""
        return "control" not in self.axes and "quirk" not in self.axes

    @property
    def is_full(self) -> bool:
        """All of the teacher's hidden states: every layer the student has a place for, every token, every unit."""
        spread = self["depth"] == "all" or (self["depth"] == "uniform" and self["depth_top"] is None)
        return self.distils and self.true and spread and self.mean("knowledge_fraction") >= WHOLE

    def __getitem__(self, axis: str) -> Any:
        return self.axes.get(axis)

    def by_seed(self, column: str) -> dict[int, float]:
        """A column's finite values by seed."""
        values = pd.to_numeric(self.rows[column], errors="coerce")
        pairs = zip(self.rows["seed"], values, strict=True)
        return {int(seed): float(value) for seed, value in pairs if math.isfinite(value)}

    def _contributions(self, seeds: Iterable[int]) -> dict[int, Array] | None:
        if CONTRIBUTIONS not in self.rows:
            return None
        known = dict(zip(self.rows["seed"].astype(int), self.rows[CONTRIBUTIONS], strict=True))
        return (
            {seed: known[seed] for seed in seeds}
            if all(isinstance(known[seed], np.ndarray) for seed in seeds)
            else None
        )

    @property
    def _examples(self) -> int | None:
        counts = self.by_seed("dev_examples").values()
        return int(min(counts)) if counts else None

    def mean(self, column: str) -> float:
        values = self.by_seed(column).values()
        return sum(values) / len(values) if values else math.nan

    def shares(self, other: Setting) -> int:
        """In how many axes two settings agree."""
        return len(self.axes.items() & other.axes.items())


def finished(results: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a score, with every column that the study knows.

    Raises:
        ConfigError: a column is missing without which no row can be told from another, or has values that it cannot.
    """
    missing = [column for column in NEEDED if column not in results]
    if missing:
        raise ConfigError("results", list(results), f"a table that also has {', '.join(missing)}", AGAIN)
    scored = results[pd.to_numeric(results["score"], errors="coerce").notna()]
    if len(scored) < len(results):
        log.warning("%d of %d rows have no score and are left out", len(results) - len(scored), len(results))
    check_rows(scored)
    known = (*CHOICES, *KEEPS, "bits_keep", *MEASURED)
    return scored.reindex(columns=[*scored, *(column for column in known if column not in scored)])


MEASURED = (
    *(f"knowledge_{unit}" for unit in ("scalars", "bytes", "token_bits", "shared_bytes", "fraction")),
    *(f"{kind}_{stage}" for kind in ("seconds", "steps", "clipped") for stage in ("hidden", "prediction")),
    *("metric", "teacher_score", "teacher_weights", "dev_examples", "layer_map", "git_sha"),
    *("parameters_student", "parameters_teacher"),
)


def settings_of(rows: pd.DataFrame) -> list[Setting]:
    """The settings of these rows, in the order in which they come.

    Raises:
        ConfigError: two cells of one setting have the same seed, so they differ in something that is no axis.
    """
    axes = [column for column in rows if is_axis(str(column)) and rows[column].notna().any()]
    unique = rows.drop_duplicates("cell_id")
    groups = unique.groupby(axes, dropna=False, sort=False) if len(unique) else []
    settings = [Setting(_chosen(axes, values), group) for values, group in groups]
    for setting in settings:
        _check_seeds(setting)
    return settings


def is_axis(column: str) -> bool:
    """A choice, an option of a strategy (width_masked, student_init_importance), or a key that was swept. No seed."""
    option = column.startswith((*(f"{strategy}_" for strategy in (*STRATEGIES, "bits")), "student_init_", "swept_"))
    return column in CHOICES or (option and not column.endswith("_seed"))


def _chosen(axes: Sequence[str], values: Hashable) -> dict[str, Any]:
    pairs = zip(axes, values if isinstance(values, tuple) else (values,), strict=True)
    return {axis: value for axis, value in pairs if not pd.isna(value)}


def _check_seeds(setting: Setting) -> None:
    again = setting.rows[setting.rows["seed"].duplicated(keep=False)]
    if len(again):
        allowed = "one cell for each seed of a setting"
        remedy = "they differ in something that is no axis of the study: draw them apart"
        raise ConfigError("results", sorted(again["cell_id"].astype(str))[:4], allowed, remedy)


# Which settings belong together.


def grouped(settings: Iterable[Setting], axes: Sequence[str]) -> list[list[Setting]]:
    """Settings that agree in these axes, in order of their values."""
    groups: dict[tuple[Any, ...], list[Setting]] = {}
    for setting in settings:
        groups.setdefault(tuple(setting[axis] for axis in axes), []).append(setting)
    return [groups[key] for key in sorted(groups, key=lambda key: [_order(value) for value in key])]


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers before names; what was not chosen, so everything of it, last."""
    if value is None:
        return 2, 0, ""
    return (1, 0, value) if isinstance(value, str) else (0, float(value), "")


def logits_only(settings: Iterable[Setting]) -> Setting | None:
    """The baseline without hidden states: learns from logits alone, in as many steps as a distilled student in all."""
    return _logits_only(settings, (None, "total"))


def logits_only_shorter(settings: Iterable[Setting]) -> Setting | None:
    """The other one: as many steps on logits as a distilled student has behind its hidden stage."""
    return _logits_only(settings, ("prediction",))


def _logits_only(settings: Iterable[Setting], steps: Sequence[str | None]) -> Setting | None:
    """None among `steps`: tables of older versions do not say, and know no other baseline than that of all steps."""
    logits = (each for each in settings if each["knowledge"] == "logits" and each.true)
    return next((each for each in logits if each["baseline"] in steps), None)


def full_hsk(settings: Iterable[Setting]) -> Setting | None:
    """The setting with all hidden states; the plainest of them, if there are several."""
    whole = [each for each in settings if each.is_full]
    return max(whole, key=lambda each: [each[axis] for axis in STRATEGIES].count("all"), default=None)


def anchors(settings: Sequence[Setting]) -> dict[Setting, str]:
    """What the other settings are compared with, by the names that every table and figure has for it."""
    found = {FULL: full_hsk(settings), LOGITS: logits_only(settings), SHORTER: logits_only_shorter(settings)}
    return {setting: name for name, setting in found.items() if setting is not None}


def nearest(setting: Setting, candidates: Iterable[Setting]) -> Setting | None:
    """The candidate that agrees with a setting in most axes: what it is a variation of."""
    return max(candidates, key=setting.shares, default=None)


def varying(settings: Sequence[Setting]) -> list[str]:
    """The axes in which these settings differ."""
    axes = dict.fromkeys(axis for setting in settings for axis in setting.axes)
    return [axis for axis in axes if len({setting[axis] for setting in settings}) > 1]


def telling(settings: Sequence[Setting], axes: Iterable[str]) -> list[str]:
    """Of these axes those that a name needs: one that follows from the ones before it tells nobody anything."""
    distinguishing: list[str] = []
    groups = 1
    for axis in axes:
        finer = len({tuple(setting[each] for each in (*distinguishing, axis)) for setting in settings})
        if finer > groups:
            distinguishing, groups = [*distinguishing, axis], finer
    return distinguishing


# Names.


def label(setting: Setting, axes: Iterable[str]) -> str:
    """What a setting is called beside others that differ from it in these axes."""
    return ", ".join(filter(None, (_named(axis, setting[axis]) for axis in axes)))


def _named(axis: str, value: Any) -> str:
    if axis in NAMES:
        return NAMES[axis](value)
    if value is None:
        return ""
    return f"{axis.partition('_')[2]}={value}" if "_" in axis else str(value)


def _kept(what: str) -> Callable[[Any], str]:
    def name(value: Any) -> str:
        if value is None:
            return ""
        if value < 1:  # a share; all of it is null in results, so that 1.0 in a table is a count of 1
            return f"{value:.3g} of {what}s"
        return f"{value:g} {what}" + ("s" if value > 1 else "")

    return name


def _top(value: Any) -> str:
    """The paper's twelfths, whatever the teacher's depth; a whole number is a state."""
    if value is not None and value >= 1:
        return f"top state {value:g}"
    twelfths = Fraction(1 if value is None else value).limit_denominator(12) * 12
    return f"top {float(twelfths):.3g}/12"


NAMES: Mapping[str, Callable[[Any], str]] = {
    "depth_top": _top,
    "depth_keep": _kept("layer"),
    "length_keep": _kept("token"),
    "width_keep": _kept("unit"),
    "bits_keep": lambda value: "" if value is None else f"{value:g}",
    "hsk_amount": lambda value: "" if value is None else f"{100 * value:.3g}% of HSK",
    "hsk_path": lambda value: "" if value is None else value.replace("_", " "),
    "baseline": lambda value: "" if value in (None, "total") else f"{value} steps",
    "preset": lambda value: "" if value is None else f"preset={value}",
}
