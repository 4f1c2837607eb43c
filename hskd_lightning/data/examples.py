"""Labelled text before tokenisation: the form every data source delivers."""

from __future__ import annotations

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
