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
    ranks = rankdata(predicted), rankdata(labels)
    both = (_correlation(_products, predicted, labels) + _correlation(_rank_products, *ranks)) / 2  # (1 + E,)
    return float(both[0]), both[1:]


def _correlation(products: Callable[[Array, Array], Array], x: Array, y: Array) -> Array:
    """Of all, then without each example: (E,), (E,) -> (1 + E,); 0 where either is constant: that tells nothing."""
    shared, own, other = products(x, y), products(x, x), products(y, y)
    varies = (own > EPSILON * own[0]) & (other > EPSILON * other[0])
    return np.where(varies, shared, 0) / np.sqrt(np.where(varies, own * other, 1))


EPSILON = 1e-12
"""Of the spread of all: rounding errors of a constant spread less."""


def _products(x: Array, y: Array) -> Array:
    """Sum of products about the mean, of all and without each example: (E,), (E,) -> (1 + E,)."""
    x, y = x - x.mean(), y - y.mean()
    return np.append(x @ y, x @ y - x * y * len(x) / (len(x) - 1))


def _rank_products(x: Array, y: Array) -> Array:
    """The same of ranks; without an example, ranks above its own are less by one, and those of its ties by a half.

    So rank x_j becomes x_j - a_ij with a_ij = (1 + sign(x_j - x_i)) / 2, and the products need sums over j of a alone,
    of a times a rank, and of a times that of the other ranks.
    """
    size = len(x)
    moved_both = (3 * size + 2 - 2 * x - 2 * y + _agreement(x, y)) / 4  # sum over j of a_ij b_ij
    without = x @ y - _above(x, y) - _above(y, x) + moved_both - (x - 0.5) * (y - 0.5)
    return np.append(x @ y - size * (size + 1) ** 2 / 4, without - (size - 1) * size**2 / 4)


def _above(ranks: Array, values: Array) -> Array:
    """Sum over j of a_ij values_j: values of what ranks above each, half of what ties with it and of its own."""
    order = np.argsort(ranks)
    below = np.append(0, np.cumsum(values[order]))
    first, last = (np.searchsorted(ranks[order], ranks, side=side) for side in ("left", "right"))
    return below[-1] - (below[first] + below[last]) / 2


def _agreement(x: Array, y: Array) -> Array:
    """How many others lie on the same side of each by both ranks, less those that do not: (E,), (E,) -> (E,)."""
    x, y = x.astype(np.float32), y.astype(np.float32)  # exact: they are halves, and the sums whole numbers below E
    blocks = np.array_split(np.arange(len(x)), max(1, len(x) // BLOCK))
    signs = ((np.sign(x - x[rows, None]), np.sign(y - y[rows, None])) for rows in blocks)
    return np.concatenate([np.einsum("ij,ij->i", *pair) for pair in signs]).astype(float)


BLOCK = 128
"""Examples that are held beside all others at once, so that memory grows with E and caches are enough."""


WITHOUT_ONE: dict[str, Callable[[Array, Array], tuple[float, Array]]] = {
    "mcc": _mcc,
    "pearson_spearman": _pearson_spearman,
}
