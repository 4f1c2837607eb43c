"""Two settings on shared seeds, by hand, by scipy and statsmodels, and by the dice; tiers of a table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.comparison import compare, equivalence, holm, paired_difference, rank
from hskd_lightning.study.stats.intervals import Summary
from tests.study.scores import by_seed

ZERO = by_seed(0.0, 0.0, 0.0)


def random_pair(seed: int) -> tuple[list[float], list[float]]:
    dice = np.random.default_rng(seed)
    return dice.normal(0.85, 0.01, 6).tolist(), dice.normal(0.85, 0.01, 6).tolist()


# Different?


def test_difference_on_shared_seeds_only() -> None:
    compressed = {1: 0.90, 2: 0.92, 3: 0.94, 9: 0.10}
    reference = {8: 0.00, 3: 0.91, 2: 0.91, 1: 0.88}
    found = paired_difference(compressed, reference)  # 0.02, 0.01, 0.03
    assert (found.n, found.mean, found.sd) == (3, pytest.approx(0.02), pytest.approx(0.01))


def test_p_by_hand() -> None:
    found = paired_difference(by_seed(0.02, 0.01, 0.03), ZERO)
    # t^2 = 0.02^2 / (0.01^2 / 3) = 12; with 2 degrees of freedom p = 1 - t / sqrt(2 + t^2)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))


def test_p_and_interval_are_scipys() -> None:
    a, b = random_pair(0)
    expected = stats.ttest_rel(a, b)
    found = paired_difference(by_seed(*a), by_seed(*b))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_other_way_round_only_the_sign_changes() -> None:
    a, b = (by_seed(*scores) for scores in random_pair(1))
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert (back.mean, back.low, back.high, back.p) == pytest.approx((-there.mean, -there.high, -there.low, there.p))


def test_no_shared_seed() -> None:
    found = paired_difference({1: 0.9}, {2: 0.8})
    assert found.n == 0
    assert math.isnan(found.mean) and math.isnan(found.p)


def test_one_shared_seed_has_a_difference_and_no_p() -> None:
    found = paired_difference({1: 0.9, 2: 0.9}, {2: 0.8})
    assert (found.n, found.mean) == (1, 0.1)
    assert math.isnan(found.low) and math.isnan(found.p)


def test_equal_differences_are_sure() -> None:
    found = paired_difference(by_seed(0.81, 0.71, 0.91), by_seed(0.80, 0.70, 0.90))  # unequal as floats
    assert (found.mean, found.sd, found.low, found.high, found.p) == (0.01, 0.0, 0.01, 0.01, 0.0)


def test_a_setting_does_not_differ_from_itself() -> None:
    found = paired_difference(by_seed(0.8, 0.9), by_seed(0.8, 0.9))
    assert (found.mean, found.sd, found.p) == (0.0, 0.0, 1.0)


# A family of them.


def test_holm_by_hand() -> None:
    # 0.01 x 3; 0.03 x 2; 0.04 x 1, but never below the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_does_not_count_tests_that_were_not_made() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert [found[0], found[2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])


def test_holm_of_nothing() -> None:
    assert holm([]) == []


def test_compare_corrects_over_all_settings() -> None:
    found = compare({"half": by_seed(0.02, 0.01, 0.03), "tenth": by_seed(-0.02, -0.01, -0.03)}, ZERO)
    p = 1 - math.sqrt(12 / 14)
    assert [each.p_holm for each in found.values()] == pytest.approx([2 * p, 2 * p])
    assert found["tenth"].mean == pytest.approx(-0.02)


def test_a_difference_alone_has_no_family() -> None:
    assert math.isnan(paired_difference(by_seed(0.1, 0.2), ZERO).p_holm)


# As good as?


def test_equivalence_by_hand() -> None:
    found = equivalence(by_seed(-0.001, 0.0, 0.001), ZERO)
    # t^2 = 0.01^2 / (0.001^2 / 3) = 300 on both sides; with 2 degrees of freedom p = (1 - t / sqrt(2 + t^2)) / 2
    assert (found.p_lower, found.p_upper) == pytest.approx([(1 - math.sqrt(300 / 302)) / 2] * 2)
    assert (found.verdict, found.serves) == ("equivalent", True)


def test_its_interval_is_the_90_percent_one() -> None:
    found = equivalence(by_seed(-0.001, 0.0, 0.001), ZERO)
    half = 2.919986 * 0.001 / math.sqrt(3)  # the t table: 2 degrees of freedom, 95%
    assert (found.low, found.high) == pytest.approx((-half, half))


@pytest.mark.parametrize("seed", range(3))
def test_p_is_statsmodels(seed: int) -> None:
    a, b = random_pair(seed)
    p, (_, p_lower, _), (_, p_upper, _) = ttost_paired(np.array(a), np.array(b), -0.02, 0.02)
    found = equivalence(by_seed(*a), by_seed(*b), margin=0.02)
    assert (found.p, found.p_lower, found.p_upper) == pytest.approx((p, p_lower, p_upper))


@pytest.mark.parametrize("seed", range(6))
def test_equivalent_means_the_interval_lies_within_the_margin(seed: int) -> None:
    a, b = (by_seed(*scores) for scores in random_pair(seed))
    margin = 0.012  # some of the six pass, some do not
    found = equivalence(a, b, margin)
    assert (found.verdict == "equivalent") == (-margin < found.low and found.high < margin)


def test_much_better_is_not_equivalent_but_serves() -> None:
    found = equivalence(by_seed(0.019, 0.020, 0.021), ZERO)
    assert (found.verdict, found.serves) == ("non-inferior", True)
    assert found.p > 0.99


def test_much_worse_is_shown_to_be() -> None:
    found = equivalence(by_seed(-0.019, -0.020, -0.021), ZERO)
    assert (found.verdict, found.serves) == ("inferior", False)


def test_a_wide_spread_is_undecided() -> None:
    found = equivalence(by_seed(-0.03, 0.0, 0.03), ZERO)
    assert (found.verdict, found.serves) == ("undecided", False)


def test_a_loss_that_is_sure_but_may_be_within_the_margin_is_undecided() -> None:
    found = equivalence(by_seed(-0.008, -0.009, -0.010), ZERO)
    assert (found.high < 0, found.verdict) == (True, "undecided")


def test_a_loss_of_the_margin_has_even_odds() -> None:
    assert equivalence(by_seed(-0.011, -0.010, -0.009), ZERO).p_lower == pytest.approx(0.5)


@pytest.mark.parametrize("reference", [pytest.param({1: 0.0}, id="one"), pytest.param({7: 0.0}, id="none")])
def test_fewer_than_two_shared_seeds_are_untested(reference: dict[int, float]) -> None:
    found = equivalence(by_seed(0.0, 0.0), reference)
    assert (found.verdict, found.serves) == ("untested", False)
    assert math.isnan(found.p)


@pytest.mark.parametrize(
    ("loss", "verdict", "p"), [(0.005, "equivalent", 0.0), (-0.02, "non-inferior", 1.0), (0.02, "inferior", 1.0)]
)
def test_equal_differences_decide_at_once(loss: float, verdict: str, p: float) -> None:
    found = equivalence(by_seed(0.8 - loss, 0.7 - loss), by_seed(0.8, 0.7))
    assert (found.sd, found.verdict, found.p) == (0.0, verdict, p)


def test_equal_losses_of_exactly_the_margin_do_not_serve() -> None:
    found = equivalence(by_seed(0.80, 0.70, 0.90), by_seed(0.81, 0.71, 0.91))
    assert (found.mean, found.p_lower, found.serves) == (-0.01, 1.0, False)


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan])
def test_a_margin_of_nothing_is_refused(margin: float) -> None:
    with pytest.raises(ConfigError, match="`margin` = "):
        equivalence(ZERO, ZERO, margin=margin)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 5])
def test_an_alpha_without_sense_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`alpha` = .*between 0 and 0.5"):
        equivalence(ZERO, ZERO, alpha=alpha)


# By the dice: differences are normal, the truth is known.


def shares(truth: float, sd: float, seeds: int, draws: int = 3000) -> tuple[float, float]:
    """How often a setting is found equivalent, and found to serve."""
    dice = np.random.default_rng(seeds)
    zero = by_seed(*[0.0] * seeds)
    found = [equivalence(by_seed(*dice.normal(truth, sd, seeds)), zero) for _ in range(draws)]
    return float(np.mean([each.verdict == "equivalent" for each in found])), float(np.mean([e.serves for e in found]))


THREE_ERRORS = 3 * math.sqrt(0.05 * 0.95 / 3000)  # 0.012: Monte-Carlo error of a rate of 5% in 3000 draws


@pytest.mark.parametrize("truth", [-0.01, 0.01])
def test_exactly_at_the_margin_few_seeds_are_rarely_called_equivalent(truth: float) -> None:
    assert shares(truth, sd=0.01, seeds=5)[0] <= 0.05 + THREE_ERRORS


@pytest.mark.parametrize("truth", [-0.01, 0.01])
def test_exactly_at_the_margin_many_seeds_err_as_often_as_alpha(truth: float) -> None:
    assert shares(truth, sd=0.01, seeds=30)[0] == pytest.approx(0.05, abs=THREE_ERRORS)


@pytest.mark.parametrize("seeds", [3, 10])
def test_exactly_at_the_margin_serving_is_claimed_as_often_as_alpha(seeds: int) -> None:
    assert shares(-0.01, sd=0.01, seeds=seeds)[1] == pytest.approx(0.05, abs=THREE_ERRORS)


def test_without_a_difference_enough_seeds_show_it() -> None:
    assert shares(0.0, sd=0.005, seeds=10, draws=500)[0] > 0.99


def test_without_a_difference_too_few_seeds_do_not_show_it() -> None:
    assert shares(0.0, sd=0.01, seeds=3, draws=500)[0] < 0.2


# Tiers.


def between(low: float, high: float) -> Summary:
    return Summary(5, (low + high) / 2, 0.01, low, high, 0.95)


def tiers(settings: dict[str, Summary]) -> dict[str, int | None]:
    return {row.name: row.tier for row in rank(settings)}


def test_intervals_apart_are_ranked() -> None:
    assert tiers({"b": between(0.6, 0.7), "a": between(0.8, 0.9)}) == {"a": 1, "b": 2}


def test_intervals_that_overlap_are_not_ranked() -> None:
    assert tiers({"a": between(0.8, 0.9), "b": between(0.7, 0.85)}) == {"a": 1, "b": 1}


def test_intervals_that_touch_are_not_ranked() -> None:
    assert tiers({"a": between(0.8, 0.9), "b": between(0.7, 0.8)}) == {"a": 1, "b": 1}


def test_a_bridge_keeps_two_apart_in_one_tier() -> None:
    settings = {"a": between(0.80, 0.90), "bridge": between(0.70, 0.85), "b": between(0.65, 0.75)}
    assert tiers(settings) == {"a": 1, "bridge": 1, "b": 1}
    assert [row.name for row in rank(settings) if row.best] == ["a", "bridge"]


def test_a_wide_interval_below_holds_all_above_it_together() -> None:
    settings = {"a": between(0.88, 0.90), "b": between(0.80, 0.82), "wide": between(0.50, 0.95)}
    assert tiers(settings) == {"a": 1, "b": 1, "wide": 1}


def test_a_wide_interval_above_holds_all_below_it_together() -> None:
    settings = {"wide": between(0.60, 1.20), "a": between(0.80, 0.90), "b": between(0.65, 0.70)}
    assert tiers(settings) == {"wide": 1, "a": 1, "b": 1}


def test_a_setting_of_one_seed_comes_last_unranked() -> None:
    alone = Summary(1, 0.99, math.nan, math.nan, math.nan, 0.95)
    rows = rank({"alone": alone, "a": between(0.8, 0.9)})
    assert [(row.name, row.tier, row.best) for row in rows] == [("a", 1, True), ("alone", None, False)]


def test_a_setting_without_seeds_comes_after_all() -> None:
    nothing, alone = (Summary(n, mean, *[math.nan] * 3, 0.95) for n, mean in ((0, math.nan), (1, 0.1)))
    assert tiers({"nothing": nothing, "alone": alone, "a": between(0.8, 0.9)}) == {
        "a": 1,
        "alone": None,
        "nothing": None,
    }


def test_no_settings() -> None:
    assert rank({}) == []
