"""Finished, half-done and one-seed studies, made once."""

from __future__ import annotations

import pandas as pd
import pytest

from hskd_lightning.study.chart import Chart
from hskd_lightning.study.figures import charts
from tests.study.toy_study import toy_study


@pytest.fixture(scope="session")
def study() -> pd.DataFrame:
    return toy_study(seeds=3)


@pytest.fixture(scope="session")
def drawn(study: pd.DataFrame) -> list[Chart]:
    """Every figure of it, as numbers."""
    return charts(study)


@pytest.fixture(scope="session")
def single() -> pd.DataFrame:
    return toy_study(seeds=1)
