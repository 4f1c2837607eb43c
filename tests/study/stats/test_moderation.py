"""Moderated variances find the prior that they were drawn from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hskd_lightning.study.stats.moderation import Prior, prior
from tests.study.scores import by_seed


def test_a_variance_is_drawn_towards_the_prior_by_hand() -> None:
    assert Prior(df=6, variance=1.0).moderated(own=3.0, df=2) == (1.5, 8)  # (6 x 1 + 2 x 3) / 8


def test_a_sure_prior_is_all_that_counts() -> None:
    assert Prior(math.inf, 1.0).moderated(own=3.0, df=2) == (1.0, math.inf)


def test_the_prior_of_many_settings_is_found() -> None:
    dice = np.random.default_rng(0)
    truth = 8 * 0.0001 / dice.chisquare(8, 4000)  # a scaled inverse chi-square: 8 degrees of freedom around 0.0001
    found = prior(by_seed(*dice.normal(0, math.sqrt(each), 4)) for each in truth)
    assert found is not None
    assert (found.df, found.variance) == (pytest.approx(8, rel=0.15), pytest.approx(0.0001, rel=0.05))


def test_settings_that_spread_alike_share_one_variance() -> None:
    found = prior([by_seed(0.80, 0.81), by_seed(0.70, 0.71), by_seed(0.60, 0.61)])
    assert found is not None and found.df == math.inf


@pytest.mark.parametrize("settings", [[], [by_seed(0.8, 0.9)], [by_seed(0.8, 0.9), by_seed(0.8), by_seed(0.7, 0.7)]])
def test_one_setting_is_no_family(settings: list[dict[int, float]]) -> None:
    assert prior(settings) is None
