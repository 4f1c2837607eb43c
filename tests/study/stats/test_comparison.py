"""Two settings, by hand, by scipy and statsmodels, and by the dice; tiers of a table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.comparison import Difference, as_difference, compare, corrected, equivalence, holm, rank
from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.intervals import Summary
from hskd_lightning.study.stats.scores import BySeed, Scores
from tests.study.scores import answered, by_seed

AROUND = by_seed(-0.001, 0.0, 0.001)


def moved(by: float, spread: float = 0.001) -> dict[int, float]:
    """Three seeds around a mean."""
    return by_seed(by - spread, by, by + spread)


def random_pair(seed: int) -> tuple[list[float], list[float]]:
    dice = np.random.default_rng(seed)
    return dice.normal(0.85, 0.01, 6).tolist(), dice.normal(0.85, 0.01, 6).tolist()


def apart(scores: BySeed, reference: BySeed) -> Difference:
    return as_difference(difference(scores, reference))


# Different?


def test_p_by_hand() -> None:
    # two seeds that spread as widely: t = 0.01 / 0.01; with 2 degrees of freedom p = 1 - t / sqrt(2 + t^2)
    found = apart(by_seed(0.00, 0.02), by_seed(-0.01, 0.01))
    assert (found.n, found.mean) == (2, 0.01)
    assert found.shown.p == pytest.approx(1 - 1 / math.sqrt(2 + 0.5) * math.sqrt(0.5))


def test_p_and_interval_are_scipys() -> None:
    a, b = random_pair(0)
    expected = stats.ttest_ind(a, b, equal_var=False)
    found = apart(by_seed(*a), by_seed(*b)).seeds
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_other_way_round_only_the_sign_changes() -> None:
    a, b = (by_seed(*scores) for scores in random_pair(1))
    there, back = apart(a, b), apart(b, a)
    assert back.mean == -there.mean
    assert (back.seeds.low, back.seeds.high, back.seeds.p) == pytest.approx(
        (-there.seeds.high, -there.seeds.low, there.seeds.p)
    )


def test_no_seed_need_be_shared() -> None:
    assert apart({1: 0.91, 2: 0.92}, {3: 0.81, 4: 0.82}).n == 2


def test_one_seed_has_a_difference_and_no_p() -> None:
    found = apart({1: 0.9}, {1: 0.8, 2: 0.8})
    assert (found.n, found.mean) == (1, 0.1)
    assert math.isnan(found.shown.low) and math.isnan(found.shown.p)


def test_a_setting_does_not_differ_from_itself() -> None:
    found = apart(by_seed(0.8, 0.9), by_seed(0.8, 0.9))
    assert (found.mean, found.shown.p) == (0.0, 1.0)


def test_without_a_word_new_sentences_are_meant() -> None:
    dice = np.random.default_rng(0)
    known = apart(answered(dice, 3, 50, 0.1), answered(dice, 3, 50, 0.1))
    assert known.shown is known.sentences is not None
    assert apart(AROUND, AROUND).shown == apart(AROUND, AROUND).seeds


# A family of them.


def test_holm_by_hand() -> None:
    # 0.01 x 3; 0.03 x 2; 0.04 x 1, but never below the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_is_statsmodels() -> None:
    ps = np.random.default_rng(0).uniform(0, 0.3, 12)
    ps[[2, 7]] = ps[0]  # a tie
    assert holm(list(ps)) == pytest.approx(list(multipletests(ps, method="holm")[1]))


def test_holm_does_not_count_tests_that_were_not_made() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert [found[0], found[2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])


def test_holm_of_nothing() -> None:
    assert holm([]) == []


def test_compare_corrects_over_all_settings() -> None:
    found = compare({"half": moved(0.02), "tenth": moved(-0.02)}, AROUND)
    p = apart(moved(0.02), AROUND).seeds.p
    assert [each.seeds.p_holm for each in found.values()] == pytest.approx([2 * p, 2 * p])
    assert found["tenth"].mean == pytest.approx(-0.02)


def test_each_reading_is_corrected_by_itself() -> None:
    dice = np.random.default_rng(1)
    reference = answered(dice, 3, 50, 0.1)
    family = {at: apart(answered(dice, 3, 50, 0.1), reference) for at in range(2)} | {2: apart(AROUND, reference)}
    found = corrected(family)
    assert max(each.sentences.p_holm for each in found.values() if each.sentences) <= 1
    assert found[2].sentences is None and found[2].seeds.p_holm == pytest.approx(3 * found[2].seeds.p)


def test_a_difference_alone_has_no_family() -> None:
    assert math.isnan(apart(moved(0.1), AROUND).shown.p_holm)


# As good as?


def test_equivalence_by_hand() -> None:
    # se = 0.001 sqrt(2/3), t = 0.01 / se = 12.247 with 4 degrees of freedom
    found = equivalence(moved(0), AROUND)
    assert (found.seeds.p_lower, found.seeds.p_upper) == pytest.approx([stats.t.sf(12.247449, 4)] * 2)
    assert (found.verdict, found.serves) == ("equivalent", True)


def test_its_interval_is_the_90_percent_one() -> None:
    found = equivalence(moved(0), AROUND).shown
    half = 2.131847 * 0.001 * math.sqrt(2 / 3)  # the t table: 4 degrees of freedom, 95%
    assert (found.low, found.high) == pytest.approx((-half, half))


@pytest.mark.parametrize("seed", range(3))
def test_p_is_statsmodels(seed: int) -> None:
    a, b = random_pair(seed)
    p, (_, p_lower, _), (_, p_upper, _) = ttost_ind(np.array(a), np.array(b), -0.02, 0.02, usevar="unequal")
    found = equivalence(by_seed(*a), by_seed(*b), margin=0.02).seeds
    assert (found.p, found.p_lower, found.p_upper) == pytest.approx((p, p_lower, p_upper))


@pytest.mark.parametrize("seed", range(6))
def test_equivalent_means_the_interval_lies_within_the_margin(seed: int) -> None:
    a, b = (by_seed(*scores) for scores in random_pair(seed))
    margin = 0.012  # some of the six pass, some do not
    found = equivalence(a, b, margin)
    assert (found.verdict == "equivalent") == (-margin < found.shown.low and found.shown.high < margin)


@pytest.mark.parametrize(
    ("scores", "verdict", "serves"),
    [
        pytest.param(moved(0.02), "non-inferior", True, id="much better"),
        pytest.param(moved(-0.02), "inferior", False, id="much worse"),
        pytest.param(moved(0.0, spread=0.03), "undecided", False, id="a wide spread"),
        pytest.param(moved(-0.009), "undecided", False, id="a sure loss that may be within the margin"),
    ],
)
def test_a_verdict(scores: BySeed, verdict: str, serves: bool) -> None:
    found = equivalence(scores, AROUND)
    assert (found.verdict, found.serves) == (verdict, serves)


def test_a_loss_of_the_margin_has_even_odds() -> None:
    assert equivalence(moved(-0.01), AROUND).seeds.p_lower == pytest.approx(0.5)


@pytest.mark.parametrize("reference", [pytest.param({1: 0.0}, id="one"), pytest.param({}, id="none")])
def test_fewer_than_two_seeds_are_untested(reference: dict[int, float]) -> None:
    found = equivalence(AROUND, reference)
    assert (found.verdict, found.serves) == ("untested", False)
    assert math.isnan(found.seeds.p)


@pytest.mark.parametrize(("by", "verdict"), [(0.0, "undecided"), (-0.05, "inferior")])
def test_two_seeds_show_a_loss_and_never_that_it_serves(by: float, verdict: str) -> None:
    assert equivalence(by_seed(by, by + 0.0001), AROUND).verdict == verdict


def test_three_seeds_on_one_side_are_not_enough() -> None:
    assert equivalence(AROUND, by_seed(0.0, 0.0001)).verdict == "undecided"


@pytest.mark.parametrize(
    ("loss", "verdict", "p"), [(0.005, "equivalent", 0.0), (-0.02, "non-inferior", 1.0), (0.02, "inferior", 1.0)]
)
def test_without_examples_seeds_that_agree_decide_at_once(loss: float, verdict: str, p: float) -> None:
    found = equivalence(by_seed(*[0.8 - loss] * 3), by_seed(0.8, 0.8, 0.8))
    assert (found.verdict, found.seeds.p) == (verdict, p)


def test_seeds_that_agree_on_few_examples_do_not() -> None:
    same = Scores(by_seed(0.8, 0.8, 0.8), examples=100)
    assert equivalence(same, same).verdict == "undecided"


def test_equal_losses_of_exactly_the_margin_do_not_serve() -> None:
    found = equivalence(by_seed(0.80, 0.80, 0.80), by_seed(0.81, 0.81, 0.81))
    assert (found.mean, found.seeds.p_lower, found.serves) == (-0.01, 1.0, False)


def test_what_serves_on_these_sentences_need_not_on_new_ones() -> None:
    right = np.ones((3, 100))
    left, other = right.copy(), right.copy()
    left[:, :20], other[:, 20:40] = 0, 0  # as many mistakes, never in the same place
    found = equivalence(*(Scores(by_seed(0.8, 0.8, 0.8), dict(enumerate(t, start=1))) for t in (left, other)), 0.03)
    assert found.sentences is not None
    assert (found.seeds.verdict, found.sentences.verdict, found.serves) == ("equivalent", "undecided", False)


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan])
def test_a_margin_of_nothing_is_refused(margin: float) -> None:
    with pytest.raises(ConfigError, match="`margin` = "):
        equivalence(AROUND, AROUND, margin=margin)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 5])
def test_an_alpha_without_sense_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="(?s)`alpha` = .*between 0 and 0.5"):
        equivalence(AROUND, AROUND, alpha=alpha)


# By the dice: scores are normal over seeds, the truth is known.


def shares(truth: float, sd: float, seeds: int, draws: int = 3000) -> tuple[float, float]:
    """How often a setting is found equivalent, and found to serve."""
    dice = np.random.default_rng(seeds)
    found = [
        equivalence(by_seed(*dice.normal(truth, sd, seeds)), by_seed(*dice.normal(0, sd, seeds))) for _ in range(draws)
    ]
    return float(np.mean([each.verdict == "equivalent" for each in found])), float(np.mean([e.serves for e in found]))


THREE_ERRORS = 3 * math.sqrt(0.05 * 0.95 / 3000)  # 0.012: Monte-Carlo error of a rate of 5% in 3000 draws


@pytest.mark.parametrize("truth", [-0.01, 0.01])
def test_exactly_at_the_margin_few_seeds_are_rarely_called_equivalent(truth: float) -> None:
    assert shares(truth, sd=0.01, seeds=5)[0] <= 0.05 + THREE_ERRORS


@pytest.mark.parametrize("seeds", [3, 10])
def test_exactly_at_the_margin_serving_is_claimed_as_often_as_alpha(seeds: int) -> None:
    assert shares(-0.01, sd=0.01, seeds=seeds)[1] == pytest.approx(0.05, abs=THREE_ERRORS)


def test_without_a_difference_enough_seeds_show_it() -> None:
    assert shares(0.0, sd=0.005, seeds=15, draws=500)[0] > 0.99


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
