"""What a sweep can show is said before it runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.study.sweep.foresight import pooled, said
from hskd_lightning.study.sweep.plan import Plan, PlannedCell


@pytest.fixture
def planned(small: Callable[..., DictConfig]) -> Callable[..., Plan]:
    """Cells of one setting that are not there yet."""
    experiment = Experiment.resolve(plain(small()))

    def plan(*seeds: int) -> Plan:
        config = experiment.config
        cells = [PlannedCell("f", (), {**config, "seed": n}, f"none-{n}", experiment.settings) for n in seeds]
        return Plan(tuple(cells))

    return plan


def test_seeds_of_one_setting_are_counted_whatever_else_is_the_same(planned: Callable[..., Plan]) -> None:
    assert said(planned(0, 1, 2), 0.01).startswith("3 seeds a setting, as students of SST-2 were seen to spread: ")


def test_the_spread_within_settings_is_pooled_and_that_between_them_is_not() -> None:
    assert pooled([[0.1, 0.3], [0.8, 1.0]]) == pytest.approx(math.sqrt(0.02))


def test_a_setting_of_more_seeds_weighs_more() -> None:
    assert pooled([[0.0, 2.0], [1.0, 1.0, 1.0, 1.0]]) == pytest.approx(math.sqrt(2 / 4))


def test_single_seeds_tell_no_spread() -> None:
    assert pooled([[0.5], [0.7], []]) is None
