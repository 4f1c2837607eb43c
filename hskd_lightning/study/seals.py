"""Rows of results.csv with seals: which of them are still as they were written.

A seal is a digest of the row's own text, so it holds wherever the row goes: into another order, another table, beside
columns that it has nothing in. It tells of damage and of editing by hand, not of anybody who makes new seals.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from hskd_lightning.errors import ConfigError, command
from hskd_lightning.study.results import NEEDED

log = logging.getLogger(__name__)
SEAL = "seal"
AGAIN = f"collect it again: {command('study')} collect --to FOLDER, with the sweep's arguments"
Row = Mapping[str, str]


def seal(row: Row) -> str:
    """Sixteen digits for what a row says: its columns that are not empty, whatever their order."""
    said = sorted((column, text) for column, text in row.items() if text and column != SEAL)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def sealed(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its rows' seals in the last column, made of the text that `to_csv` gives them."""
    plain = table.drop(columns=SEAL, errors="ignore")
    return plain.assign(**{SEAL: [seal(row) for row in parse(plain.to_csv(index=False))]})


def intact(path: Path) -> list[Row]:
    """The rows of a table that are as they were written, without their seals; the log names the others.

    A table from before there were seals, or put together by hand, is taken as it is, and the log says so.

    Raises:
        ConfigError: it is no such table, or none of its rows is as it was written.
    """
    rows = _rows(path)
    if SEAL not in rows[0]:
        log.warning("%s has no seals, so nobody can tell whether it was changed: taken as it is", path)
        return rows
    whole = [row for row in rows if row[SEAL] == seal(row)]
    if not whole:
        raise _unusable(path, "not one row is as it was written", "rows whose seals hold")
    if len(whole) < len(rows):
        broken = ", ".join(f"{row['figure']} {row['cell_id']}" for row in rows if row[SEAL] != seal(row))
        log.warning("%s: left out, as no longer what was written: %s; %s", path, broken, AGAIN)
    return [{column: text for column, text in row.items() if column != SEAL} for row in whole]


def _rows(path: Path) -> list[Row]:
    """Every row as text, and at least one, with the columns that a study needs."""
    try:
        rows = parse(path.read_bytes().decode("utf-8-sig"))  # a spreadsheet puts a mark first
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, str(error), "a whole table, as collect writes it, in UTF-8") from error
    missing = [column for column in NEEDED if rows and column not in rows[0]]
    if missing or not rows:
        fault = f"no column {', '.join(missing)}" if missing else "no rows"
        raise _unusable(path, fault, f"a row for each figure and cell, with {', '.join(NEEDED)}")
    return rows


def parse(text: str) -> list[Row]:
    """The rows of a CSV by column, as text.

    Raises:
        csv.Error: it is none, has two columns of one name, or a row that is no row of it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(reader, [])
    again = sorted({column for column in header if header.count(column) > 1})
    if again:
        raise csv.Error(f"more than one column {', '.join(again)}")
    return [_row(header, fields, reader.line_num) for fields in reader if fields]


def _row(header: Sequence[str], fields: Sequence[str], line: int) -> Row:
    if len(fields) != len(header):
        raise csv.Error(f"line {line} has {len(fields)} of {len(header)} columns")
    return dict(zip(header, fields, strict=True))


def _unusable(path: Path, fault: str, allowed: str) -> ConfigError:
    return ConfigError("results", f"{path}: {fault}", allowed, AGAIN)
