"""Every result is of plain Python numbers, so that csv and JSON take it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.comparison import as_difference, equivalence, rank
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.marginal_utility import diminishing, marginal_utility
from hskd_lightning.study.stats.minimum import smallest_keeping, smallest_serving
from hskd_lightning.study.stats.saturation import fit_saturation
from tests.study.scores import noisy

AMOUNTS = np.array([0.0, 100, 250, 500, 1000])
BY_HAND = noisy(AMOUNTS, 0.85 - 0.05 * np.exp(-AMOUNTS / 200), 4, 0.002, np.random.default_rng(0))
CURVE = {np.float64(a): {s: np.float64(score) for s, score in scores.items()} for a, scores in BY_HAND.items()}
"""As it comes from a table: the numbers are numpy's."""
RESULTS = [
    summarize(CURVE[0]),
    summarize({1: np.float64(0.8)}),
    difference(CURVE[1000], CURVE[0]),
    as_difference(difference(CURVE[1000], CURVE[0])),
    equivalence(CURVE[500], CURVE[1000]),
    rank({"logits": summarize(CURVE[0]), "full": summarize(CURVE[1000])})[0],
    marginal_utility(CURVE)[0],
    diminishing(CURVE),
    fit_saturation(CURVE, resamples=20),
    smallest_serving(CURVE, margin=0.03),
    smallest_keeping(CURVE),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_is_of_plain_numbers(result: Any) -> None:
    assert {type(value) for value in values(asdict(result))} <= {bool, int, float, str, type(None)}


def values(row: dict[str, Any]) -> Iterator[Any]:
    for value in row.values():
        yield from values(value) if isinstance(value, dict) else (value,)


@pytest.mark.parametrize("ask", [fit_saturation, smallest_keeping, diminishing])
def test_a_mistyped_level_is_refused_even_where_there_is_nothing_to_say(ask: Any) -> None:
    with pytest.raises(ConfigError, match="`level` = 95"):
        ask({}, level=95)
