"""Means over seeds and their intervals, by hand, by scipy, and by the dice."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.intervals import (
    bootstrap_interval,
    mean_curve,
    resampled_means,
    summarize,
    summarize_values,
)
from tests.study.scores import by_seed

THREE = by_seed(0.80, 0.82, 0.84)  # mean 0.82, sd 0.02


def test_mean_and_spread_by_hand() -> None:
    found = summarize(THREE)
    assert (found.n, found.mean, found.sd) == (3, 0.82, pytest.approx(0.02))


def test_the_interval_by_hand() -> None:
    half = 4.302653 * 0.02 / math.sqrt(3)  # the t table: 2 degrees of freedom, 97.5%
    assert (summarize(THREE).low, summarize(THREE).high) == pytest.approx((0.82 - half, 0.82 + half))


def test_the_interval_is_scipys() -> None:
    scores = [0.81, 0.83, 0.80, 0.86, 0.85]
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.9)
    found = summarize(by_seed(*scores), level=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = summarize(by_seed(0.8))
    assert (found.n, found.mean) == (1, 0.8)
    assert all(math.isnan(value) for value in (found.sd, found.low, found.high))


def test_no_seed_has_nothing() -> None:
    found = summarize({})
    assert found.n == 0
    assert math.isnan(found.mean)


def test_equal_scores_have_no_spread_at_all() -> None:
    found = summarize(by_seed(0.1, 0.1, 0.1))  # in floats their mean is 0.10000000000000002
    assert (found.mean, found.sd, found.low, found.high) == (0.1, 0.0, 0.1, 0.1)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)`scores\[2\]` = nan .*finite"):
        summarize(by_seed(0.8, math.nan))


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_outside_0_and_1_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`level` = .*between 0 and 1"):
        summarize(THREE, level)


def test_a_summary_is_a_row_of_json() -> None:
    row = {"n": 2, "mean": 0.5, "sd": 0.0, "low": 0.5, "high": 0.5, "level": 0.95}
    assert json.loads(json.dumps(asdict(summarize(by_seed(0.5, 0.5))))) == row


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    dice = np.random.default_rng(1)
    found = [summarize_values(dice.normal(0.8, 0.01, 5), 0.95) for _ in range(4000)]
    share = np.mean([each.low <= 0.8 <= each.high for each in found])
    assert share == pytest.approx(0.95, abs=0.0103)  # three standard errors of 4000 draws


# The bootstrap.


def test_a_resample_of_one_seed_is_that_seed() -> None:
    assert resampled_means(np.array([[0.8, 0.9]]), 3, seed=0).tolist() == [[0.8, 0.9]]


def test_a_seed_is_drawn_with_all_its_amounts() -> None:
    scores = np.array([[0.1, 0.2], [0.5, 0.6], [0.7, 0.8]])
    drawn = resampled_means(scores, 50, seed=0)
    assert len(set(drawn[:, 0])) > 5
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(0.1)


def test_resampled_means_spread_as_means_do() -> None:
    drawn = resampled_means(np.array([[0.0], [1.0]]), 4000, seed=0)[:, 0]  # 0, 1/2, 1/2 or 1
    assert np.mean(drawn == 0.5) == pytest.approx(0.5, abs=0.024)  # three standard errors
    assert set(drawn) == {0.0, 0.5, 1.0}


def test_the_same_seed_draws_the_same() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3))
    assert (resampled_means(scores, 20, seed=7) == resampled_means(scores, 20, seed=7)).all()
    assert (resampled_means(scores, 20, seed=7) != resampled_means(scores, 20, seed=8)).any()


def test_equal_scores_average_to_themselves() -> None:
    assert mean_curve(np.full((3, 2), 0.1)).tolist() == [0.1, 0.1]


def test_the_bootstrap_interval_of_a_mean_is_about_its_t_interval() -> None:
    scores = stats.norm.ppf((np.arange(10) + 0.5) / 10)[:, None]
    low, high = bootstrap_interval(resampled_means(scores, 20_000, seed=0)[:, 0], n=10, level=0.95)
    expected = summarize_values(scores[:, 0], 0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=0.05)  # plain percentiles: 18% narrower


def test_one_seed_has_no_bootstrap_interval() -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([1.0, 1.0]), n=1, level=0.95))


def test_more_than_anything_sorts_last() -> None:
    values = np.array([1.0, 2.0, math.inf])
    assert bootstrap_interval(values, n=5, level=0.95) == (1.0, math.inf)


@pytest.mark.parametrize("resamples", [0, 2.5, True])
def test_a_number_of_resamples_that_is_none_is_refused(resamples) -> None:
    with pytest.raises(ConfigError, match="(?s)`resamples` = .*whole number"):
        resampled_means(np.zeros((2, 2)), resamples, seed=0)
