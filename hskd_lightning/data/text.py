"""The user's own labelled text: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hskd_lightning.data import cells, table_files
from hskd_lightning.data import text_settings as settings
from hskd_lightning.data.doubts import doubts
from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.source_file import SourceFile, digest
from hskd_lightning.data.table_files import Labelled, Record
from hskd_lightning.errors import ConfigError, listing, shown

log = logging.getLogger(__name__)
_FEW = 20
"""Classes that even a file of as many rows may have."""


class _Row(NamedTuple):
    """An example, its class still a name."""

    id: int
    line: int
    texts: tuple[str, ...]
    label: str | float


class TextFiles:
    """A task read from one training file and one dev file, of whichever formats their suffixes say.

    An example's id is its row in its file, from 0. Classes are numbered in sorted order, by value where all
    are integers, so that the numbering does not hang on the order of the rows.

    Args:
        train: the training file: .csv (quoted), .tsv (unquoted), .jsonl or .parquet.
        dev: the file to evaluate on.
        text: the text column, or a list of one or two.
        label: the column of class names or integers, or of scores.
        labels: the classes in the order of their ids, to fix it by hand.
        regression: whether `label` holds scores.
        metric: accuracy (the default), accuracy_f1 or mcc for classes, pearson_spearman for scores.
        task: what to call it in reports.

    Raises:
        ConfigError: a setting is missing or contradicts another.
    """

    def __init__(
        self,
        train: str | None,
        dev: str | None,
        text: str | Sequence[str] | None,
        label: str | None,
        labels: Sequence[str | int] | None = None,
        regression: bool = False,
        metric: str | None = None,
        task: str = "text",
    ) -> None:
        self._train = settings.source("data.train", train)
        self._dev = settings.source("data.dev", dev)
        self._text = settings.text_columns(text)
        self._label = settings.label_column(label, self._text)
        self._regression = settings.switch("data.regression", regression)
        self._labels = settings.listed(labels, regression)
        self._metric = settings.metric_name(metric, regression)
        self._name = task

    @functools.cached_property
    def task(self) -> Task:
        """The task, with the classes of the training file. Both files are read and checked, and not kept."""
        return self._corpus().task

    def load(self) -> Corpus:
        """Read both files, and warn of what is odd about them.

        Raises:
            ConfigError: a file is missing or broken, a text, label or score is missing or cannot be used, dev
                has a class that train lacks, train or dev cannot be learned from or scored, or both are the same.
        """
        corpus = self._corpus()
        for doubt in doubts(corpus):
            _warn(f"{self._train.path}: {doubt}")
        return corpus

    def digest(self) -> str:
        """A short name for the data: from the bytes of the files and the choice of columns and labels."""
        return digest([self._text, self._label, self._labels, self._regression], [self._train, self._dev])

    def _corpus(self) -> Corpus:
        train, dev = self._rows(self._train), self._rows(self._dev)
        self._check_same(train, dev)
        self._check_learnable({row.label for row in train}, len(train))
        task = Task(self._name, self._metric, None if self._regression else self._classes(train))
        _check_metric(task)
        taught = self._examples(self._train, train, task)
        scored = table_files.scorable(self._dev, task, self._examples(self._dev, dev, task))
        return Corpus(task, taught, {"dev": scored})

    def _rows(self, source: SourceFile) -> list[_Row]:
        """The rows of a file; the reader delivers the label last, after the text."""
        records = table_files.reader(source)(source, [*self._text, self._label])
        rows = [self._row(source, record) for record in records]
        if not rows:
            raise table_files.no_rows(source)
        return rows

    def _row(self, source: SourceFile, record: Record) -> _Row:
        *values, label = record.values
        line = record.line
        texts = tuple(cells.text(source, line, column, value) for column, value in zip(self._text, values, strict=True))
        read = cells.score if self._regression else cells.class_name
        return _Row(record.row, line, texts, read(source, line, label))

    def _check_same(self, train: list[_Row], dev: list[_Row]) -> None:
        """Refuse a dev split that is the training file, whatever its name, format or order of rows."""
        if len(train) == len(dev) and _content(train) == _content(dev):
            remedy = "hold some rows of it out in a file of their own: a score on what was trained on says nothing"
            raise self._dev.error(f"the examples of data.train, {self._train.path}", "other examples", remedy)

    def _check_learnable(self, seen: set[str | float], rows: int) -> None:
        """Refuse labels that are all alike, or as good as all different."""
        if len(seen) == 1 and self._regression:
            fault = f"every score is {seen.pop()}, of {rows} in all"
            raise self._train.error(fault, "at least 2 examples with different scores", "add examples")
        if len(seen) == 1:
            remedy = "add examples of another class, or set data.regression=true if the labels are scores"
            raise self._train.error(f"one class only: {seen.pop()!r}", "two classes or more", remedy)
        if not self._regression and self._labels is None and len(seen) > max(_FEW, rows // 2):
            fault = f"{len(seen):,} classes in {rows:,} rows: {self._label!r} looks like a score or free text"
            remedy = (
                "set data.regression=true for scores, choose another data.label, or list the classes in data.labels"
            )
            raise self._train.error(fault, "a class for every two rows at most", remedy)

    def _classes(self, train: list[_Row]) -> tuple[str, ...]:
        return self._labels or _sorted({str(row.label) for row in train})

    def _examples(self, source: SourceFile, rows: list[_Row], task: Task) -> Examples:
        if task.labels is None:
            return table_files.collect(source, (Labelled(row.id, row.texts, float(row.label)) for row in rows))
        numbers = {name: number for number, name in enumerate(task.labels)}
        numbered = (Labelled(row.id, row.texts, _class_number(source, row, numbers)) for row in rows)
        return table_files.collect(source, numbered)


@functools.cache
def _warn(doubt: str) -> None:
    """Once in a process: the vocabulary and the tokens are made of the same text, and so is every cell of a sweep."""
    log.warning("%s", doubt)


def _check_metric(task: Task) -> None:
    if task.metric == "accuracy_f1" and task.outputs != 2:
        allowed = f"accuracy or mcc: there are {task.outputs} classes, and F1 is of the second of two"
        raise ConfigError("data.metric", task.metric, allowed, "write data.metric=accuracy")


def _content(rows: list[_Row]) -> Counter[tuple[object, ...]]:
    return Counter((row.texts, row.label) for row in rows)


def _class_number(source: SourceFile, row: _Row, numbers: Mapping[str, int]) -> int:
    name = str(row.label)
    if name not in numbers:
        remedy = "correct the row, or list every class in data.labels"
        raise source.error(f"the label {shown(name)}", listing(numbers), remedy, row.line)
    return numbers[name]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    """By value if all are integers (2 before 10), by spelling otherwise."""
    spelled = sorted(names)
    if all(name.removeprefix("-").isdecimal() for name in spelled):
        return tuple(sorted(spelled, key=int))
    return tuple(spelled)
