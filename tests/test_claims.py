"""Claims are wrong as seldom as they say, on studies whose truth is known; benchmarks/claims.py has more."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import claims
from benchmarks.synthetic import pairs


@pytest.fixture
def dice() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_loss_on_these_sentences_is_just_that(dice: np.random.Generator) -> None:
    ((one, reference),) = pairs(1, 200, (0.4, 0.1), 0.01, True, dice)
    assert reference.accuracy - one.accuracy == pytest.approx(0.01)


def test_a_loss_on_all_sentences_is_that_on_average(dice: np.random.Generator) -> None:
    found = [reference.accuracy - one.accuracy for one, reference in pairs(300, 400, (0.4, 0.1), 0.01, False, dice)]
    assert np.mean(found) == pytest.approx(0.01, abs=0.0015)
    assert np.std(found) > 0.003  # and another one on those of a study


@pytest.mark.parametrize("spread", claims.SPREADS)
def test_on_these_sentences_serving_is_claimed_as_seldom_as_alpha(spread: str, dice: np.random.Generator) -> None:
    found = claims.serving_errors(400, 277, claims.SPREADS[spread], 5, True, dice)
    assert 0.02 <= found["these sentences"] <= 0.05 + 0.033  # three standard errors


@pytest.mark.parametrize("spread", claims.SPREADS)
def test_on_new_sentences_serving_is_claimed_as_seldom_as_alpha(spread: str, dice: np.random.Generator) -> None:
    found = claims.serving_errors(400, 277, claims.SPREADS[spread], 10, False, dice)
    assert 0.02 <= found["new sentences"] <= 0.05 + 0.033
    assert found["these sentences"] > 0.09  # that reading never spoke of new ones


def test_welch_errs_as_it_says_however_settings_spread(dice: np.random.Generator) -> None:
    assert 0.02 <= claims.variance_errors(400, 1.0, 3, dice)["welch"] <= 0.083
    assert 0.03 <= claims.variance_errors(400, 3.0, 3, dice)["welch"] <= 0.093


def test_moderation_errs_where_one_setting_spreads_threefold(dice: np.random.Generator) -> None:
    assert claims.variance_errors(400, 3.0, 3, dice)["moderated"] >= 0.1


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("curve", ["scale 1000", "exactly 90% at 604", "a dip"])
def test_the_bracket_covers_at_least_as_often_as_it_says(curve: str, seeds: int, dice: np.random.Generator) -> None:
    assert claims.bracket_coverage(300, claims.KEPT[curve], seeds, dice)["covered"] >= 0.95


@pytest.mark.parametrize("curve", ["straight", "sigmoid at 400", "sigmoid at 3000", "one jump, then straight"])
def test_what_does_not_diminish_is_seldom_said_to(curve: str, dice: np.random.Generator) -> None:
    assert claims.diminishing_claims(300, claims.BENDS[curve], 5, dice)["said"] <= 0.025 + 0.027


def test_what_diminishes_from_the_first_amount_on_is_said_to(dice: np.random.Generator) -> None:
    assert claims.diminishing_claims(100, claims.BENDS["steep, then flat"], 5, dice)["said"] >= 0.95


def test_the_benchmark_writes_its_rates(tmp_path: Path) -> None:
    claims.main(["--studies", "2", "--to", str(tmp_path / "deep" / "claims.json")])
    found = json.loads((tmp_path / "deep" / "claims.json").read_text())
    assert found["studies"] == 2 and {len(found[name]) for name in ("equivalence", "keeping")} == {36, 12}
