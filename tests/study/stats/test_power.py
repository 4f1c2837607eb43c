"""What it takes to decide: by statsmodels, by the dice, and in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower

from hskd_lightning.study.stats.comparison import equivalence
from hskd_lightning.study.stats.power import (
    Noise,
    foresight,
    margin_shown,
    noise,
    power,
    said,
    seeds_needed,
    sentences_needed,
    undecided,
)
from tests.study.scores import answered, by_seed

POINT = Noise(0.01, 0.01)
"""Both settings spread by a point over seeds."""


@pytest.mark.parametrize("n", [3, 5, 14])
def test_the_power_is_statsmodels(n: int) -> None:
    expected = TTestIndPower().power(effect_size=1.0, nobs1=n, alpha=0.05, alternative="larger")
    assert power(POINT, n, margin=0.01) == pytest.approx(expected)


def test_the_power_is_how_often_it_is_shown() -> None:
    dice, (sd, other) = np.random.default_rng(0), (0.004, 0.012)
    found = [
        equivalence(by_seed(*dice.normal(0, sd, 8)), by_seed(*dice.normal(0, other, 8)), 0.012).serves
        for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(power(Noise(sd, other), 8, margin=0.012), abs=0.033)


def test_the_seeds_that_a_spread_needs_are_statsmodels() -> None:
    expected = TTestIndPower().solve_power(effect_size=1.0, power=0.8, alpha=0.05, alternative="larger")
    assert seeds_needed(POINT, margin=0.01) == math.ceil(expected) == 14


def test_the_fewest_that_may_say_anything_are_three() -> None:
    assert seeds_needed(Noise(1e-5, 1e-5), margin=0.01) == 3


def test_a_search_for_seeds_has_an_end() -> None:
    assert seeds_needed(Noise(10.0, 10.0), margin=0.001) > 1000


def test_the_margin_of_n_seeds_is_what_they_need_n_for() -> None:
    margin = margin_shown(POINT, 5)
    assert power(POINT, 5, margin) == pytest.approx(0.8, abs=1e-3)


def test_without_any_spread_there_is_no_margin() -> None:
    assert margin_shown(Noise(0, 0), 3) == 0 and power(Noise(0, 0), 3, 0.01) == 1


def test_no_number_of_seeds_takes_away_the_choice_of_sentences() -> None:
    wide = Noise(0.001, 0.001, examples=0.01**2, size=800)
    assert seeds_needed(wide, margin=0.01) is None
    # (1.6449 + 0.8416)^2 = 6.18 times as many sentences
    assert sentences_needed(wide, margin=0.01) == pytest.approx(6.18 * 800, rel=1e-3)


def test_more_seeds_are_needed_where_sentences_have_a_part() -> None:
    part = Noise(0.01, 0.01, examples=0.003**2, size=800)
    assert (seeds_needed(part, margin=0.01) or 0) > (seeds_needed(POINT, margin=0.01) or 0)


def test_the_noise_of_a_comparison() -> None:
    found = noise(by_seed(0.90, 0.91, 0.92), by_seed(0.80, 0.84), of_sentences=True)
    assert found is not None
    assert (found.sd, found.reference_sd, found.examples) == pytest.approx((0.01, 0.04 / math.sqrt(2), 0))


def test_the_noise_of_new_sentences_has_their_part() -> None:
    dice = np.random.default_rng(1)
    one, other = (answered(dice, 3, 200, 0.1, ease=dice.normal(1, 1, 200)) for _ in range(2))
    found, alone = noise(one, other, of_sentences=True), noise(one, other)
    assert found is not None and alone is not None
    assert (alone.examples, found.size) == (0, 200) and found.examples > 0


def test_one_seed_has_no_noise() -> None:
    assert noise({1: 0.9}, by_seed(0.8, 0.9)) is None


def test_it_is_said_in_words() -> None:
    assert said(POINT, 3, margin=0.01) == "this spread needs 14 seeds; 3 can show 2.5 points"


def test_a_plan_is_told_before_it_runs() -> None:
    assert foresight(3, sd=0.01, margin=0.01) == (
        "at a spread of 1 point over seeds, a margin of 1 point: this spread needs 14 seeds; 3 can show 2.5 points"
    )


@pytest.mark.parametrize(
    ("of", "begins"),
    [
        (Noise(0.001, 0.001, 0.01**2, 800), "no number of seeds shows 1 point, 4,947 sentences or more would"),
        (Noise(1.0, 1.0), "this spread needs over 1000 seeds"),
    ],
)
def test_what_cannot_be_had_is_said(of: Noise, begins: str) -> None:
    assert said(of, 5, margin=0.01).startswith(begins)


def test_where_the_spread_is_in_the_way_more_seeds_decide() -> None:
    assert undecided(POINT, 3, margin=0.01, loss=0.004) == said(POINT, 3, margin=0.01)


def test_where_a_loss_is_in_the_way_it_is_named() -> None:
    # 0.3 points are left of the margin: (1 / 0.3)^2 times the seeds that a whole point takes of large samples
    found = undecided(Noise(0.004, 0.004), 5, margin=0.01, loss=0.007)
    assert found == (
        "5 seeds are enough where it serves alike, but it seems to lose 0.7 points: to show that this is within the "
        "margin takes 23 seeds"
    )


def test_a_loss_beyond_the_margin_is_not_for_want_of_seeds() -> None:
    assert undecided(Noise(0.004, 0.004), 5, 0.01, loss=0.012).endswith("lose 1.2 points, more than the margin")


def test_one_seed_can_show_nothing() -> None:
    assert said(POINT, 1, 0.01).endswith("1 can show nothing")
