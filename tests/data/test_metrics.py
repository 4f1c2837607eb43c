"""GLUE's metrics, by hand."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from hskd_lightning.data.examples import Task
from hskd_lightning.data.metrics import METRICS, compute, metric_of
from hskd_lightning.errors import ConfigError


def task(metric: str, classes: int = 2) -> Task:
    return Task("tiny", metric, tuple(f"class {number}" for number in range(classes)))


REGRESSION = Task("tiny", "pearson_spearman", None)


def says(*classes: int, of: int = 2) -> Tensor:
    """Logits that say these classes."""
    return torch.nn.functional.one_hot(torch.tensor(classes), of).float()


def test_accuracy_by_hand() -> None:
    assert compute(task("accuracy"), says(1, 0, 1, 1), torch.tensor([1, 0, 0, 1])) == {"accuracy": 0.75}


def test_accuracy_of_three_classes() -> None:
    found = compute(task("accuracy", 3), says(2, 1, 0, 2, of=3), torch.tensor([2, 1, 1, 0]))
    assert found == {"accuracy": 0.5}


def test_mcc_by_hand() -> None:
    # TP 2, TN 1, FP 1, FN 0: (2*1 - 1*0) / sqrt(3 * 2 * 2 * 1)
    found = compute(task("mcc"), says(1, 1, 1, 0), torch.tensor([1, 1, 0, 0]))
    assert found == {"mcc": pytest.approx(2 / 12**0.5)}


@pytest.mark.parametrize(("said", "expected"), [((1, 0, 1), 1.0), ((0, 1, 0), -1.0)])
def test_mcc_of_all_right_and_all_wrong(said: tuple, expected: float) -> None:
    assert compute(task("mcc"), says(*said), torch.tensor([1, 0, 1])) == {"mcc": pytest.approx(expected)}


@pytest.mark.parametrize("labels", [(1, 0, 1, 0), (1, 1, 1, 0), (1, 1, 1, 1)])
def test_mcc_of_a_model_that_says_one_class_is_zero(labels: tuple) -> None:
    """However many are of that class: torchmetrics says 0.02 to 0.03 where most are, 1 where all are."""
    assert compute(task("mcc"), says(1, 1, 1, 1), torch.tensor(labels)) == {"mcc": 0.0}


def test_f1_by_hand() -> None:
    # TP 2, FP 1, FN 1: 2*2 / (2*2 + 1 + 1)
    found = compute(task("accuracy_f1"), says(1, 1, 1, 0, 0), torch.tensor([1, 1, 0, 1, 0]))
    assert found == {"accuracy": pytest.approx(0.6), "f1": pytest.approx(2 / 3)}


def test_f1_is_of_class_one() -> None:
    found = compute(task("accuracy_f1"), says(0, 0, 0, 0), torch.tensor([0, 0, 0, 1]))
    assert found == {"accuracy": 0.75, "f1": 0.0}


def test_a_straight_line_correlates_fully() -> None:
    found = compute(REGRESSION, torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([10.0, 20.0, 30.0]))
    # torchmetrics adds 1e-6 to Spearman's denominator.
    assert found == {name: pytest.approx(1.0, abs=1e-5) for name in ("pearson_spearman", "pearson", "spearman")}


def test_spearman_by_hand() -> None:
    # ranks 1 2 3 4 against 1 2 4 3: 1 - 6 * 2 / (4 * 15)
    found = compute(REGRESSION, torch.tensor([[1.0], [2.0], [3.0], [9.0]]), torch.tensor([1.0, 2.0, 5.0, 4.0]))
    assert found["spearman"] == pytest.approx(0.8)


def test_pearson_by_hand() -> None:
    # deviations -1 0 1 against -1 1 0: 1 / sqrt(2 * 2)
    found = compute(REGRESSION, torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 3.0, 2.0]))
    assert found["pearson"] == pytest.approx(0.5)


def test_the_headline_is_the_mean_of_both() -> None:
    found = compute(REGRESSION, torch.tensor([[1.0], [2.0], [3.0], [9.0]]), torch.tensor([1.0, 2.0, 5.0, 4.0]))
    assert found["pearson_spearman"] == pytest.approx((found["pearson"] + found["spearman"]) / 2)


def test_scores_below_zero_are_scores() -> None:
    found = compute(REGRESSION, torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([-1.0, 0.0, 1.0]))
    assert found["pearson"] == pytest.approx(1.0)


def test_half_precision_logits() -> None:
    found = compute(task("accuracy"), says(1, 0).half(), torch.tensor([1, 0]))
    assert found == {"accuracy": 1.0}


@pytest.mark.parametrize("name", METRICS)
def test_the_headline_is_among_the_figures(name: str) -> None:
    scored = REGRESSION if name == "pearson_spearman" else task(name)
    logits = torch.tensor([[0.0], [1.0], [3.0]]) if scored.regression else says(0, 1, 1)
    labels = torch.tensor([0.0, 1.0, 2.0]) if scored.regression else torch.tensor([0, 1, 0])
    assert METRICS[name].headline in compute(scored, logits, labels)


@pytest.mark.parametrize("name", ["accuracy", "accuracy_f1", "mcc"])
def test_a_split_without_labels_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("score dev: GLUE's test split has none (-1)")) as caught:
        compute(task(name), says(1, 0), torch.tensor([-1, -1]))
    assert caught.value.key == "data"


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ConfigError, match="(?s)`data.metric` = 'bleu'.*mcc, accuracy, accuracy_f1"):
        metric_of(task("bleu"))


def test_a_student_that_says_the_same_of_everything_correlates_with_nothing() -> None:
    task = Task("stsb", "pearson_spearman", None)
    figures = compute(task, torch.full((4, 1), 2.5), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert figures == {"pearson_spearman": 0.0, "pearson": 0.0, "spearman": 0.0}
