"""What a scalar of knowledge is worth, and whether it is worth less and less: by hand and by the dice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.marginal_utility import Curve, diminishing, marginal_utility, on_shared_seeds
from tests.study.scores import by_seed, noisy, one_seed

TWO_STEPS = {
    0: by_seed(0.80, 0.80),
    100: by_seed(0.90, 0.92),  # gains 0.10 and 0.12
    500: by_seed(0.92, 0.92),  # gains 0.02 and 0.00
}


def test_the_gain_of_a_step_by_hand() -> None:
    first, second = marginal_utility(TWO_STEPS)
    assert (first.gain, first.per_scalar) == pytest.approx((0.11, 0.11 / 100))
    assert (second.gain, second.per_scalar) == pytest.approx((0.01, 0.01 / 400))


def test_its_interval_by_hand() -> None:
    half = 12.706205 * 0.01 / 100  # the t table: 1 degree of freedom; sd 0.01 sqrt 2, so a standard error of 0.01
    first = marginal_utility(TWO_STEPS)[0]
    assert (first.low, first.high) == pytest.approx((0.0011 - half, 0.0011 + half))


def test_p_of_a_step_by_hand() -> None:
    p = 1 - 2 / math.pi * math.atan(11)  # t = 0.11 / 0.01; with 1 degree of freedom Student's t is Cauchy's
    assert marginal_utility(TWO_STEPS)[0].p == pytest.approx(p)


def test_p_is_corrected_over_the_steps() -> None:
    first, second = marginal_utility(TWO_STEPS)
    assert (first.p_holm, second.p_holm) == pytest.approx((2 * first.p, second.p))


def test_amounts_need_not_come_in_order() -> None:
    assert marginal_utility(dict(reversed(TWO_STEPS.items()))) == marginal_utility(TWO_STEPS)


def test_a_step_counts_the_seeds_of_its_two_ends() -> None:
    curve = {0: {1: 0.8, 2: 0.8}, 100: {1: 0.9, 2: 0.9, 3: 0.9}, 200: {2: 0.9, 3: 0.9, 4: 0.0}}
    assert [(step.n, step.gain) for step in marginal_utility(curve)] == [(2, 0.1), (2, 0.0)]


def test_a_step_without_shared_seeds_is_undefined() -> None:
    (step,) = marginal_utility({0: {1: 0.8}, 100: {2: 0.9}})
    assert step.n == 0
    assert math.isnan(step.per_scalar) and math.isnan(step.p_holm)


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
    assert diminishing(one_seed({0: 0.80, 100: 0.90, 400: 0.90})).excess == pytest.approx(0.0375)


def test_a_gain_that_falls_diminishes() -> None:
    found = diminishing({0: by_seed(0.80, 0.81), 100: by_seed(0.90, 0.92), 200: by_seed(0.90, 0.92)})
    # 0.05 and 0.055 above the chord in the middle; 0.025 and 0.0275 on average: t = 0.02625 / 0.00125 = 21
    assert (found.excess, found.verdict) == (pytest.approx(0.02625), "diminishes")
    assert found.p == pytest.approx(1 - 2 / math.pi * math.atan(21))


def test_a_gain_that_grows_increases() -> None:
    assert (
        diminishing({0: by_seed(0.80, 0.81), 100: by_seed(0.80, 0.81), 200: by_seed(0.90, 0.92)}).verdict == "increases"
    )


def test_a_straight_line_is_undecided() -> None:
    found = diminishing({0: by_seed(0.1, 0.2), 100: by_seed(0.2, 0.4), 400: by_seed(0.5, 1.0)})
    assert (found.excess, found.sd, found.p, found.verdict) == (0.0, 0.0, 1.0, "undecided")


def test_two_amounts_have_no_bend() -> None:
    found = diminishing({0: by_seed(0.8, 0.8), 100: by_seed(0.9, 0.9)})
    assert (found.n, found.amounts, found.verdict) == (2, 2, "untested")
    assert math.isnan(found.excess)


def test_one_seed_has_a_bend_but_no_test() -> None:
    found = diminishing(one_seed({0: 0.8, 100: 0.9, 200: 0.9}))
    assert (found.excess, found.verdict) == (pytest.approx(0.025), "untested")


def test_an_empty_curve_is_untested() -> None:
    assert diminishing({}).verdict == "untested"


def test_only_seeds_of_the_whole_curve_count() -> None:
    amounts, scores = on_shared_seeds({200: {3: 0.6, 2: 0.5}, 0: {1: 0.1, 2: 0.2, 3: 0.3}, 100: {2: 0.4, 3: 0.5}})
    assert amounts.tolist() == [0, 100, 200]
    assert scores.tolist() == [[0.2, 0.4, 0.5], [0.3, 0.5, 0.6]]


AMOUNTS = np.array([0.0, 100, 250, 500, 1000, 2500])


def test_a_noisy_straight_line_is_called_bent_as_seldom_as_it_should() -> None:
    dice = np.random.default_rng(2)
    curves = [noisy(AMOUNTS, 0.80 + AMOUNTS / 50_000, 5, 0.005, dice) for _ in range(2000)]
    wrong = np.mean([diminishing(curve).verdict != "undecided" for curve in curves])
    assert wrong == pytest.approx(0.05, abs=0.015)  # three standard errors of 2000 draws


def test_a_noisy_bend_is_found() -> None:
    dice = np.random.default_rng(3)
    truth = 0.85 - 0.05 * np.exp(-AMOUNTS / 250)
    assert all(diminishing(noisy(AMOUNTS, truth, 5, 0.005, dice)).verdict == "diminishes" for _ in range(100))
