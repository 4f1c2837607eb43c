"""Tables on disk, read row by row: every complaint names the file and the line it is about.

The readers deliver the wanted columns only and leave the meaning of the values to their callers, `glue` and
`text`. They split lines at the line feed alone: Python's own notion of a line also ends at characters such
as U+2028, which stand inside sentences of real corpora.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet

from hskd_lightning.data.examples import Examples
from hskd_lightning.errors import ConfigError

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20  # bytes hashed at a time: MNLI's files should not have to fit in memory


class Record(NamedTuple):
    """One row of a table: the values of the wanted columns, in the order they were asked for."""

    row: int
    """Position among the data rows, from 0; rows skipped as broken count."""
    line: int
    """Where the row starts in the file, from 1; in Parquet, which has no lines, the row's number."""
    values: tuple[object, ...]


class Labelled(NamedTuple):
    """One example, with its label as the model is to see it: a class id or a score."""

    id: int
    texts: tuple[str, ...]
    label: float


@dataclass(frozen=True)
class Source:
    """A file together with the configuration key that led to it."""

    path: Path
    key: str

    def error(self, found: str, allowed: str, remedy: str, line: int | None = None) -> ConfigError:
        """The complaint about this file, placed at a line if one is given; to be raised by the caller."""
        place = f"{self.path}" if line is None else f"{self.path}:{line}"
        return ConfigError(self.key, f"{place}: {found}", allowed, remedy)

    def existing(self) -> Path:
        """The path of the file, which is there.

        Raises:
            ConfigError: no file lies there.
        """
        if not self.path.is_file():
            start = f"a relative path starts at {Path.cwd()}"
            raise self.error("no such file", "an existing file", f"correct {self.key}; {start}")
        return self.path


def unquoted(
    source: Source, wanted: Sequence[str], header: Sequence[str] | None = None, skip_broken: bool = False
) -> Iterator[Record]:
    """Rows of a tab-separated file in which a quotation mark is a character like any other.

    Args:
        source: the file.
        wanted: the columns to deliver.
        header: the columns of a file that has no header line.
        skip_broken: pass over rows with a wrong number of columns, and warn once, with their number.
    """
    cells = ((line, text.removesuffix("\n").removesuffix("\r").split("\t")) for line, text in _lines(source))
    return _pick(source, cells, wanted, header, skip_broken)


def quoted(source: Source, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a comma-separated file, whose quoted cells may hold commas and line ends."""
    return _pick(source, _quoted_cells(source), wanted)


def json_lines(source: Source, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a file with one JSON object a line; objects may hold more than the wanted columns."""
    filled = ((line, text) for line, text in _lines(source) if text.strip())
    for row, (line, text) in enumerate(filled):
        value = _json_object(source, line, text)
        _require(source, wanted, list(value), line)
        yield Record(row, line, tuple(value[name] for name in wanted))


def parquet(source: Source, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a Parquet file, read batch by batch."""
    try:
        table = pyarrow.parquet.ParquetFile(source.existing())
    except pyarrow.ArrowInvalid as error:
        raise source.error(f"not Parquet: {error}", "a Parquet file", "write the file anew") from error
    with table:
        _require(source, wanted, table.schema_arrow.names)
        batches = (batch.to_pydict() for batch in table.iter_batches(columns=list(wanted)))
        rows = (values for batch in batches for values in zip(*(batch[name] for name in wanted), strict=True))
        for row, values in enumerate(rows):
            yield Record(row, row + 1, values)


READERS: dict[str, Callable[[Source, Sequence[str]], Iterator[Record]]] = {
    ".csv": quoted,
    ".tsv": unquoted,
    ".jsonl": json_lines,
    ".parquet": parquet,
}
"""The reader of each file suffix. TSV goes unquoted: read with quoting, a stray quotation mark would join the
rows up to the next one without a word."""


def score(source: Source, line: int, value: object) -> float:
    """A regression target.

    Raises:
        ConfigError: the value is not a finite number.
    """
    try:
        number = float(value) if isinstance(value, (str, int, float)) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise source.error(f"the score {value!r}", "a finite number", "correct or drop the row", line)
    return number


def collect(source: Source, rows: Iterable[Labelled]) -> Examples:
    """One split from its rows.

    Raises:
        ConfigError: there are none.
    """
    gathered = list(rows)
    if not gathered:
        raise source.error("no rows of data", "at least one example", "check how the file was made")
    columns = list(zip(*(example.texts for example in gathered), strict=True))
    return Examples(
        ids=[example.id for example in gathered],
        first=list(columns[0]),
        second=list(columns[1]) if len(columns) == 2 else None,
        labels=[example.label for example in gathered],
    )


def digest(settings: Iterable[object], sources: Iterable[Source] = ()) -> str:
    """A short name for the data that these settings select from these files: 16 hexadecimal digits.

    The place of a file does not enter, its bytes do: data moved to another folder or machine keep their name.

    Raises:
        ConfigError: a file is missing.
    """
    total = hashlib.sha256(repr(list(settings)).encode())
    for source in sources:
        # Each file's own hash, not its bytes, so that rows moved from the end of one file to the start of
        # the next make a difference.
        total.update(_file_hash(source.existing()))
    return total.hexdigest()[:16]


def _file_hash(path: Path) -> bytes:
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha.update(chunk)
    return sha.digest()


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """The file's lines, numbered from 1, line ends kept, a byte order mark dropped."""
    with source.existing().open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found, remedy = f"not UTF-8: {error}", "save the file as UTF-8"
                raise source.error(found, "UTF-8 text", remedy, number) from error


def _json_object(source: Source, line: int, text: str) -> dict[str, object]:
    allowed, remedy = "one JSON object a line", "mend the line, or write the file anew"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise source.error(f"broken JSON: {error}", allowed, remedy, line) from error
    if not isinstance(value, dict):
        raise source.error(f"the JSON value {text.strip()}", allowed, remedy, line)
    return value


def _quoted_cells(source: Source) -> Iterator[tuple[int, list[str]]]:
    # Strict, or a quotation mark that is never closed would swallow the rest of the file in silence.
    reader = csv.reader((text for _, text in _lines(source)), strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells or [""]
            start = reader.line_num + 1  # a row that spans lines is placed where it starts
    except csv.Error as error:
        remedy = 'write a quotation mark inside a cell as "", or save the table as JSONL'
        raise source.error(f"broken CSV: {error}", "quoted CSV", remedy, start) from error


def _pick(
    source: Source,
    cells: Iterable[tuple[int, list[str]]],
    wanted: Sequence[str],
    header: Sequence[str] | None = None,
    skip_broken: bool = False,
) -> Iterator[Record]:
    """The wanted columns of each row; the first row is the header unless one is given."""
    # An empty line is no row: the hub's copy of GLUE was made by that rule, so ids agree with its `idx`.
    filled = ((line, row) for line, row in cells if row != [""])
    names = _header(source, filled) if header is None else header
    _require(source, wanted, names)
    places = [names.index(name) for name in wanted]
    broken = 0
    for position, (line, row) in enumerate(filled):
        if len(row) == len(names):
            yield Record(position, line, tuple(row[place] for place in places))
        elif skip_broken:
            broken += 1
        else:
            allowed = f"{len(names)} columns: {', '.join(names)}"
            raise source.error(f"{len(row)} columns", allowed, "mend or drop the row", line)
    if broken:
        logger.warning("%s: skipped %d rows that do not have %d columns", source.path, broken, len(names))


def _header(source: Source, filled: Iterator[tuple[int, list[str]]]) -> list[str]:
    first = next(filled, None)
    if first is None:
        raise source.error("the file is empty", "a header line and rows", "check how the file was made")
    return first[1]


def _require(source: Source, wanted: Sequence[str], names: Sequence[str], line: int | None = None) -> None:
    """Refuse a table in which a wanted column is absent, or stands twice so that its name is ambiguous."""
    for name in wanted:
        if names.count(name) != 1:
            found = f"{names.count(name) or 'no'} columns named {name!r} among: {', '.join(names)}"
            remedy = f"rename the column in the file to {name!r}, or ask for one that is there"
            raise source.error(found, f"exactly one column {name!r}", remedy, line)
