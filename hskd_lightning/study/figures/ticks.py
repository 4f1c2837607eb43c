"""Where a number lies on an axis, which numbers get a tick, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matplotlib.ticker import MaxNLocator

from hskd_lightning.study.figures.chart import Axis

BREAK = 0.45
"""Decades between 0 and the smallest positive value of a zero_log axis."""


def squashed(value: float, axis: Axis) -> float:
    """The place of a value: logarithmic beyond `least` either way, straight between, where there are no values."""
    if axis.scale not in ("log", "zero_log") or not math.isfinite(value):
        return value
    if axis.scale == "log":
        return math.log10(value)
    size = abs(value) / axis.least
    return math.copysign(BREAK * size if size <= 1 else BREAK + math.log10(size), value)


def unsquashed(place: float, axis: Axis) -> float:
    """The value at a place: what `squashed` undoes."""
    if axis.scale not in ("log", "zero_log"):
        return place
    if axis.scale == "log":
        return 10.0**place
    size = abs(place)
    return math.copysign(axis.least * (size / BREAK if size <= BREAK else 10.0 ** (size - BREAK)), place)


def span(axis: Axis, values: Iterable[float]) -> tuple[float, float]:
    """The places from the least value to the most, with some air: what is moved aside needs it."""
    places = [squashed(value, axis) for value in values if math.isfinite(value)]
    air = 0.075 * (max(places) - min(places)) or 0.05
    return 0.0 if axis.scale == "from_zero" else min(places) - air, max(places) + air


def ticks(axis: Axis, low: float, high: float) -> list[float]:
    """The ticks of a logarithmic axis: powers of ten, more where these are few, and 0 where it is shown.

    Where even these are not two, as between 77 and 93, round numbers at even steps.
    """
    if axis.scale not in ("log", "zero_log"):
        return []
    sizes = _sizes(axis.least if axis.scale == "zero_log" else low, max(abs(low), abs(high)))
    marks = [*sizes, 0.0, *(-size for size in sizes)] if axis.scale == "zero_log" else sizes
    shown = sorted(mark for mark in marks if low <= mark <= high)
    if len(shown) > 1:
        return shown
    even = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(mark) for mark in even if low <= mark <= high]


def _sizes(least: float, most: float) -> list[float]:
    span = math.log10(most / least) if most > least else 0.0
    leading = (1,) if span > 2.7 else (1, 3) if span > 1.2 else (1, 2, 5)
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    return [each * 10.0**decade for decade in decades for each in leading if each * 10.0**decade >= 0.999 * least]


def written(value: float) -> str:
    """A tick as it is written: 0.02, 500, 20k, 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{_signed(value / size)}{letter}"
    return _signed(value)


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
