"""How little is enough, by hand and by the dice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.marginal_utility import Curve
from hskd_lightning.study.stats.minimum import Bracket, judge, not_shown, smallest_keeping, smallest_serving
from tests.study.scores import answered, by_seed, noisy, one_seed

FULL = by_seed(0.909, 0.910, 0.911)
AS_GOOD = by_seed(0.910, 0.910, 0.911)  # within a tenth of a point
WORSE = by_seed(0.880, 0.880, 0.881)  # by three points


# To serve as well as all of it.


def test_the_smallest_of_those_that_serve() -> None:
    found = smallest_serving({0: WORSE, 100: WORSE, 200: AS_GOOD, 400: AS_GOOD, 800: FULL})
    assert (found.seeds.amount, found.seeds.verdict, found.seeds.passed, found.tested) == (200, "equivalent", 2, 4)


def test_a_lucky_amount_below_one_that_fails_does_not_count() -> None:
    found = smallest_serving({0: WORSE, 100: AS_GOOD, 200: WORSE, 400: AS_GOOD, 800: FULL})
    assert (found.seeds.amount, found.seeds.passed) == (400, 2)


def test_none_serves() -> None:
    found = smallest_serving({0: WORSE, 400: WORSE, 800: FULL})
    assert (found.shown.amount, found.shown.verdict, found.tested) == (None, "none serves", 2)
    assert math.isnan(found.shown.mean)


def test_logits_alone_may_serve() -> None:
    found = smallest_serving({0: AS_GOOD, 400: AS_GOOD, 800: FULL})
    assert (found.shown.amount, found.shown.verdict, found.shown.n) == (0, "equivalent", 3)


def test_less_that_is_better_serves_and_is_called_so() -> None:
    better = by_seed(0.930, 0.941, 0.949)
    found = smallest_serving({0: WORSE, 100: better, 800: FULL})
    assert (found.shown.amount, found.shown.verdict, found.shown.mean) == (100, "non-inferior", pytest.approx(0.03))


def test_the_difference_is_that_at_the_amount() -> None:
    curve = {0: WORSE, 100: AS_GOOD, 200: FULL, 800: FULL}
    found, at_it = smallest_serving(curve).shown, judge(curve)[100]
    assert (found.n, found.mean, found.low, found.high) == (3, at_it.mean, at_it.shown.low, at_it.shown.high)


def test_full_is_not_judged_against_itself() -> None:
    assert list(judge({800: FULL, 0: WORSE, 100: AS_GOOD})) == [0, 100]


def test_full_may_come_from_elsewhere() -> None:
    assert smallest_serving({100: WORSE, 200: AS_GOOD}, full=FULL).shown.amount == 200


def test_an_amount_with_two_seeds_stops_the_way_down() -> None:
    assert smallest_serving({100: AS_GOOD, 200: by_seed(0.91, 0.91), 400: AS_GOOD, 800: FULL}).shown.amount == 400


@pytest.mark.parametrize("curve", [{}, {800: FULL}])
def test_nothing_below_full(curve: Curve) -> None:
    found = smallest_serving(curve)
    assert (found.shown.amount, found.tested) == (None, 0)


def test_a_wider_margin_lets_more_through() -> None:
    assert smallest_serving({0: WORSE, 100: AS_GOOD, 800: FULL}, margin=0.05).shown.amount == 0


def test_an_amount_that_does_not_serve_is_named_as_seldom_as_alpha() -> None:
    dice = np.random.default_rng(7)
    amounts, truth = range(6), np.array([0.79] * 5 + [0.80])  # all exactly at the margin
    found = [smallest_serving(noisy(amounts, truth, 5, 0.005, dice)).shown.amount for _ in range(1000)]
    assert np.mean([amount is not None for amount in found]) <= 0.05 + 0.021  # three standard errors


def test_the_way_down_ends_at_the_largest_that_is_not_shown() -> None:
    judged = judge({0: WORSE, 100: AS_GOOD, 200: WORSE, 400: AS_GOOD, 800: FULL})
    assert not_shown(judged) == 200
    assert not_shown(judge({100: AS_GOOD, 800: FULL})) is None


def test_new_sentences_are_spoken_of_where_all_predictions_are_known() -> None:
    dice = np.random.default_rng(0)
    known = {amount: answered(dice, 3, 400, 0.02, ease=3.0) for amount in (0.0, 100.0, 800.0)}
    both, one = smallest_serving(known, margin=0.03), smallest_serving(known | {100.0: AS_GOOD})
    assert both.shown is both.sentences is not None
    assert one.sentences is None


# To keep most of what it brings.


def around(means: dict[float, float]) -> dict[float, dict[int, float]]:
    """Three seeds around each mean."""
    return {amount: by_seed(mean - 0.001, mean, mean + 0.001) for amount, mean in means.items()}


def test_the_bracket_by_hand() -> None:
    # 0.80 + 0.9 x 0.10 = 0.89: 0.86 is below, 0.90 above, and 0.89 neither
    found = smallest_keeping(around({0: 0.80, 100: 0.86, 200: 0.89, 300: 0.90, 400: 0.90}))
    assert (found.verdict, found.gain, found.n) == ("kept", pytest.approx(0.10), 3)
    assert found.shown == Bracket(100, 300)


def test_a_share_of_half() -> None:
    assert smallest_keeping(around({0: 0.0, 100: 0.4, 200: 0.6, 400: 1.0}), share=0.5).shown == Bracket(100, 200)


def test_a_dip_moves_the_upper_end_beyond_it() -> None:
    found = smallest_keeping(around({0: 0.80, 50: 0.82, 100: 0.90, 200: 0.85, 400: 0.90}))
    assert found.shown == Bracket(50, 400)


def test_where_no_amount_is_shown_to_keep_it_all_of_it_does() -> None:
    assert smallest_keeping(around({0: 0.80, 100: 0.82, 400: 0.90})).shown == Bracket(100, 400)


def test_where_none_is_shown_to_keep_less_nothing_does() -> None:
    assert smallest_keeping(around({0: 0.80, 100: 0.90, 400: 0.90})).shown == Bracket(0, 100)


def test_a_gain_that_may_be_none_has_no_upper_end() -> None:
    found = smallest_keeping({0: by_seed(0.80, 0.80), 100: by_seed(0.80, 0.80), 200: by_seed(0.90, 0.79)})
    assert (found.verdict, found.shown) == ("kept", Bracket(0, math.inf))


@pytest.mark.parametrize("last", [0.80, 0.79])
def test_without_a_gain_there_is_nothing_to_keep(last: float) -> None:
    found = smallest_keeping(around({0: 0.80, 100: 0.90, 200: last}))
    assert found.verdict == "no gain" and math.isnan(found.shown.low)


def test_without_a_gain_new_sentences_are_spoken_of_all_the_same() -> None:
    dice = np.random.default_rng(0)
    known = {amount: answered(dice, 3, 400, 0.02, ease=ease) for amount, ease in ((0.0, 3.0), (100.0, 2.0))}
    found = smallest_keeping(known)
    assert found.verdict == "no gain" and found.sentences is not None
    assert smallest_keeping(known | {100.0: WORSE}).sentences is None


def test_a_gain_of_rounding_errors_is_none() -> None:
    curve = {0: by_seed(0.2, 0.2, 0.2), 100: by_seed(0.1, 0.2, 0.3)}  # in floats their means differ by 3e-17
    assert smallest_keeping(curve).verdict == "no gain"


@pytest.mark.parametrize("curve", [{}, around({100: 0.8, 200: 0.9}), around({0: 0.8})])
def test_no_baseline(curve: Curve) -> None:
    assert smallest_keeping(curve).verdict == "no baseline"


def test_one_seed_is_untested() -> None:
    found = smallest_keeping(one_seed({0: 0.8, 50: 0.85, 100: 0.9}))
    assert (found.verdict, found.gain) == ("untested", pytest.approx(0.1))


@pytest.mark.parametrize("share", [0, 1, 90])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`share` = .*between 0 and 1"):
        smallest_keeping(one_seed({0: 0.8, 100: 0.9}), share)


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_bracket_covers_the_truth(seeds: int) -> None:
    dice = np.random.default_rng(seeds)
    amounts = np.array([0.0, 100, 250, 500, 1000, 2500])
    truth = np.array([0.80, 0.81, 0.83, 0.84, 0.856, 0.86])  # 0.854 is reached between 500 and 1000
    found = [smallest_keeping(noisy(amounts, truth, seeds, 0.003, dice)).shown for _ in range(400)]
    assert np.mean([each.low <= 500 and each.high >= 1000 for each in found]) >= 0.95 - 0.033  # three standard errors
    assert np.median([each.low for each in found]) >= 100  # it does say something
