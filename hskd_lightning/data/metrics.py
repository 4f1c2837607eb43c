"""GLUE's metrics, computed once over a whole split by torchmetrics: never averaged over batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torchmetrics.functional import matthews_corrcoef, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.classification import binary_f1_score

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError


def _mcc(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    said, classes = logits.argmax(-1), max(2, logits.shape[-1])
    if _constant(said, labels):
        return {"mcc": logits.new_zeros(())}  # as scikit-learn's and GLUE's; torchmetrics says 0.026 of CoLA's dev
    return {"mcc": matthews_corrcoef(said, labels, task="multiclass", num_classes=classes)}


def _accuracy(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (logits.argmax(-1) == labels).double().mean()}


def _accuracy_f1(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return {**_accuracy(logits, labels), "f1": binary_f1_score(logits.argmax(-1), labels)}


def _pearson_spearman(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    score = logits.squeeze(-1)
    if _constant(score, labels):  # nan, to torchmetrics
        pearson = spearman = score.new_zeros(())
    else:
        pearson, spearman = pearson_corrcoef(score, labels), spearman_corrcoef(score, labels)
    return {"pearson_spearman": (pearson + spearman) / 2, "pearson": pearson, "spearman": spearman}


def _constant(said: Tensor, labels: Tensor) -> bool:
    """What says the same of everything is correlated with nothing."""
    return len(said.unique()) < 2 or len(labels.unique()) < 2


@dataclass(frozen=True)
class Metric:
    """A task's figures. The headline is the one that selects checkpoints and that curves show."""

    headline: str
    figures: Callable[[Tensor, Tensor], dict[str, Tensor]]


METRICS = {
    "mcc": Metric("mcc", _mcc),
    "accuracy": Metric("accuracy", _accuracy),
    "accuracy_f1": Metric("accuracy", _accuracy_f1),
    "pearson_spearman": Metric("pearson_spearman", _pearson_spearman),
}


def metric_of(task: Task) -> Metric:
    """The task's metric.

    Raises:
        ConfigError: there is none of that name.
    """
    if task.metric not in METRICS:
        raise ConfigError("data.metric", task.metric, ", ".join(METRICS), "choose one of these")
    return METRICS[task.metric]


def compute(task: Task, logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Score a whole split: (N, C) logits against (N,) labels -> every figure of the task's metric.

    Raises:
        ConfigError: the split has no labels (GLUE marks those of its test splits by -1), or the metric is unknown.
    """
    if not task.regression and bool((labels < 0).any()):
        raise ConfigError("data", task.name, "a split with labels", "score dev: GLUE's test split has none (-1)")
    figures = metric_of(task).figures(logits.float(), labels)
    return {name: float(value) for name, value in figures.items()}
