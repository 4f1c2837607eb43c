"""Which settings are confirmed, in what order, and what is shown by it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import nct, t

from benchmarks.minimum import RULES
from hskd_lightning.study.search.confirmation import Confirmed, confirm, smallest_shown
from hskd_lightning.study.search.ladder import Rung, ladder, powers
from hskd_lightning.study.search.space import Candidate
from hskd_lightning.study.stats.scores import Scores

SMALL, MIDDLE, LARGE = (Candidate(f"{size} bytes", (f"{size}",), float(size)) for size in (10, 20, 40))
FIVE = replace(RULES, confirming=5, reference=5)
FULL = {seed: 0.9 + 0.001 * (seed % 3 - 1) for seed in range(6)}


@pytest.mark.parametrize("gain", [-0.01, -0.004, 0.0, 0.003])
def test_power_is_that_of_the_noncentral_t(gain: float) -> None:
    se = 0.007 * math.sqrt(2 / 5)
    exact = 1 - nct.cdf(t.ppf(0.95, 8), 8, (gain + 0.01) / se)
    assert float(powers(np.array(gain), 0.007, FIVE)) == pytest.approx(exact, abs=0.01)


def test_at_the_margin_the_power_is_alpha() -> None:
    assert float(powers(np.array(-0.01), 0.007, RULES)) == pytest.approx(0.05, abs=0.005)


def test_examples_take_power_that_no_seed_gives_back() -> None:
    many = replace(RULES, confirming=1000, reference=1000)
    assert float(powers(np.array(0.0), 0.007, many)) == pytest.approx(1, abs=1e-6)
    assert float(powers(np.array(0.0), 0.007, many, of_examples=0.01**2)) == pytest.approx(0.26, abs=0.01)


def test_each_rung_is_the_cheapest_of_its_power() -> None:
    rungs = ladder([SMALL, MIDDLE, LARGE], np.array([0.5, 0.8, 0.95]), (0.9, 0.7, 0.45))
    assert [(each.candidate.bytes, each.power) for each in rungs] == [(40, 0.95), (20, 0.8), (10, 0.5)]


def test_each_rung_is_strictly_smaller() -> None:
    rungs = ladder([SMALL, MIDDLE, LARGE], np.array([0.3, 0.92, 0.95]), (0.9, 0.7, 0.45))
    assert [each.candidate.bytes for each in rungs] == [20]


def test_where_no_power_is_reached_the_most_powerful_is_tried() -> None:
    rungs = ladder([SMALL, MIDDLE, LARGE], np.array([0.1, 0.3, 0.2]), (0.9, 0.7, 0.45))
    assert [each.candidate.bytes for each in rungs] == [20]


def judged(candidate: Candidate, loss: float, seeds: int = 10) -> Confirmed:
    scores = {seed: 0.9 - loss + 0.001 * (seed % 3 - 1) for seed in range(seeds)}
    return confirm(Rung(candidate, 0.9), scores, FULL, RULES)


def test_as_good_is_shown_and_worse_than_the_margin_is_not() -> None:
    assert judged(LARGE, 0.0).shown and judged(LARGE, 0.0).shown_here
    assert not judged(LARGE, 0.01).shown
    assert not judged(LARGE, 0.02).shown


def test_two_seeds_show_nothing() -> None:
    two = replace(RULES, confirming=2)
    assert not confirm(Rung(LARGE, 0.9), {0: 0.9, 1: 0.9001}, FULL, two).shown


def test_the_smallest_shown_comes_before_the_first_that_is_not() -> None:
    good, bad, again = judged(LARGE, 0.0), judged(MIDDLE, 0.02), judged(SMALL, 0.0)
    assert smallest_shown([good, bad, again]) == good
    assert smallest_shown([bad, again]) is None
    assert smallest_shown([]) is None


def test_new_sentences_decide_where_predictions_are_known() -> None:
    """The seeds agree, but ten of fifty sentences are another setting's strength: others might not be."""
    full = Scores({s: 0.9 for s in range(6)}, {s: np.repeat([1.0, 0.0], [45, 5]) for s in range(6)})
    other = np.concatenate([np.repeat([1.0, 0.0], [40, 5]), np.ones(5)])
    ours = Scores({s: 0.9 for s in range(10)}, {s: other for s in range(10)})
    found = confirm(Rung(LARGE, 0.9), ours, full, replace(RULES, margin=0.05))
    assert found.contrast.sentences is not None
    assert not found.shown


def test_a_false_setting_passes_at_most_alpha_of_the_time() -> None:
    dice, passed = np.random.default_rng(0), 0
    for _ in range(1000):
        full, scores = (dict(enumerate(mean + 0.007 * dice.standard_normal(n))) for mean, n in ((0.9, 15), (0.89, 10)))
        passed += confirm(Rung(LARGE, 0.9), scores, full, RULES).shown
    assert 0.03 < passed / 1000 < 0.07
