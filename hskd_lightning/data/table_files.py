"""Tables on disk, read row by row: every complaint names the file and the line it is about.

The readers deliver the wanted columns only and leave the meaning of the values to their callers, `glue` and
`text`.
"""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hskd_lightning.data.examples import Examples, Task
from hskd_lightning.data.source_file import SourceFile, lines
from hskd_lightning.errors import ConfigError, listing, shortened, shown

if TYPE_CHECKING:
    from pyarrow import Scalar
    from pyarrow.parquet import ParquetFile

logger = logging.getLogger(__name__)


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


def unquoted(
    source: SourceFile, wanted: Sequence[str], header: Sequence[str] | None = None, skip_broken: bool = False
) -> Iterator[Record]:
    """Rows of a tab-separated file in which a quotation mark is a character like any other.

    Args:
        source: the file.
        wanted: the columns to deliver.
        header: the columns of a file that has no header line.
        skip_broken: pass over rows with a wrong number of columns, and warn once, with their number.
    """
    cells = ((line, text.removesuffix("\n").removesuffix("\r").split("\t")) for line, text in lines(source))
    return _pick(source, cells, wanted, header, skip_broken)


def quoted(source: SourceFile, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a comma-separated file, whose quoted cells may hold commas and line ends."""
    return _pick(source, _quoted_cells(source), wanted)


def json_lines(source: SourceFile, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a file with one JSON object a line; objects may hold more than the wanted columns."""
    filled = ((line, text) for line, text in lines(source) if text.strip())
    for row, (line, text) in enumerate(filled):
        value = _json_object(source, line, text)
        _require(source, wanted, list(value), line)
        yield Record(row, line, tuple(value[name] for name in wanted))


def parquet(source: SourceFile, wanted: Sequence[str]) -> Iterator[Record]:
    """Rows of a Parquet file, read batch by batch."""
    import pyarrow.parquet  # here: it takes a quarter of a second, and few data are Parquet

    try:
        with source.open() as stream, pyarrow.parquet.ParquetFile(stream) as table:
            yield from _parquet_rows(source, table, wanted)
    except (pyarrow.ArrowException, OSError) as error:
        fault = f"cannot be read as Parquet: {error}"
        raise source.error(fault, "a Parquet file, undamaged", "write the file anew") from error


def _parquet_rows(source: SourceFile, table: ParquetFile, wanted: Sequence[str]) -> Iterator[Record]:
    _require(source, wanted, table.schema_arrow.names)
    batches = table.iter_batches(columns=list(wanted))
    rows = (cells for batch in batches for cells in zip(*(batch[name] for name in wanted), strict=True))
    for row, cells in enumerate(rows):
        yield Record(row, row + 1, tuple(_as_python(source, row + 1, cell) for cell in cells))


def _as_python(source: SourceFile, row: int, cell: Scalar) -> object:
    try:
        return cell.as_py()
    except (ValueError, OverflowError) as error:  # text that is no UTF-8, a date beyond the year 9999
        fault = f"a value that cannot be read: {shortened(str(error))}"
        raise source.error(fault, "text in UTF-8, and numbers", "mend or drop the row", row) from error


READERS: dict[str, Callable[[SourceFile, Sequence[str]], Iterator[Record]]] = {
    ".csv": quoted,
    ".tsv": unquoted,
    ".jsonl": json_lines,
    ".parquet": parquet,
}
"""The reader of each file suffix. TSV goes unquoted: read with quoting, a stray quotation mark would join the
rows up to the next one without a word."""


def reader(source: SourceFile) -> Callable[[SourceFile, Sequence[str]], Iterator[Record]]:
    """How to read a file, by its suffix.

    Raises:
        ConfigError: a suffix that names no format.
    """
    read = READERS.get(source.path.suffix.lower())
    if read is None:
        allowed = "the suffix " + " or ".join(READERS)
        raise source.error(f"the suffix {source.path.suffix!r}", allowed, "convert or rename the file")
    return read


def no_rows(source: SourceFile) -> ConfigError:
    """The complaint about a table that is a header at most."""
    return source.error("no rows of data", "at least one example", "check how the file was made")


def collect(source: SourceFile, rows: Iterable[Labelled]) -> Examples:
    """One split from its rows.

    Raises:
        ConfigError: there are none.
    """
    gathered = list(rows)
    if not gathered:
        raise no_rows(source)
    columns = list(zip(*(example.texts for example in gathered), strict=True))
    return Examples(
        ids=[example.id for example in gathered],
        first=list(columns[0]),
        second=list(columns[1]) if len(columns) == 2 else None,
        labels=[example.label for example in gathered],
    )


def scorable(source: SourceFile, task: Task, examples: Examples) -> Examples:
    """A dev split, given back.

    Raises:
        ConfigError: the task's metric is not defined on labels such as these.
    """
    if (alike := task.unscorable(examples.labels)) is not None:
        remedy = "take a larger dev split, or check the column of the labels"
        raise source.error(alike, f"labels that differ: else {task.metric} is not defined", remedy)
    return examples


def _json_object(source: SourceFile, line: int, text: str) -> dict[str, object]:
    allowed, remedy = "one JSON object a line", "mend the line, or write the file anew"
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise source.error("JSON nested too deep", allowed, remedy, line) from None
    except json.JSONDecodeError as error:
        fault = f"broken JSON: {error.msg} at character {error.colno}"
        raise source.error(fault, allowed, remedy, line) from error
    except _Twice as error:
        raise source.error(f"the key {shown(error.args[0])} twice", allowed, remedy, line) from None
    except ValueError:
        raise source.error("an integer of thousands of digits", allowed, "write it as text", line) from None
    if not isinstance(value, dict):
        raise source.error(f"the JSON value {shown(value)}", allowed, remedy, line)
    return value


class _Twice(ValueError):
    """A key that an object has twice."""


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object, whose keys stand once: json would take the last of them without a word."""
    value = dict(pairs)
    if len(value) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _Twice(key)
    return value


def _quoted_cells(source: SourceFile) -> Iterator[tuple[int, list[str]]]:
    # Strict, or a quotation mark that is never closed would swallow the rest of the file in silence.
    reader = csv.reader((text for _, text in lines(source)), strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells or [""]
            start = reader.line_num + 1  # a row that spans lines is placed where it starts
    except csv.Error as error:
        raise _broken_csv(source, start, error) from error


def _broken_csv(source: SourceFile, line: int, error: csv.Error) -> ConfigError:
    if "field limit" in str(error):
        fault, allowed = "a cell that goes on and on", f"cells of at most {csv.field_size_limit():,} characters"
        remedy = "close its quotation mark, or cut it: a model reads the first data.max_length tokens"
        return source.error(fault, allowed, f"{remedy}; TSV, JSONL and Parquet have no such limit", line)
    remedy = 'write a quotation mark inside a cell as "", or save the table as JSONL'
    return source.error(f"broken CSV: {error}", "quoted CSV", remedy, line)


def _pick(
    source: SourceFile,
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
            allowed = f"{len(names)} columns: {listing(names)}"
            raise source.error(f"{len(row)} columns", allowed, "mend or drop the row", line)
    if broken:
        logger.warning("%s: skipped %d rows that do not have %d columns", source.path, broken, len(names))


def _header(source: SourceFile, filled: Iterator[tuple[int, list[str]]]) -> list[str]:
    first = next(filled, None)
    if first is None:
        raise source.error("the file is empty", "a header line and rows", "check how the file was made")
    return first[1]


def _require(source: SourceFile, wanted: Sequence[str], names: Sequence[str], line: int | None = None) -> None:
    """Refuse a table in which a wanted column is absent, or stands twice so that its name is ambiguous."""
    for name in wanted:
        if names.count(name) != 1:
            fault = f"{names.count(name) or 'no'} columns named {name!r} among: {listing(names)}"
            remedy = f"rename the column in the file to {name!r}, or ask for one that is there"
            if len(names) == 1 and source.path.suffix in (".csv", ".tsv"):
                remedy = f"a .csv has commas between its columns, a .tsv tabs; if this one has: {remedy}"
            raise source.error(fault, f"exactly one column {name!r}", remedy, line)
