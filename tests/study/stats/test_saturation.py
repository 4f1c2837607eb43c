"""The saturating fit finds what the curve was made of, and says so where it cannot."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from hskd_lightning.study.stats.intervals import mean_curve
from hskd_lightning.study.stats.marginal_utility import Curve
from hskd_lightning.study.stats.saturation import _fit, fit_saturation, lack_of_fit
from tests.study.scores import by_seed, noisy, one_seed

AMOUNTS = np.array([0.0, 100, 250, 500, 1000, 2500, 5000])


def saturating(scale: float) -> np.ndarray:
    return 0.80 + 0.05 * (1 - np.exp(-AMOUNTS / scale))


def curve_of(truth: np.ndarray) -> Curve:
    return one_seed(dict(zip(AMOUNTS.tolist(), truth.tolist(), strict=True)))


@pytest.mark.parametrize("scale", [40.0, 500.0, 4000.0])
def test_an_exact_curve_is_found(scale: float) -> None:
    found = fit_saturation(curve_of(saturating(scale)))
    assert found.verdict == "saturates"
    assert (found.floor, found.gain, found.scale) == pytest.approx((0.80, 0.05, scale), rel=1e-3)
    assert found.rmse < 1e-6


def test_the_fitted_score_by_hand() -> None:
    found = fit_saturation(curve_of(saturating(500)))
    assert found.at(0) == pytest.approx(0.80, abs=1e-5)
    assert found.at(500) == pytest.approx(0.80 + 0.05 * 0.632121, abs=1e-5)  # 1 - 1/e


def test_the_fit_is_scipys_curve_fit() -> None:
    curve = noisy(AMOUNTS, saturating(500), 4, 0.004, np.random.default_rng(0))
    means = mean_curve(np.array([list(scores.values()) for scores in curve.values()]).T)
    expected, _ = curve_fit(lambda x, a, b, c: a + b * (1 - np.exp(-x / c)), AMOUNTS, means, p0=(0.8, 0.05, 300))
    found = fit_saturation(curve, resamples=20)
    assert (found.floor, found.gain, found.scale) == pytest.approx(tuple(expected), rel=1e-3)


def test_one_seed_has_no_intervals() -> None:
    found = fit_saturation(curve_of(saturating(500)))
    assert all(math.isnan(end) for end in (found.floor_low, found.gain_high, found.scale_low, found.scale_high))


def test_seeds_that_agree_have_intervals_of_no_width() -> None:
    curve = {amount: by_seed(*[scores[1]] * 3) for amount, scores in curve_of(saturating(500)).items()}
    found = fit_saturation(curve, resamples=5)
    assert found.scale_low == found.scale == found.scale_high


def test_the_same_seed_draws_the_same_intervals() -> None:
    curve = noisy(AMOUNTS, saturating(500), 4, 0.004, np.random.default_rng(0))
    first, second, other = (fit_saturation(curve, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.scale_low != other.scale_low


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [
        pytest.param(np.full(7, 0.1), "no gain", id="flat"),
        pytest.param(np.full(7, 0.6), "no gain", id="flat, with a gain of rounding errors"),
        pytest.param(0.9 - AMOUNTS / 50_000, "no gain", id="falling"),
        pytest.param(0.8 + AMOUNTS / 50_000, "not shown to saturate", id="straight"),
        pytest.param(0.8 + (AMOUNTS / 20_000) ** 2, "not shown to saturate", id="rising ever faster"),
    ],
)
def test_a_curve_without_a_plateau_gets_a_verdict_and_no_numbers(truth: np.ndarray, verdict: str) -> None:
    found = fit_saturation(curve_of(truth))
    assert found.verdict == verdict
    assert all(math.isnan(value) for value in astuple(found)[4:-1])


def test_one_seed_of_two_without_a_plateau_leaves_it_open() -> None:
    straight = 0.8 + AMOUNTS / 50_000
    curve = {a: by_seed(*pair) for a, *pair in zip(AMOUNTS.tolist(), straight, saturating(500), strict=True)}
    assert fit_saturation(curve_of((straight + saturating(500)) / 2)).verdict == "saturates"
    assert fit_saturation(curve, resamples=20).verdict == "not shown to saturate"


def test_a_plateau_from_the_first_amount_bounds_the_scale() -> None:
    found = fit_saturation(curve_of(np.array([0.8] + [0.9] * 6)))
    assert found.verdict == "saturates by the first amount"
    assert found.scale == pytest.approx(100 / 5, rel=0.01)
    assert found.gain == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        pytest.param({}, "too few amounts", id="nothing"),
        pytest.param(one_seed({0: 0.8, 1: 0.9, 2: 0.9}), "too few amounts", id="three points"),
        pytest.param(one_seed({1: 0.8, 2: 0.9, 3: 0.9, 4: 0.9}), "no baseline", id="no baseline"),
        pytest.param({amount: {amount: 0.8} for amount in range(4)}, "no shared seed", id="no shared seed"),
    ],
)
def test_a_curve_that_cannot_be_fitted_says_why(curve: Curve, verdict: str) -> None:
    assert fit_saturation(curve).verdict == verdict


def test_lack_of_fit_by_hand() -> None:
    # two seeds spread by 0.0002 at each of 4 amounts; F = 2 * 4 * 0.01^2 / 1 / 0.0002 = 4, with 1 and 4: p = 0.116
    scores = np.array([[0.79] * 4, [0.81] * 4])
    assert lack_of_fit(scores, rmse=0.01) == pytest.approx(stats.f.sf(4, 1, 4))
    assert lack_of_fit(scores, rmse=0.01) == pytest.approx(0.1161, abs=1e-4)


def test_one_seed_has_no_test_of_the_fit() -> None:
    assert math.isnan(lack_of_fit(np.full((1, 5), 0.8), rmse=0.01))


def test_a_curve_of_another_shape_does_not_fit_and_has_no_numbers() -> None:
    steps = np.array([0.80, 0.83, 0.83, 0.83, 0.86, 0.86, 0.86])  # two steps, where the shape has one
    curve = {a: by_seed(y - 0.001, y, y + 0.001) for a, y in zip(AMOUNTS.tolist(), steps.tolist(), strict=True)}
    found = fit_saturation(curve, resamples=20)
    assert found.verdict == "does not fit" and found.p_fit < 0.001
    assert math.isnan(found.scale)


# By the dice.


def test_a_curve_of_the_shape_is_refused_as_often_as_alpha() -> None:
    dice = np.random.default_rng(7)
    curves = [saturating(500) + dice.normal(0, 0.004, (4, 7)) for _ in range(300)]
    fits = _fit(AMOUNTS, np.array([mean_curve(curve) for curve in curves]))
    p = [lack_of_fit(curve, rmse) for curve, (_, _, _, rmse) in zip(curves, fits, strict=True)]
    assert np.mean([each < 0.05 for each in p]) == pytest.approx(0.05, abs=0.038)  # three standard errors


def test_noise_is_not_taken_for_a_gain() -> None:
    dice = np.random.default_rng(4)
    curves = [noisy(AMOUNTS, np.full(7, 0.8), 5, 0.005, dice) for _ in range(40)]
    found = [fit_saturation(curve, resamples=60).verdict for curve in curves]
    assert found.count("no gain") >= 34  # 2.5% a side, and some for the scale that was picked


def test_a_noisy_straight_line_is_not_taken_for_a_plateau() -> None:
    dice = np.random.default_rng(5)
    curves = [noisy(AMOUNTS, 0.8 + AMOUNTS / 50_000, 5, 0.005, dice) for _ in range(40)]
    found = [fit_saturation(curve, resamples=60).verdict for curve in curves]
    assert found.count("saturates") <= 4


def test_the_intervals_cover_the_truth() -> None:
    dice = np.random.default_rng(6)
    found = [fit_saturation(noisy(AMOUNTS, saturating(500), 8, 0.004, dice), resamples=150) for _ in range(40)]
    assert {each.verdict for each in found} == {"saturates"}
    assert np.mean([each.scale_low <= 500 <= each.scale_high for each in found]) >= 0.85  # 95% less three errors
    assert np.mean([each.gain_low <= 0.05 <= each.gain_high for each in found]) >= 0.85


def test_the_last_bits_of_the_means_move_no_number_of_the_fit() -> None:
    """As another processor sums otherwise, and its search ends beside ours."""
    means = saturating(500) + np.array([0, 2, -1, 1, -2, 1, 0]) / 1000
    found = _fit(AMOUNTS, np.array([means * (1 + bits) for bits in (0.0, 2e-16, -2e-16, 4e-15)]))
    assert len({scale for _, _, scale, _ in found}) == 1
    assert all(fitted == pytest.approx(found[0], abs=1e-11, rel=0) for fitted in found)
