"""What a scalar of knowledge is worth, and whether it is worth less and less: by hand and by the dice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.marginal_utility import Curve, diminishing, marginal_utility, on_shared_seeds
from tests.study.scores import by_seed, noisy, one_seed

TWO_STEPS = {
    0: by_seed(0.80, 0.82),
    100: by_seed(0.90, 0.94),
    500: by_seed(0.92, 0.94),
}


def test_the_gain_of_a_step_by_hand() -> None:
    first, second = marginal_utility(TWO_STEPS)
    assert (first.gain.mean, first.scalars) == pytest.approx((0.11, 100))
    assert (second.gain.mean, second.scalars) == pytest.approx((0.01, 400))


def test_a_step_is_the_difference_of_its_ends() -> None:
    first, _ = marginal_utility(TWO_STEPS)
    expected = difference(TWO_STEPS[100], TWO_STEPS[0]).seeds
    assert (first.gain.seeds.low, first.gain.seeds.high) == (expected.low, expected.high)


def test_p_is_corrected_over_the_steps() -> None:
    first, second = (step.gain.seeds for step in marginal_utility(TWO_STEPS))
    assert (first.p_holm, second.p_holm) == pytest.approx((2 * first.p, second.p))


def test_amounts_need_not_come_in_order() -> None:
    assert marginal_utility(dict(reversed(TWO_STEPS.items()))) == marginal_utility(TWO_STEPS)


def test_a_step_takes_all_seeds_of_its_two_ends() -> None:
    (step,) = marginal_utility({0: {1: 0.7, 2: 0.9}, 100: {3: 0.9, 4: 0.9, 5: 0.9}})
    assert (step.gain.n, step.gain.mean) == (2, pytest.approx(0.1))


def test_a_step_of_one_seed_has_no_interval() -> None:
    (step,) = marginal_utility({0: {1: 0.8}, 100: {2: 0.9}})
    assert step.gain.n == 1
    assert math.isnan(step.gain.shown.low) and math.isnan(step.gain.shown.p_holm)


@pytest.mark.parametrize("curve", [{}, {100: by_seed(0.9)}])
def test_fewer_than_two_amounts_have_no_step(curve: Curve) -> None:
    assert marginal_utility(curve) == []


@pytest.mark.parametrize("amount", [-1.0, math.nan, math.inf])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`amount` = .*0 or more"):
        marginal_utility({0: by_seed(0.8), amount: by_seed(0.9)})


# Diminishing.


def test_height_above_the_chord_by_hand() -> None:
    # at 100 of 400 the chord is at 0.825, the curve 0.075 above: a triangle over the whole way, half as high on average
    assert diminishing(one_seed({0: 0.80, 100: 0.90, 400: 0.90})).height.mean == pytest.approx(0.0375)


def test_height_without_the_baseline_by_hand() -> None:
    # from 100 on: at 200 of 400 the chord is at 0.90, the curve 0.03 above; half of it on average
    found = diminishing(one_seed({0: 0.10, 100: 0.87, 200: 0.91, 400: 0.90}))
    assert found.height_without.mean == pytest.approx(0.015)


def test_slopes_by_hand() -> None:
    # 0.05 by the first 100 scalars, 0.05 by 900 more
    found = diminishing(one_seed({0: 0.80, 100: 0.85, 200: 0.88, 500: 0.89, 1000: 0.90}))
    assert found.slopes.mean == pytest.approx(0.05 / 0.1 - 0.05 / 0.9)


def around(*means: float) -> dict[float, dict[int, float]]:
    """Three seeds around each mean, at 0, 100, 200, ..."""
    return {100.0 * at: by_seed(mean - 0.001, mean, mean + 0.001) for at, mean in enumerate(means)}


@pytest.mark.parametrize(
    ("curve", "verdict", "agreeing"),
    [
        pytest.param(around(0.80, 0.85, 0.88, 0.89, 0.90), "diminishes", 3, id="a gain that falls"),
        pytest.param(around(0.80, 0.81, 0.82, 0.85, 0.90), "increases", 0, id="a gain that grows"),
        pytest.param(around(0.80, 0.82, 0.84, 0.86, 0.88), "undecided", 0, id="a straight line"),
        pytest.param(around(0.80, 0.88, 0.89, 0.90, 0.91), "undecided", 2, id="one jump and a straight line"),
        pytest.param(around(0.80, 0.80, 0.90, 0.90, 0.90, 0.90), "undecided", 2, id="a sigmoid"),
    ],
)
def test_it_diminishes_where_all_three_agree(curve: Curve, verdict: str, agreeing: int) -> None:
    found = diminishing(curve)
    assert (found.verdict, len(found.agreeing)) == (verdict, agreeing)


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param({}, id="nothing"),
        pytest.param(around(0.8, 0.9), id="two amounts"),
        pytest.param(around(0.8, 0.9, 0.9), id="two beside the baseline"),
        pytest.param(one_seed({0: 0.8, 100: 0.9, 200: 0.9, 300: 0.9}), id="one seed"),
    ],
)
def test_what_has_no_test_is_untested(curve: Curve) -> None:
    assert diminishing(curve).verdict == "untested"


def test_a_curve_without_a_baseline_has_all_of_its_height() -> None:
    found = diminishing({amount + 100: scores for amount, scores in around(0.80, 0.85, 0.88, 0.89).items()})
    assert found.height == found.height_without and found.verdict == "diminishes"


def test_only_seeds_of_the_whole_curve_are_shared() -> None:
    amounts, scores = on_shared_seeds({200: {3: 0.6, 2: 0.5}, 0: {1: 0.1, 2: 0.2, 3: 0.3}, 100: {2: 0.4, 3: 0.5}})
    assert amounts.tolist() == [0, 100, 200]
    assert scores.tolist() == [[0.2, 0.4, 0.5], [0.3, 0.5, 0.6]]


AMOUNTS = np.array([0.0, 100, 250, 500, 1000, 2500])


def claimed(truth: np.ndarray, draws: int) -> float:
    """How often a curve is said to diminish."""
    dice = np.random.default_rng(2)
    found = [diminishing(noisy(AMOUNTS, truth, 5, 0.004, dice)).verdict for _ in range(draws)]
    return float(np.mean([verdict == "diminishes" for verdict in found]))


def test_a_noisy_straight_line_is_seldom_said_to_diminish() -> None:
    assert claimed(0.80 + AMOUNTS / 50_000, 500) <= 0.025 + 0.021  # three standard errors


def test_a_noisy_sigmoid_is_seldom_said_to_diminish() -> None:
    sigmoid = 0.80 + 0.05 / (1 + np.exp((400 - AMOUNTS) / 80))  # above the chord for most of its way
    assert claimed(sigmoid, 300) <= 0.025 + 0.027


def test_a_noisy_bend_is_found() -> None:
    assert claimed(0.85 - 0.05 * np.exp(-AMOUNTS / 150), 100) >= 0.9
