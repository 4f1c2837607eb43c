"""What a classifier says of a whole split, beside what one answer for all would score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hskd_lightning.data.examples import Task
from hskd_lightning.data.predictions import Predictions
from hskd_lightning.training.evaluate import one_answer

CLASSES = ("no", "yes", "maybe")


@pytest.mark.parametrize(
    ("task", "labels", "expected"),
    [
        (Task("tiny", "accuracy", CLASSES[:2]), [1, 1, 0, 1], 0.75),
        (Task("tiny", "accuracy", CLASSES), [0, 2, 2, 1, 2], 0.6),
        (Task("tiny", "accuracy_f1", CLASSES[:2]), [1, 0, 0], 2 / 3),
        (Task("tiny", "mcc", CLASSES[:2]), [1, 1, 0, 1], 0.0),
        (Task("tiny", "pearson_spearman", None), [0.5, 3.0, 4.5], 0.0),
    ],
)
def test_the_most_frequent_class_or_no_correlation(task: Task, labels: Sequence[float], expected: float) -> None:
    count = len(labels)
    logits = np.zeros((count, task.outputs), dtype=np.float32)
    found = one_answer(Predictions(np.arange(count), np.array(labels), logits), task)
    assert found == pytest.approx(expected)
