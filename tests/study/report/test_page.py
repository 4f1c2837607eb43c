from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from hskd_lightning.study.figures import plotly_figure
from hskd_lightning.study.figures.chart import Chart
from hskd_lightning.study.report.page import write_report
from tests.study.browser import Browser


@pytest.fixture(scope="module")
def report(study: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report") / "deep" / "report.html")


class Links(HTMLParser):
    """What a page loads: every address of an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def links(page: str) -> list[str]:
    parser = Links()
    parser.feed(page)
    return parser.found


def test_the_page_loads_nothing(report: Path) -> None:
    page = report.read_text()
    found = links(page)
    assert found and all(link.startswith("#") for link in found)
    assert "@import" not in page.split("<script>")[0] and "url(" not in page.split("<script>")[0]


def test_the_page_says_where_its_numbers_come_from(report: Path, study: pd.DataFrame) -> None:
    page = report.read_text()
    assert f"{study['cell_id'].nunique():,} finished trainings (seed 0: " in page
    assert "<code>0123abc</code>" in page
    assert "<strong>3 seeds.</strong>" in page


def figures_of(page: str) -> list[dict[str, object]]:
    (found,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def test_the_page_shows_every_panel_with_its_numbers(report: Path, drawn: list[Chart]) -> None:
    page = report.read_text()
    assert len(figures_of(page)) == sum(len(chart.panels) for chart in drawn) == page.count("data-figure=")
    point = drawn[0].panels[0].lines[0].points[2]
    assert f"{point.mean:.4g} [{point.low:.4g}, {point.high:.4g}], n=3" in page
    assert all(cell in page for cell in point.cells)


def test_plotly_knows_every_property(drawn: list[Chart]) -> None:
    for chart in drawn:
        for figure in plotly_figure.figures(chart):
            plain = json.loads(re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(figure)))
            go.Figure(data=plain["data"], layout=plain["layout"])


def test_names_from_the_table_are_text(study: pd.DataFrame, tmp_path: Path) -> None:
    rows = study[study["figure"] == "curve"]
    bad = rows.assign(student="<img src=x>", task="</script><b>", git_sha="<i>")
    page = write_report(bad, tmp_path / "report.html").read_text()
    assert "<img src=x>" not in page and "</script><b>" not in page and "<code><i>" not in page


def test_an_empty_study_is_a_page(study: pd.DataFrame, tmp_path: Path) -> None:
    page = write_report(study[:0], tmp_path / "report.html").read_text()
    assert "How little is enough is not said here" in page


def test_one_seed_is_said(single: pd.DataFrame, tmp_path: Path) -> None:
    assert "<strong>One seed.</strong>" in write_report(single, tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["desktop", "phone"])
def test_a_browser_draws_every_chart_and_complains_of_nothing(
    report: Path, shown: Browser, width: int, dark: bool
) -> None:
    shown.open(report, width, dark)
    panels = len(figures_of(report.read_text()))
    assert shown.run("document.querySelectorAll('[data-figure] svg.main-svg .xy .trace').length") > panels
    assert shown.run("document.querySelectorAll('[data-figure] .plot-container').length") == panels
    assert shown.run("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    paper = shown.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark
    assert shown.complaints == []


@pytest.mark.slow
def test_the_button_turns_day_to_night_with_the_figures(report: Path, shown: Browser) -> None:
    ink = "getComputedStyle(document.querySelector('.xtick text')).fill"
    shown.open(report, 1280)
    assert shown.run(ink) == "rgb(29, 31, 34)"
    shown.run("document.getElementById('theme').click()")
    shown.wait(f"{ink} === 'rgb(232, 233, 235)'")
