"""What a cell of a table may hold: a text, the name of a class, a score. Complaints name the file and the line."""

from __future__ import annotations

import math
import re
from typing import TypeGuard

from hskd_lightning.data.source_file import SourceFile
from hskd_lightning.errors import shown

LONGEST_NAME = 200
"""Characters of a class name: what is longer is a text, in the wrong column."""
_LARGEST = 3.4e38  # of float32, in which scores are kept
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, at which other programs end a text, and the halves of surrogate pairs, which no file can hold as UTF-8."""


def text(source: SourceFile, line: int, column: str, value: object) -> str:
    """An input.

    Raises:
        ConfigError: no string, an empty one, or one with characters that cannot be kept.
    """
    if not isinstance(value, str) or not value.strip():
        # Refused rather than trained on: an empty text in one's own files is more often a slip than meant.
        fault = f"{column} = {shown(value)}"
        raise source.error(fault, "text that is not empty", "fill in or drop the row", line)
    return _usable(source, line, column, value)


def class_name(source: SourceFile, line: int, value: object) -> str:
    """A class, taken literally: `nan`, `None` and `NULL` are names, if they are text.

    Raises:
        ConfigError: a missing label, one that is neither text nor an integer, or one that is no name.
    """
    if not isinstance(value, (str, int)) or not str(value).strip():
        remedy = "fill in or drop the row, and write classes as text or integers; for scores set data.regression=true"
        raise source.error(f"the label {shown(value)}", "a class name or an integer", remedy, line)
    name = _usable(source, line, "the label", str(value))
    if len(name) > LONGEST_NAME:
        remedy = "set data.label to the column of the classes"
        allowed = f"a class name of at most {LONGEST_NAME} characters"
        raise source.error(f"the label {shown(name)}", allowed, remedy, line)
    if name != name.strip():
        remedy = "strip the labels, or two spellings of one class become two classes"
        raise source.error(f"the label {name!r}", "a class name without blanks around it", remedy, line)
    return name


def score(source: SourceFile, line: int, value: object) -> float:
    """A regression target.

    Raises:
        ConfigError: the value is not a finite number.
    """
    try:
        number = float(value) if isinstance(value, (int, float)) or _is_written(value) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not abs(number) <= _LARGEST:
        raise source.error(f"the score {shown(value)}", "a finite number", "correct or drop the row", line)
    return number


def _is_written(value: object) -> TypeGuard[str]:
    """Whether it is a number as tables write them: Python would read 1_0 as 10, too."""
    return isinstance(value, str) and value.isascii() and "_" not in value


def _usable(source: SourceFile, line: int, column: str, value: str) -> str:
    bad = _UNUSABLE.search(value)
    if bad is not None:
        fault = f"{column}: the character {bad.group()!r} after {shown(value[max(0, bad.start() - 20) : bad.start()])}"
        allowed = "text without NUL and without halves of surrogate pairs"
        raise source.error(fault, allowed, "drop the character or the row, or write the file anew", line)
    return value
