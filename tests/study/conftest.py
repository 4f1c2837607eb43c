"""Finished, half-done and one-seed studies, made once, and a browser to look at their pages."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from hskd_lightning.study.figures.chart import Chart
from hskd_lightning.study.figures.draw import charts
from tests.study.browser import CHROMIUM, Browser, browser
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


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one
