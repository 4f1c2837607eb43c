"""A study whose every name is markup: a page shows the names, and is no other page for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hskd_lightning.study.figures import plotly_figure
from hskd_lightning.study.figures.draw import charts
from hskd_lightning.study.markup import Markup, element, joined
from hskd_lightning.study.report.findings import origins
from hskd_lightning.study.report.page import write_report
from tests.study.browser import Browser
from tests.study.toy_study import toy_study

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = """"'><img src=x onerror="document.title='owned'">"""
ENDING = "</script><!--<script>"
COLOR = "var(--ink) &lt;b&gt; [x](y)"
LINK = '<a href="https://example.org">x</a>'
NAMES = {
    "task": {"polarity": SCRIPT},
    "student": {"tiny": IMAGE, "layer_drop": COLOR},
    "student_init": {"random": "<i>", "first": "<b>"},
    "teacher": {"tiny": ENDING},
    "metric": {"accuracy": "<sup>x"},
    "git_sha": {"0123abc-dirty": f"{SCRIPT}-dirty"},
    "control": {"shuffled": LINK, "random": "a, <br>b"},
    "length": {"random": SCRIPT, "attention": "<b>bold</b>"},
}
SWEPT = f"swept_{IMAGE}"


def a_study() -> pd.DataFrame:
    rows = toy_study(seeds=2)
    main = (rows["figure"] == "marginal_utility") & (rows["seed"] == 0)  # of more seeds its bootstraps take a while
    rows = rows[main | rows["figure"].isin(["length", "controls", "curve"])]
    swept = rows["length_keep"].map({1.0: "a", 2.0: "b"}).where(rows["figure"] == "curve")
    return rows.assign(git_sha="0123abc-dirty", versions_torch="2", swept_key=swept)


def made_hostile(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.replace({**NAMES, "swept_key": {"a": SCRIPT, "b": ENDING}, "versions_torch": {"2": IMAGE}})
    rows["cell_id"] = "<u><!--<script>" + rows["cell_id"]
    return rows.rename(columns={"swept_key": SWEPT, "versions_torch": f"versions_{SCRIPT}"})


@pytest.fixture(scope="module")
def hostile() -> pd.DataFrame:
    return made_hostile(a_study())


@pytest.fixture(scope="module")
def page(hostile: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(hostile, tmp_path_factory.mktemp("hostile") / "report.html")


class Elements(HTMLParser):
    """How often a page has which element with which attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[f"{tag} {attrs}"] += 1

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_has_the_elements_that_it_has_with_plain_names(page: Path, tmp_path: Path) -> None:
    plain = write_report(a_study(), tmp_path / "report.html")
    assert Elements(page.read_text()).found == Elements(plain.read_text()).found


def test_the_names_are_there_to_be_read(page: Path) -> None:
    shown = Elements(page.read_text()).text
    for name in (SCRIPT, IMAGE, COLOR, LINK, f"{SCRIPT}-dirty", f"versions_{SCRIPT}: {IMAGE}"):
        assert name in shown


def test_a_seed_is_text() -> None:
    rows = pd.DataFrame({"cell_id": ["a"], "seed": [SCRIPT], "git_sha": ["0123abc"]})
    said = "".join(origins(rows, None, 0.01))
    assert "<script>" not in said and SCRIPT in Elements(said).text


def strings(value: Any) -> Iterator[str]:
    """Every string of a figure."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from strings(each)


def test_plotly_is_given_no_markup_but_bold_italics_and_breaks(hostile: pd.DataFrame) -> None:
    texts = [text for chart in charts(hostile) for text in strings(plotly_figure.figures(chart))]
    assert {element for text in texts for element in Elements(text).found} == {"b []", "i []", "br []"}
    assert {SCRIPT, f"{IMAGE} (n=1)"} <= {Elements(text).text for text in texts}


def test_the_figures_json_has_nothing_that_a_script_element_reads(page: Path) -> None:
    found = page.read_text().split('<script type="application/json" id="figures">')[1].split("</script>")[0]
    assert "<" not in found
    assert "<!--<script>" in "".join(Elements(text).text for text in strings(json.loads(found)))


def test_an_element_escapes_text_and_keeps_markup() -> None:
    assert element("p", "1 < 2", element("b", "&")) == "<p>1 &lt; 2<b>&amp;</b></p>"


def test_an_attribute_ends_where_it_should() -> None:
    assert element("p", id='"><b>') == '<p id="&quot;&gt;&lt;b&gt;"></p>'


def test_what_joins_markup_is_escaped_too() -> None:
    assert joined([Markup("<b>a</b>"), "b"], " < ") == "<b>a</b> &lt; b"


def test_a_part_of_markup_is_text_again() -> None:
    assert element("p", Markup("<b>")[:2]) == "<p>&lt;b</p>"


@pytest.mark.slow
def test_a_browser_shows_the_names_and_runs_none_of_them(page: Path, shown: Browser) -> None:
    shown.open(page, 1280)
    assert shown.run("document.title") == "How little of a teacher's knowledge does a student need?"
    assert shown.run("document.querySelectorAll('img, svg a, [onerror]').length") == 0
    assert shown.run("document.querySelectorAll('script').length") == 3
    assert shown.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [f"{IMAGE} (n=1)", f"{COLOR} (n=1)", SCRIPT, LINK])
def test_a_browser_draws_the_names_letter_by_letter(page: Path, shown: Browser, name: str) -> None:
    shown.open(page, 1280)
    drawn = "[...document.querySelectorAll('[data-figure] text')].map((at) => at.textContent)"
    texts = json.loads(shown.run(f"JSON.stringify({drawn})"))
    assert any(text.startswith(name) for text in texts), texts  # a p may follow
