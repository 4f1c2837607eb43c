"""Seeds that failed to learn."""

from __future__ import annotations

import pytest

from hskd_lightning.study.stats.collapse import collapsed
from hskd_lightning.study.stats.scores import BySeed
from tests.study.scores import by_seed


@pytest.mark.parametrize(
    ("scores", "seeds"),
    [
        pytest.param(by_seed(0.80, 0.81, 0.60), (3,), id="one far below"),
        pytest.param(by_seed(0.85, 0.80, 0.86), (2,), id="exactly five points below the median"),
        pytest.param(by_seed(0.85, 0.801, 0.86), (), id="not quite"),
        pytest.param(by_seed(0.80, 0.81, 0.99), (), id="far above"),
        pytest.param(by_seed(0.50, 0.80, 0.50, 0.81, 0.82), (1, 3), id="two of five"),
        pytest.param(by_seed(0.8), (), id="one seed"),
        pytest.param({}, (), id="none"),
    ],
)
def test_a_seed_five_points_below_its_median_collapsed(scores: BySeed, seeds: tuple[int, ...]) -> None:
    assert collapsed(scores) == seeds
