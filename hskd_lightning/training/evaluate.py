"""What a classifier says of whole splits, in one process: no padded duplicates, no averages of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from hskd_lightning.data import metrics
from hskd_lightning.data.examples import Task
from hskd_lightning.data.predictions import Predictions
from hskd_lightning.hsk import TokenBatch


@torch.inference_mode()
def predict(
    classify: Callable[[TokenBatch], Tensor], batches: Iterable[TokenBatch], device: torch.device
) -> Predictions:
    """The predictions of every example of the batches.

    Logits stay on the device until the last batch: one copy, for which nothing waits on the way.

    Args:
        classify: batch -> (B, C) logits, on `device`.
    """
    said = [(batch.ids, batch.labels, classify(batch.to(device)).float()) for batch in batches]
    return Predictions(*(torch.cat(column).cpu().numpy() for column in zip(*said, strict=True)))


def score(predictions: Predictions, task: Task) -> dict[str, float]:
    """All figures of the task's metric over a whole split; the first is the headline."""
    return metrics.compute(task, torch.from_numpy(predictions.logits), torch.from_numpy(predictions.labels))


def one_answer(predictions: Predictions, task: Task) -> float:
    """The headline of the best that says the same of each of these examples: what a score is to be seen beside."""
    labels = torch.from_numpy(predictions.labels)
    answers = torch.zeros(1, 1) if task.regression else torch.eye(task.outputs)
    said = (answer.expand(len(labels), -1) for answer in answers)
    return max(next(iter(metrics.compute(task, logits, labels).values())) for logits in said)
