"""How little is enough, by hand and by the dice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.marginal_utility import Curve
from hskd_lightning.study.stats.minimum import judge, smallest_keeping, smallest_serving
from tests.study.scores import by_seed, noisy, one_seed

FULL = by_seed(0.900, 0.910, 0.920)
AS_GOOD = by_seed(0.901, 0.910, 0.919)  # within a tenth of a point
WORSE = by_seed(0.880, 0.891, 0.899)  # by two points


# To serve as well as all of it.


def test_the_smallest_of_those_that_serve() -> None:
    found = smallest_serving({0: WORSE, 100: WORSE, 200: AS_GOOD, 400: AS_GOOD, 800: FULL})
    assert (found.amount, found.verdict, found.passed, found.tested) == (200, "equivalent", 2, 4)


def test_a_lucky_amount_below_one_that_fails_does_not_count() -> None:
    found = smallest_serving({0: WORSE, 100: AS_GOOD, 200: WORSE, 400: AS_GOOD, 800: FULL})
    assert (found.amount, found.passed) == (400, 2)


def test_none_serves() -> None:
    found = smallest_serving({0: WORSE, 400: WORSE, 800: FULL})
    assert (found.amount, found.verdict, found.tested) == (None, "none serves", 2)
    assert math.isnan(found.mean)


def test_logits_alone_may_serve() -> None:
    found = smallest_serving({0: AS_GOOD, 400: AS_GOOD, 800: FULL})
    assert (found.amount, found.verdict, found.n) == (0, "equivalent", 3)


def test_less_that_is_better_serves_and_is_called_so() -> None:
    better = by_seed(0.930, 0.941, 0.949)
    found = smallest_serving({0: WORSE, 100: better, 800: FULL})
    assert (found.amount, found.verdict, found.mean) == (100, "non-inferior", pytest.approx(0.03))


def test_the_difference_is_that_at_the_amount() -> None:
    curve = {0: WORSE, 100: AS_GOOD, 200: FULL, 800: FULL}
    found, at_it = smallest_serving(curve), judge(curve)[100]
    assert (found.n, found.mean, found.low, found.high) == (3, at_it.mean, at_it.low, at_it.high)


def test_full_is_not_judged_against_itself() -> None:
    assert list(judge({800: FULL, 0: WORSE, 100: AS_GOOD})) == [0, 100]


def test_full_may_come_from_elsewhere() -> None:
    assert smallest_serving({100: WORSE, 200: AS_GOOD}, full=FULL).amount == 200


def test_an_amount_with_one_seed_stops_the_way_down() -> None:
    assert smallest_serving({100: AS_GOOD, 200: by_seed(0.9), 400: AS_GOOD, 800: FULL}).amount == 400


@pytest.mark.parametrize("curve", [{}, {800: FULL}])
def test_nothing_below_full(curve: Curve) -> None:
    found = smallest_serving(curve)
    assert (found.amount, found.tested) == (None, 0)


def test_a_wider_margin_lets_more_through() -> None:
    assert smallest_serving({0: WORSE, 100: AS_GOOD, 800: FULL}, margin=0.03).amount == 0


def test_an_amount_that_does_not_serve_is_named_as_seldom_as_alpha() -> None:
    dice = np.random.default_rng(7)
    amounts, truth = range(6), np.array([0.79] * 5 + [0.80])  # all exactly at the margin
    found = [smallest_serving(noisy(amounts, truth, 5, 0.005, dice)).amount for _ in range(1000)]
    assert np.mean([amount is not None for amount in found]) <= 0.05 + 0.021  # three standard errors


# To keep most of what it brings.


def test_nine_tenths_of_the_gain_by_hand() -> None:
    # 0.80 + 0.9 x 0.10 = 0.89, three quarters of the way from 0.86 to 0.90
    found = smallest_keeping(one_seed({0: 0.80, 100: 0.86, 200: 0.90, 400: 0.90}))
    assert (found.amount, found.gain, found.verdict) == (pytest.approx(175), pytest.approx(0.10), "kept")


def test_a_measured_amount_that_hits_it() -> None:
    assert smallest_keeping(one_seed({0: 0.0, 100: 0.5, 200: 1.0}), share=0.5).amount == pytest.approx(100)


def test_a_dip_moves_it_to_the_later_crossing() -> None:
    # 0.89 is reached before 100, lost at 200, and reached for good four fifths of the way from 0.85 to 0.90
    assert smallest_keeping(one_seed({0: 0.80, 100: 0.90, 200: 0.85, 400: 0.90})).amount == pytest.approx(360)


def test_it_is_that_of_the_mean_curve() -> None:
    curve = {0: by_seed(0.79, 0.81), 100: by_seed(0.85, 0.87), 200: by_seed(0.91, 0.89), 400: by_seed(0.90, 0.90)}
    assert smallest_keeping(curve).amount == pytest.approx(175)


@pytest.mark.parametrize("last", [0.80, 0.79])
def test_without_a_gain_there_is_nothing_to_keep(last: float) -> None:
    found = smallest_keeping(one_seed({0: 0.80, 100: 0.90, 200: last}))
    assert (found.amount, found.verdict) == (None, "no gain")


def test_a_gain_of_rounding_errors_is_none() -> None:
    curve = {0: by_seed(0.2, 0.2, 0.2), 100: by_seed(0.1, 0.2, 0.3)}  # in floats their means differ by 3e-17
    assert smallest_keeping(curve).verdict == "no gain"


def test_no_baseline() -> None:
    found = smallest_keeping(one_seed({100: 0.8, 200: 0.9}))
    assert (found.amount, found.verdict) == (None, "no baseline")


@pytest.mark.parametrize("curve", [{}, {0: {1: 0.8}, 100: {2: 0.9}}])
def test_no_shared_seed(curve: Curve) -> None:
    found = smallest_keeping(curve)
    assert (found.amount, found.n, found.verdict) == (None, 0, "no shared seed")


@pytest.mark.parametrize("share", [0, 1, 90])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`share` = .*between 0 and 1"):
        smallest_keeping(one_seed({0: 0.8, 100: 0.9}), share)


def test_one_seed_has_an_amount_and_no_interval() -> None:
    found = smallest_keeping(one_seed({0: 0.8, 100: 0.9}))
    assert found.amount == pytest.approx(90)
    assert math.isnan(found.low) and math.isnan(found.high)


def test_the_interval_of_two_seeds_runs_from_the_one_to_the_other() -> None:
    curve = {0: by_seed(0.80, 0.80), 100: by_seed(0.90, 0.80), 200: by_seed(0.90, 0.90)}  # 90 and 190
    found = smallest_keeping(curve)
    assert (found.low, found.high) == (pytest.approx(90), pytest.approx(190))


def test_a_gain_that_may_be_none_has_no_upper_end() -> None:
    found = smallest_keeping({0: by_seed(0.80, 0.80), 100: by_seed(0.90, 0.79)})  # a gain of 0.10, and of none
    assert (found.amount, found.high) == (pytest.approx(90), math.inf)


def test_the_interval_covers_the_truth() -> None:
    dice = np.random.default_rng(8)
    amounts = np.array([0.0, 100, 250, 500, 1000, 2500])
    truth = np.array([0.80, 0.81, 0.83, 0.84, 0.86, 0.86])  # 0.854 is reached at 850
    found = [smallest_keeping(noisy(amounts, truth, 8, 0.003, dice), resamples=300) for _ in range(150)]
    assert np.mean([each.low <= 850 <= each.high for each in found]) >= 0.89  # 95% less three standard errors
    assert np.median([each.high - each.low for each in found]) < 300
    assert all(each.low <= each.amount <= each.high for each in found if each.amount is not None)
