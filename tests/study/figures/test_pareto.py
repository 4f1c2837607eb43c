from __future__ import annotations

import math

from hskd_lightning.study.figures.chart import Point
from hskd_lightning.study.figures.pareto import dominated, front

CHEAP, BETTER, WORSE = Point(1, 3, 0.80, 0.79, 0.81), Point(2, 3, 0.85, 0.84, 0.86), Point(3, 3, 0.82, 0.81, 0.83)


def test_the_front_takes_what_beats_all_cheaper_means() -> None:
    assert front([WORSE, BETTER, CHEAP]) == [CHEAP, BETTER]


def test_of_one_cost_the_best_is_on_the_front() -> None:
    assert front([Point(1, 3, 0.7), Point(1, 3, 0.8)]) == [Point(1, 3, 0.8)]


def test_a_point_is_behind_only_where_intervals_are_apart() -> None:
    assert dominated(WORSE, [CHEAP, BETTER, WORSE])
    assert not dominated(Point(3, 3, 0.83, 0.81, 0.85), [CHEAP, BETTER])
    assert not dominated(BETTER, [CHEAP, BETTER, WORSE])


def test_one_seed_is_neither_ahead_nor_behind() -> None:
    single = Point(3, 1, 0.1, math.nan, math.nan)
    assert not dominated(single, [BETTER])
    assert not dominated(WORSE, [Point(1, 1, 0.99, math.nan, math.nan)])
