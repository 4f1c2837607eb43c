"""The user's own labelled text: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from hskd_lightning.data import table_files
from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.table_files import Labelled, Record, Source
from hskd_lightning.errors import ConfigError

_CLASS_METRICS = ("accuracy", "accuracy_f1", "mcc")
_SCORE_METRICS = ("pearson_spearman",)


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
        self._train = _source("data.train", train)
        self._dev = _source("data.dev", dev)
        self._text = _text_columns(text)
        self._label = _given("data.label", label, "the name of the label column")
        self._labels = _listed(labels, regression)
        self._regression = regression
        self._metric = _metric(metric, regression)
        self._name = task

    @cached_property
    def task(self) -> Task:
        """The task, with the classes found in the training file."""
        return Task(self._name, self._metric, None if self._regression else self._classes())

    def load(self) -> Corpus:
        """Read both files.

        Raises:
            ConfigError: a file is missing or broken, a text, label or score is missing or cannot be used, dev
                has a class that train lacks, or train has one class only.
        """
        classes = self.task.labels
        return Corpus(self.task, self._read(self._train, classes), {"dev": self._read(self._dev, classes)})

    def digest(self) -> str:
        """A short name for the data: from the bytes of the files and the choice of columns and labels."""
        settings = [self._text, self._label, self._labels, self._regression]
        return table_files.digest(settings, [self._train, self._dev])

    def _classes(self) -> tuple[str, ...]:
        seen = {_class_name(self._train, record) for record in self._records(self._train)}
        if len(seen) == 1:
            found = f"one class only: {seen.pop()!r}"
            remedy = "add examples of another class, or set data.regression=true if the labels are scores"
            raise self._train.error(found, "two classes or more", remedy)
        return self._labels or _sorted(seen)

    def _read(self, source: Source, classes: tuple[str, ...] | None) -> Examples:
        return table_files.collect(source, self._rows(source, classes))

    def _rows(self, source: Source, classes: tuple[str, ...] | None) -> Iterator[Labelled]:
        numbers = {name: number for number, name in enumerate(classes or ())}
        for record in self._records(source):
            texts = tuple(
                _text(source, record.line, column, value)
                for column, value in zip(self._text, record.values, strict=False)
            )
            if classes is None:
                label = table_files.score(source, record.line, record.values[-1])
            else:
                label = _class_number(source, record, numbers)
            yield Labelled(record.row, texts, label)

    def _records(self, source: Source) -> Iterator[Record]:
        """The rows with the label last, after the text."""
        return table_files.READERS[source.path.suffix](source, [*self._text, self._label])


def _source(key: str, path: str | None) -> Source:
    given = _given(key, path, "a path ending in " + ", ".join(table_files.READERS))
    source = Source(Path(given).expanduser(), key)
    if source.path.suffix not in table_files.READERS:
        allowed = "the suffix " + " or ".join(table_files.READERS)
        raise source.error(f"the suffix {source.path.suffix!r}", allowed, "convert or rename the file")
    return source


def _given(key: str, value: str | None, allowed: str) -> str:
    if value is None:
        raise ConfigError(key, None, allowed, f"set {key}=... on the command line or in the experiment file")
    return value


def _text_columns(text: str | Sequence[str] | None) -> tuple[str, ...]:
    columns = (text,) if isinstance(text, str) else tuple(text or ())
    if len(set(columns)) != len(columns) or len(columns) not in (1, 2):
        remedy = "set data.text=COLUMN, or data.text=[FIRST,SECOND] for pairs"
        raise ConfigError("data.text", text, "the name of a text column, or two different names", remedy)
    return columns


def _listed(labels: Sequence[str | int] | None, regression: bool) -> tuple[str, ...] | None:
    if labels is None:
        return None
    names = tuple(str(label) for label in labels)
    if regression:
        remedy = "drop data.labels, or set data.regression=false"
        raise ConfigError("data.labels", names, "null, since scores have no classes", remedy)
    if len(names) < 2 or len(set(names)) != len(names):
        remedy = "list every class once, or drop data.labels to have them sorted"
        raise ConfigError("data.labels", names, "two different class names or more", remedy)
    return names


def _metric(metric: str | None, regression: bool) -> str:
    allowed = _SCORE_METRICS if regression else _CLASS_METRICS
    if metric is not None and metric not in allowed:
        remedy = f"choose one of these, or set data.regression={str(not regression).lower()}"
        raise ConfigError("data.metric", metric, ", ".join(allowed), remedy)
    return metric or allowed[0]


def _text(source: Source, line: int, column: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        # Refused rather than trained on: an empty text in one's own files is more often a slip than meant.
        raise source.error(f"{column} = {value!r}", "text that is not empty", "fill in or drop the row", line)
    return value


def _class_name(source: Source, record: Record) -> str:
    value = record.values[-1]
    if not isinstance(value, (str, int)) or not str(value).strip():
        remedy = "fill in or drop the row; for scores set data.regression=true"
        raise source.error(f"the label {value!r}", "a class name or an integer", remedy, record.line)
    return str(value)


def _class_number(source: Source, record: Record, numbers: dict[str, int]) -> int:
    name = _class_name(source, record)
    if name not in numbers:
        remedy = "correct the row, or list every class in data.labels"
        raise source.error(f"the label {name!r}", ", ".join(numbers), remedy, record.line)
    return numbers[name]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    """By value if all are integers (2 before 10), by spelling otherwise."""
    spelled = sorted(names)
    if all(name.removeprefix("-").isdecimal() for name in spelled):
        return tuple(sorted(spelled, key=int))
    return tuple(spelled)
