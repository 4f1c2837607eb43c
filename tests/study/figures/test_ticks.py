from __future__ import annotations

import pytest

from hskd_lightning.study.figures.chart import Axis
from hskd_lightning.study.figures.ticks import BREAK, span, squashed, ticks, unsquashed, written

ZERO_LOG = Axis("", "zero_log", least=100.0)


def test_zero_is_shown_left_of_the_break_and_decades_are_even() -> None:
    assert [squashed(value, ZERO_LOG) for value in (0, 100, 1000, -1000)] == [0, BREAK, BREAK + 1, -BREAK - 1]


@pytest.mark.parametrize("value", [-5000.0, -20.0, 0.0, 50.0, 100.0, 7000.0])
def test_a_place_gives_its_value_back(value: float) -> None:
    assert unsquashed(squashed(value, ZERO_LOG), ZERO_LOG) == pytest.approx(value)


def test_ticks_are_powers_of_ten_with_zero_and_more_where_these_are_few() -> None:
    assert ticks(ZERO_LOG, -10, 200_000) == [0, 100, 1000, 10_000, 100_000]
    assert ticks(Axis("", "log"), 60, 700) == [100, 200, 500]
    assert ticks(Axis("", "linear"), 0, 1) == []


def test_a_narrow_logarithmic_axis_has_round_numbers_not_their_exponents() -> None:
    assert ticks(Axis("", "log"), 77, 93) == [80, 85, 90]
    assert ticks(Axis("", "log"), 150, 310) == [150, 200, 250, 300]


def test_an_axis_from_zero_begins_there() -> None:
    assert span(Axis("", "from_zero"), [10, 20])[0] == 0
    assert span(Axis("", "linear"), [5.0])[0] < 5 < span(Axis("", "linear"), [5.0])[1]


def test_numbers_are_short() -> None:
    assert [written(value) for value in (0.02, 0, 500, 20_000, 3e6, -0.5)] == ["0.02", "0", "500", "20k", "3M", "−0.5"]
