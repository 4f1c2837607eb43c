"""What is worth its cost: the front of the means, and which settings are shown to lie behind it."""

from __future__ import annotations

from collections.abc import Sequence

from hskd_lightning.study.figures.chart import Point


def front(points: Sequence[Point]) -> list[Point]:
    """The points, by rising cost `x`, of which each has a higher mean than all cheaper ones."""
    steps: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.mean)):
        if not steps or point.mean > steps[-1].mean:
            steps.append(point)
    return steps


def dominated(point: Point, points: Sequence[Point]) -> bool:
    """Is there one as cheap or cheaper whose whole interval lies above? Where intervals overlap nothing is said."""
    return any(other.x <= point.x and other.low > point.high for other in points)
