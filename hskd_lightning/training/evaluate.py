"""Score a classifier on whole splits, in one process: no padded duplicates, no averages of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from hskd_lightning.data import metrics
from hskd_lightning.data.examples import Task
from hskd_lightning.hsk import TokenBatch


@torch.inference_mode()
def score(
    predict: Callable[[TokenBatch], Tensor], batches: Iterable[TokenBatch], task: Task, device: torch.device
) -> dict[str, float]:
    """All figures of the task's metric over every example of the batches; the first is the headline.

    Logits stay on the device until the last batch: one copy, for which nothing waits on the way.

    Args:
        predict: batch -> (B, C) logits, on `device`.
    """
    predicted, labels = [], []
    for batch in batches:
        predicted.append(predict(batch.to(device)).float())
        labels.append(batch.labels)
    return metrics.compute(task, torch.cat(predicted).cpu(), torch.cat(labels))
