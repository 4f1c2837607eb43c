"""Labelled text before tokenisation: the form every data source delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What is predicted and how it is scored."""

    name: str
    metric: str
    """A name of `metrics.METRICS`: mcc, accuracy, accuracy_f1 or pearson_spearman."""
    labels: tuple[str, ...] | None
    """Class names in the order of their ids; None for a regression task."""

    @property
    def outputs(self) -> int:
        """Width of the classification head: C classes, or one score."""
        return 1 if self.labels is None else len(self.labels)

    @property
    def regression(self) -> bool:
        return self.labels is None

    def unscorable(self, labels: Sequence[float]) -> str | None:
        """Why the metric is not defined on a split of these labels; None where it is.

        Correlations, Matthews's included, compare what differs: of labels that are all alike they say nothing.
        """
        if self.metric not in ("mcc", "pearson_spearman") or len(set(labels)) != 1:
            return None
        return f"every {'score' if self.labels is None else 'label'} is {self.spelled(labels[0])}"

    def spelled(self, label: float) -> str:
        """A label as a reader knows it."""
        return str(label) if self.labels is None else repr(self.labels[int(label)])


@dataclass(frozen=True)
class Examples:
    """One split: parallel lists, keyed by the example's own id in its source."""

    ids: list[int]
    first: list[str]
    second: list[str] | None
    labels: list[int] | list[float]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: list[int]) -> Examples:
        """The examples at these positions, in this order; each keeps its id."""
        return Examples(
            ids=[self.ids[row] for row in rows],
            first=[self.first[row] for row in rows],
            second=None if self.second is None else [self.second[row] for row in rows],
            labels=[self.labels[row] for row in rows],  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Corpus:
    """A task with its text. `dev` names its splits: {"dev": ...}, for MNLI also {"dev_mm": ...}."""

    task: Task
    train: Examples
    dev: dict[str, Examples]
