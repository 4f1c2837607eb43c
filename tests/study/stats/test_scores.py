"""Scores by seed, and what each example contributes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hskd_lightning.data.examples import Task
from hskd_lightning.data.metrics import compute, metric_of
from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.contributions import BLOCK, contributions
from hskd_lightning.study.stats.scores import Scores, scores_of

HALF = np.array([1.0, 0, 1, 0])


def test_scores_are_a_mapping() -> None:
    assert dict(Scores({1: 0.5, 2: 0.25})) == {1: 0.5, 2: 0.25}


def test_a_plain_mapping_knows_no_examples() -> None:
    scores = scores_of({1: 0.5})
    assert (scores.table, scores.examples, scores.resolution) == (None, None, 0)


def test_contributions_are_a_table_in_the_order_of_the_seeds() -> None:
    scores = Scores({7: 0.5, 3: 0.25}, {3: np.array([0.0, 0, 1, 0]), 7: HALF})
    assert scores.table is not None
    assert (scores.table.mean(axis=1).tolist(), scores.resolution) == ([0.5, 0.25], 0.25)


def test_how_many_examples_may_be_known_without_their_predictions() -> None:
    assert Scores({1: 0.5}, examples=200).resolution == 0.005


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({2: HALF}, "none of seed 1", id="a seed without"),
        pytest.param({1: HALF, 2: HALF[:2]}, "the same dev examples", id="other examples"),
        pytest.param({1: HALF, 2: HALF * 0}, "mean of 0.000000 for seed 2", id="another score"),
    ],
)
def test_predictions_of_other_cells_are_refused(given: dict[int, np.ndarray], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Scores({1: 0.5, 2: 0.5}, given)


# What an example contributes.


def test_an_accuracy_is_right_or_wrong() -> None:
    found = contributions("accuracy", np.array([0.0, 1, 1]), np.array([0.0, 1, 0]))
    assert found.tolist() == [1, 1, 0]


def answers(metric: str, seed: int, classes: int = 2, size: int = 60) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    if metric == "pearson_spearman":
        labels = np.round(dice.normal(size=size), 1)  # with ties
        return np.round(labels + dice.normal(size=size), 1), labels
    labels = dice.integers(classes, size=size).astype(float)
    return np.where(dice.random(size) < 0.7, labels, dice.integers(classes, size=size)), labels


def score(metric: str, predicted: np.ndarray, labels: np.ndarray) -> float:
    """By the metric that scores a cell."""
    if metric == "pearson_spearman":
        task = Task("stsb", metric, None)
        return compute(task, torch.tensor(predicted[:, None]), torch.tensor(labels).float())[metric]
    task = Task("cola", metric, ("no", "yes"))
    logits = torch.nn.functional.one_hot(torch.tensor(predicted).long()).float()
    return compute(task, logits, torch.tensor(labels).long())[metric_of(task).headline]


@pytest.mark.parametrize(
    ("metric", "classes"), [("accuracy", 2), ("accuracy_f1", 2), ("mcc", 2), ("mcc", 3), ("pearson_spearman", 0)]
)
def test_their_mean_is_the_score(metric: str, classes: int) -> None:
    predicted, labels = answers(metric, 1, classes)
    assert contributions(metric, predicted, labels).mean() == pytest.approx(score(metric, predicted, labels), abs=1e-6)


@pytest.mark.parametrize(("metric", "classes"), [("mcc", 2), ("mcc", 3), ("pearson_spearman", 0)])
def test_a_pseudo_value_is_what_the_score_loses_without_its_example(metric: str, classes: int) -> None:
    predicted, labels = answers(metric, 2, classes)
    without = np.array([score(metric, np.delete(predicted, i), np.delete(labels, i)) for i in range(60)])
    found = contributions(metric, predicted, labels)
    assert found - found.mean() == pytest.approx(-59 * (without - without.mean()), abs=1e-4)  # in single precision


def test_more_examples_than_a_block_holds() -> None:
    predicted, labels = answers("pearson_spearman", 3, size=2 * BLOCK + 1)
    found = contributions("pearson_spearman", predicted, labels)
    first, last = (score("pearson_spearman", np.delete(predicted, i), np.delete(labels, i)) for i in (0, 2 * BLOCK))
    assert found[0] - found[-1] == pytest.approx(-2 * BLOCK * (first - last), abs=1e-3)  # in single precision


@pytest.mark.parametrize("metric", ["mcc", "pearson_spearman"])
def test_a_constant_answer_contributes_nothing(metric: str) -> None:
    assert contributions(metric, np.zeros(6), np.array([0.0, 1, 0, 1, 1, 0])).tolist() == [0] * 6


def test_a_metric_that_nobody_knows() -> None:
    with pytest.raises(ConfigError, match="`metric` = 'bleu'"):
        contributions("bleu", HALF, HALF)


def test_two_examples_have_no_correlation_without_one() -> None:
    with pytest.raises(ConfigError, match="three or more"):
        contributions("mcc", HALF[:2], HALF[:2])
