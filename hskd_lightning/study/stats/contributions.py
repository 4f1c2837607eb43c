"""What each dev example contributes to a score, so that other examples can be thought of in their place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.scores import Array


def contributions(metric: str, predicted: Array, labels: Array) -> Array:
    """The part of each example in a score; their mean is the score.

    An accuracy is a mean: an example contributes 1 or 0. A correlation (Matthews's, Pearson's, Spearman's) is none, so
    each example's jackknife pseudo-value takes its place, E * score - (E - 1) * score without it (Tukey 1958), shifted
    by the jackknife's bias so that the mean is the score itself. Their variance over E is the jackknife's variance of
    the score.

    Args:
        metric: a task's metric, by its name in `data/metrics.py`.
        predicted: (E,) classes, or the scores of a regression.
        labels: (E,).

    Raises:
        ConfigError: no such metric, or fewer than three examples where the metric is no mean.
    """
    if metric in ("accuracy", "accuracy_f1"):  # both have accuracy as their headline
        return np.asarray(predicted == labels, dtype=float)
    if metric not in WITHOUT_ONE:
        known = ", ".join(("accuracy", "accuracy_f1", *WITHOUT_ONE))
        raise ConfigError("metric", metric, known, "choose one of these")
    if len(labels) < 3:
        raise ConfigError("examples", len(labels), "three or more", "score a larger dev split")
    score, without_one = WITHOUT_ONE[metric](np.asarray(predicted, dtype=float), np.asarray(labels, dtype=float))
    pseudo = len(labels) * score - (len(labels) - 1) * without_one  # (E,)
    return pseudo - pseudo.mean() + score


def _mcc(predicted: Array, labels: Array) -> tuple[float, Array]:
    """Of all, and without each example in turn (E,): the latter only hangs on the example's place in the table."""
    _, codes = np.unique(np.concatenate([predicted, labels]), return_inverse=True)
    row, column = codes[: len(labels)], codes[len(labels) :]
    classes = int(codes.max()) + 1
    table = np.zeros((classes, classes))
    np.add.at(table, (row, column), 1)
    one = np.eye(classes * classes).reshape(-1, classes, classes)  # (C * C, C, C)
    return float(_matthews(table[None])[0]), _matthews(table - one)[row * classes + column]


def _matthews(tables: Array) -> Array:
    """Gorodkin's R_K (2004) of confusion tables: (M, C, C) -> (M,); 0 where one class is all that is said or asked."""
    size = tables.sum(axis=(1, 2))
    said, asked = tables.sum(axis=2), tables.sum(axis=1)  # (M, C)
    right = np.trace(tables, axis1=1, axis2=2)
    covariance = right * size - (said * asked).sum(axis=1)
    spread = (size**2 - (said**2).sum(axis=1)) * (size**2 - (asked**2).sum(axis=1))
    return np.divide(covariance, np.sqrt(spread.clip(0)), out=np.zeros_like(size), where=spread > 0)


def _pearson_spearman(predicted: Array, labels: Array) -> tuple[float, Array]:
    """The mean of both, of all and without each example in turn (E,)."""
    everyone = _correlation(predicted[None], labels[None]) + _correlation(_ranks(predicted), _ranks(labels))
    linear = _correlation(_others(predicted), _others(labels))
    ranked = _correlation(_ranks_of_others(predicted), _ranks_of_others(labels))
    return float(everyone[0]) / 2, (linear + ranked) / 2


def _others(values: Array) -> Array:
    """Row i has all but example i: (E,) -> (E, E - 1)."""
    size = len(values)
    return np.broadcast_to(values, (size, size))[~np.eye(size, dtype=bool)].reshape(size, size - 1)


def _ranks(values: Array) -> Array:
    return rankdata(values)[None]


def _ranks_of_others(values: Array) -> Array:
    """Ranks among all but example i, row by row: whatever lies above it moves down by one, its ties by a half."""
    moved = (values > values[:, None]) + (values == values[:, None]) / 2  # (E, E)
    ranks = rankdata(values) - moved
    return ranks[~np.eye(len(values), dtype=bool)].reshape(len(values), -1)


def _correlation(x: Array, y: Array) -> Array:
    """Pearson's, row by row: (M, N), (M, N) -> (M,); 0 where either is constant: that tells nothing."""
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.divide((x * y).sum(axis=1), spread, out=np.zeros(len(x)), where=spread > EPSILON)


EPSILON = 1e-12
"""Rounding errors of a constant spread less than this."""


WITHOUT_ONE: dict[str, Callable[[Array, Array], tuple[float, Array]]] = {
    "mcc": _mcc,
    "pearson_spearman": _pearson_spearman,
}
