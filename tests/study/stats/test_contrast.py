"""A weighted sum of settings and how sure it is: by hand, by scipy, by a crossed bootstrap and by the dice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.contrast import Contrast, contrast, difference
from hskd_lightning.study.stats.moderation import Prior
from hskd_lightning.study.stats.scores import Scores
from tests.study.scores import answered, by_seed, from_table

A, B = by_seed(0.90, 0.91, 0.92), by_seed(0.80, 0.84, 0.85, 0.87)


def test_by_hand() -> None:
    found = difference(A, by_seed(0.88, 0.89, 0.90))  # both spread by 0.01: se = 0.01 sqrt(2/3), 4 degrees of freedom
    assert (found.estimate, found.n) == (pytest.approx(0.02), 3)
    assert (found.seeds.se, found.seeds.df) == (pytest.approx(0.01 * math.sqrt(2 / 3)), pytest.approx(4))
    assert found.seeds.high == pytest.approx(0.02 + 2.776445 * 0.01 * math.sqrt(2 / 3))  # the t table


def test_a_difference_is_welchs() -> None:
    expected, found = stats.ttest_ind(list(A.values()), list(B.values()), equal_var=False), difference(A, B).seeds
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.df == pytest.approx(expected.df)
    assert 2 * found.p_above(0) == pytest.approx(expected.pvalue)


def test_seeds_are_not_paired() -> None:
    turned = dict(zip((3, 1, 2), A.values(), strict=True))
    assert difference(turned, B) == difference(A, B)


def test_three_settings_by_hand() -> None:
    found = contrast([(1, A), (-0.1, A), (-0.9, A)])  # 0.91 less 0.1 and 0.9 of it; variances by squares of weights
    assert (found.estimate, found.seeds.se) == (0, pytest.approx(0.01 * math.sqrt(1.82 / 3)))


def test_seeds_that_agree_are_as_unsure_as_one_example() -> None:
    same = Scores(by_seed(0.9, 0.9), examples=100)
    assert difference(same, same).seeds.se == pytest.approx(0.01)  # sqrt(2 * 0.01^2 / 2)


def test_without_examples_seeds_that_agree_are_sure() -> None:
    found = difference(by_seed(0.81, 0.81), by_seed(0.8, 0.8)).seeds
    assert (found.se, found.low, found.p_above(0), found.p_above(0.01), found.p_below(0)) == (0, 0.01, 0, 1, 1)


def test_one_seed_has_an_estimate_alone() -> None:
    found = difference({1: 0.9}, B)
    assert (found.estimate, found.n) == (pytest.approx(0.06), 1)
    assert math.isnan(found.reading.low) and math.isnan(found.reading.p_above(0))


def test_no_seed_has_nothing() -> None:
    found = difference({}, B)
    assert found.n == 0 and math.isnan(found.estimate)


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="`level` = 95"):
        difference(A, B, level=95)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"scores\[2\]"):
        difference(by_seed(0.9, math.nan), B)


def test_a_prior_moderates_each_setting() -> None:
    found = difference(A, A, variance=Prior(df=2, variance=0.0003)).seeds  # (2 * 0.0003 + 2 * 0.0001) / 4 = 0.0002
    assert (found.se, found.df) == (pytest.approx(math.sqrt(2 * 0.0002 / 3)), pytest.approx(8))


def test_one_sided_p_by_hand() -> None:
    # 0.82 with a standard error of 0.02 / sqrt 3: t = sqrt 3; with 2 degrees of freedom p = (1 - t / sqrt(2 + t^2)) / 2
    found, expected = contrast([(1, by_seed(0.80, 0.82, 0.84))]).seeds, (1 - math.sqrt(3 / 5)) / 2
    assert (found.p_above(0.80), found.p_below(0.80)) == pytest.approx((expected, 1 - expected))


def test_a_tiny_p_is_not_rounded_away() -> None:
    assert 0 < contrast([(1, by_seed(*[-1.0 + 1e-6 * step for step in range(20)]))]).seeds.p_below(0) < 1e-90


# New sentences.


def test_without_predictions_only_these_sentences_are_spoken_of() -> None:
    found = difference(A, B)
    assert found.sentences is None and found.reading is found.seeds


def test_of_other_examples_nothing_is_said() -> None:
    assert difference(from_table(np.eye(4)), from_table(np.eye(5)[:4])).sentences is None


def test_new_sentences_by_hand() -> None:
    # two seeds that say the same: right on three of four. Examples vary by 1/4 around 3/4, so 1/16 of them is the part
    # of the examples, no residual, and the seeds' sd is one example: (1/4)^2 / 2.
    found = contrast([(1, from_table(np.array([[1.0, 1, 1, 0]] * 2)))])
    assert found.sentences is not None
    assert found.sentences.se == pytest.approx(math.sqrt(1 / 16 + 1 / 32))


def test_new_sentences_are_never_surer_than_these() -> None:
    found = difference(from_table(np.array([[1.0, 0, 1, 0], [0, 1, 0, 0]])), from_table(np.eye(4)[:2]))
    assert found.sentences is not None
    assert found.sentences.se >= found.seeds.se
    assert found.sentences.high - found.sentences.low >= found.seeds.high - found.seeds.low


def test_many_examples_make_few_seeds_no_surer() -> None:
    dice = np.random.default_rng(1)
    tables = [(dice.random((3, 2000)) < level[:, None]).astype(float) for level in (np.array([0.7, 0.8, 0.9]),) * 2]
    found = difference(*map(from_table, tables))
    assert found.sentences is not None and found.sentences.se > found.seeds.se
    assert found.sentences.df == pytest.approx(found.seeds.df)


def test_examples_are_paired() -> None:
    dice = np.random.default_rng(3)
    hard = dice.random(200) < 0.3  # the same sentences are wrong in both
    one, other = (from_table(np.where(hard, 0.0, 1.0) * (dice.random((3, 200)) < 0.98)) for _ in range(2))
    apart, alone = difference(one, other).sentences, contrast([(1, one)]).sentences
    assert apart is not None and alone is not None
    assert apart.se < alone.se / 2


def bootstrapped(one: Scores, other: Scores, resamples: int = 4000) -> float:
    """The se of a difference by drawing seeds and examples anew, each with replacement (Owen 2007, the pigeonhole)."""
    dice, (a, b) = np.random.default_rng(0), (one.table, other.table)
    assert a is not None and b is not None
    drawn = []
    for _ in range(resamples):
        times = dice.multinomial(a.shape[1], np.full(a.shape[1], 1 / a.shape[1])) / a.shape[1]
        means = [table[dice.integers(len(table), size=len(table))].mean(axis=0) @ times for table in (a, b)]
        drawn.append(means[0] - means[1])
    return float(np.std(drawn))


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_the_crossed_variance_is_a_crossed_bootstraps(spread: float) -> None:
    # Owen: drawn so, the residual is counted three times.
    dice = np.random.default_rng(4)
    one, other = (answered(dice, seeds=40, examples=300, spread=spread) for _ in range(2))
    found = difference(one, other).sentences
    assert found is not None
    expected = bootstrapped(one, other) ** 2 - 2 * sum(residual(each) / (40 * 300) for each in (one, other))
    assert found.se == pytest.approx(math.sqrt(expected), rel=0.05)


def residual(scores: Scores) -> float:
    """The interaction's mean square in a table of two ways, by hand."""
    table = scores.table
    assert table is not None
    rest = table - table.mean(axis=1)[:, None] - table.mean(axis=0)[None, :] + table.mean()
    return float((rest**2).sum() / (39 * 299))


def misses(draws: int, seeds: int, spread: float) -> tuple[float, float]:
    """How often the two intervals of 90% of a difference miss a truth of 0, over new seeds and new sentences."""
    dice = np.random.default_rng(seeds)
    found = [_drawn(dice, seeds, spread) for _ in range(draws)]
    readings = [(each.seeds, each.sentences) for each in found]
    missed = [[not one.low <= 0 <= one.high for one in pair if one is not None] for pair in readings]
    of_seeds, of_sentences = np.mean(missed, axis=0)
    return float(of_seeds), float(of_sentences)


def _drawn(dice: np.random.Generator, seeds: int, spread: float) -> Contrast:
    """Two settings that are alike over all sentences, and each better at its own."""
    ease = dice.normal(1, 1, 200)
    one, other = (answered(dice, seeds, 200, spread, ease + 0.8 * dice.normal(size=200)) for _ in range(2))
    return difference(one, other, level=0.9)


def test_over_new_sentences_the_second_reading_errs_as_often_as_it_says() -> None:
    of_seeds, of_sentences = misses(1000, seeds=5, spread=0.1)
    assert of_sentences == pytest.approx(0.10, abs=0.03)
    assert of_seeds > 0.15  # it never spoke of new sentences
