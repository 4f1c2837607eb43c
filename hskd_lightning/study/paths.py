"""Paths from no hidden-state knowledge to all of it: the settings of one student that spend rising amounts one way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.results import (
    CONTEXT,
    KEEPS,
    Setting,
    full_hsk,
    grouped,
    label,
    logits_only,
    logits_only_shorter,
    telling,
    varying,
)
from hskd_lightning.study.stats.scores import Scores


@dataclass(frozen=True)
class Path:
    """Settings of rising amounts, from logits only to full HSK where these were run; `name` among the others."""

    name: str
    settings: tuple[Setting, ...]
    full: Setting | None
    shorter: Setting | None = None
    """The baseline in as many steps as the prediction stage has; it is no point of the path."""

    @property
    def curve(self) -> dict[float, Scores]:
        return {each.amount: each.scores for each in self.settings}


def paths(settings: Sequence[Setting]) -> list[Path]:
    """One path per student and way to spend an amount, with the baselines of that student.

    Raises:
        ConfigError: two settings of a path cost the same, so there is no one score at that amount.
    """
    unnamed = []
    for members in grouped(settings, CONTEXT):
        full, baseline, shorter = full_hsk(members), logits_only(members), logits_only_shorter(members)
        between = [each for each in members if each.distils and each.true and not _as_much(each, full)]
        axes = [axis for axis in varying(between) if axis not in (*KEEPS, "hsk_amount")]
        for path_settings in grouped(between, axes) or [[]]:
            ends = [each for each in (baseline, full) if each is not None]
            if path_settings or len(ends) > 1:
                unnamed.append((sorted([*path_settings, *ends], key=lambda each: each.amount), full, shorter))
    return _named(unnamed)


def _as_much(setting: Setting, full: Setting | None) -> bool:
    """An amount of 1 by whichever strategy is full HSK, which is in every path once."""
    return setting is full or (full is not None and math.isclose(setting.amount, full.amount, rel_tol=1e-3))


def _named(unnamed: list[tuple[list[Setting], Setting | None, Setting | None]]) -> list[Path]:
    inner = [
        next((each for each in path_settings if each.distils and each is not full), path_settings[-1])
        for path_settings, full, _ in unnamed
    ]
    named = telling(inner, [axis for axis in ("student", *varying(inner)) if axis not in (*KEEPS, "hsk_amount")])
    all_paths = [
        Path(label(each, named) or str(each["student"]), tuple(path_settings), full, shorter)
        for each, (path_settings, full, shorter) in zip(inner, unnamed, strict=True)
    ]
    for path in all_paths:
        _check_amounts(path)
    return all_paths


def _check_amounts(path: Path) -> None:
    for less, more in zip(path.settings, path.settings[1:], strict=False):
        if less.amount == more.amount:
            allowed = "one setting for each amount of a path"
            remedy = "leave one of them out of the figure marginal_utility; the figure joint takes both"
            raise ConfigError("results", [less.cells[0], more.cells[0]], allowed, remedy)
