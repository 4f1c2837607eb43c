"""The settings of `data=text`, checked before a file is read: which files, which columns, which classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hskd_lightning.data import table_files
from hskd_lightning.data.source_file import SourceFile
from hskd_lightning.errors import ConfigError, listing

_CLASS_METRICS = ("accuracy", "accuracy_f1", "mcc")
_SCORE_METRICS = ("pearson_spearman",)


def source(key: str, path: object) -> SourceFile:
    """A file of the user's, in a format that can be read; whether it is there shows when it is read.

    Raises:
        ConfigError: no path, a folder, or a suffix that names no such format.
    """
    suffixes = ", ".join(table_files.READERS)
    given = _given(key, path, f"a path ending in {suffixes}")
    file = SourceFile(Path(os.path.expanduser(given)), key)  # Path.expanduser fails of a user that there is not
    if os.path.isdir(file.path):
        raise file.error("a folder", f"a file ending in {suffixes}", "name the file in it")
    table_files.reader(file)
    return file


def _given(key: str, value: object, allowed: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(key, value, allowed, f"set {key}=... on the command line or in the experiment file")
    return value


def _column(name: object) -> object:
    """A column that is called 2024 arrives as a number."""
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name


def text_columns(text: object) -> tuple[str, ...]:
    """The one or two input columns.

    Raises:
        ConfigError: none, more than two, one twice, or what is no name.
    """
    given = text if isinstance(text, (list, tuple)) else [text]
    columns = tuple(_column(name) for name in given)
    named = all(isinstance(name, str) and name.strip() for name in columns)
    if not named or len(set(columns)) != len(columns) or len(columns) not in (1, 2):
        remedy = "set data.text=COLUMN, or data.text=[FIRST,SECOND] for pairs"
        raise ConfigError("data.text", text, "the name of a text column, or two different names", remedy)
    return tuple(map(str, columns))


def label_column(label: object, text: Sequence[str]) -> str:
    """The column of what is predicted.

    Raises:
        ConfigError: no name, or an input column: the answer would stand in the question.
    """
    column = _given("data.label", _column(label), "the name of the label column")
    if column in text:
        allowed = f"a column that is no input: data.text is {listing(text)}"
        raise ConfigError("data.label", column, allowed, "name the column of classes, or of scores")
    return column


def switch(key: str, value: object) -> bool:
    """A setting that is on or off.

    Raises:
        ConfigError: anything else, `maybe` say, which Python takes for true.
    """
    if not isinstance(value, bool):
        raise ConfigError(key, value, "true or false", f"write {key}=true where the labels are scores")
    return value


def listed(labels: object, regression: bool) -> tuple[str, ...] | None:
    """The classes in the order of their ids, if the user fixes it.

    Raises:
        ConfigError: no list of two different names or more, or classes of a regression task.
    """
    if labels is None:
        return None
    if not isinstance(labels, (list, tuple)):
        remedy = "write data.labels=[neg,pos], or drop data.labels to have the classes sorted"
        raise ConfigError("data.labels", labels, "a list of class names", remedy)
    if regression:
        remedy = "drop data.labels, or set data.regression=false"
        raise ConfigError("data.labels", tuple(labels), "null, since scores have no classes", remedy)
    for label in labels:
        if isinstance(label, bool) or not isinstance(label, (str, int)):
            remedy = "quote it as the file spells it: data.labels=['true','nan']"
            raise ConfigError("data.labels", labels, f"class names; {label!r} is read as a value", remedy)
    names = tuple(str(label) for label in labels)
    if len(names) < 2 or len(set(names)) != len(names):
        remedy = "list every class once, or drop data.labels to have them sorted"
        raise ConfigError("data.labels", names, "two different class names or more", remedy)
    return names


def metric_name(metric: str | None, regression: bool) -> str:
    """The metric, by default accuracy or, of scores, their correlation.

    Raises:
        ConfigError: none, or one of the other kind of task.
    """
    allowed = _SCORE_METRICS if regression else _CLASS_METRICS
    if metric is not None and metric not in allowed:
        remedy = f"choose one of these, or set data.regression={str(not regression).lower()}"
        raise ConfigError("data.metric", metric, ", ".join(allowed), remedy)
    return metric or allowed[0]
