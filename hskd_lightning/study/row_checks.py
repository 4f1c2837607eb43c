"""What the cells of a table of results can say: tables travel, and a spreadsheet may have been at them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hskd_lightning.errors import ConfigError

AGAIN = "collect the results of finished cells again"
NAMED = ("cell_id", "task", "student", "knowledge")
KEEPS = ("depth_keep", "length_keep", "width_keep", "bits_keep")
NUMBERS = ("seed", "teacher_seed", "hsk_amount", "depth_top", *KEEPS)


def check_rows(rows: pd.DataFrame) -> None:
    """Look at what rows are told apart by.

    Raises:
        ConfigError: a row that does not say whose it is, or has something else for a number; the column is named.
    """
    for column in NAMED:
        if rows[column].isna().any():
            raise ConfigError(f"results: {column}", "nothing", "a name in every row", AGAIN)
    for column in filter(rows.columns.__contains__, NUMBERS):
        _check_numbers(rows[column], column)


def _check_numbers(values: pd.Series, column: str) -> None:
    """A seed is a whole number; what was not chosen is empty, and a student always has a seed."""
    whole = column.endswith("seed")
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    usable = np.isfinite(numbers) & ((numbers % 1 == 0) | (not whole))
    wrong = values[~usable & (values.notna() | (column == "seed"))]
    if len(wrong):
        allowed = f"a {'whole ' if whole else ''}number in every row"
        raise ConfigError(f"results: {column}", wrong.iloc[0], allowed, AGAIN)
