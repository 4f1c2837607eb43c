"""The committed studies: their figures and page show the numbers of their results.csv."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from hskd_lightning.study.figures.chart import Chart, Line
from hskd_lightning.study.figures.charts import CHARTS
from hskd_lightning.study.figures.draw import charts
from hskd_lightning.study.figures.matplotlib_figure import render
from hskd_lightning.study.figures.matplotlib_lines import handle
from hskd_lightning.study.figures.style import Style, styles
from hskd_lightning.study.report.page import write_report
from hskd_lightning.study.seals import parse, seal
from hskd_lightning.study.sweep.collect import read
from tests.helpers import ROOT

STUDIES = sorted(
    path.parent for pattern in ("*", "*/bits", "*/minimum") for path in ROOT.glob(f"results/{pattern}/results.csv")
)


@functools.cache
def read_once(study: Path) -> pd.DataFrame:
    return read(study / "results.csv")


@functools.cache
def drawn_once(study: Path) -> list[Chart]:
    return charts(read_once(study))


@pytest.fixture(scope="module", params=STUDIES, ids=lambda folder: str(folder.relative_to(ROOT / "results")))
def study(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_toy_study_has_every_figure() -> None:
    """But those of the paths, of a search, and of a sweep that is no plan: none of them is of all.yaml."""
    assert set(read(ROOT / "results/toy/results.csv").figure) == set(CHARTS) - {"curve", "pareto", "paths", "minimum"}


def test_every_row_has_its_seal(study: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = parse((study / "results.csv").read_text())
    assert [row["seal"] for row in rows] == [seal(row) for row in rows]
    assert len(read(study / "results.csv")) == len(rows) and caplog.text == ""


def test_every_figure_shows_the_numbers_of_the_results(study: Path) -> None:
    found, drawn = read_once(study), drawn_once(study)
    assert {chart.name for chart in drawn} == (
        {*found.figure, "pareto"} - {"search"}
    )  # a search is drawn in the figure of the minimum
    for chart in drawn:
        text = pd.DataFrame(chart.rows()).to_csv(index=False, lineterminator="\n")
        assert (study / "figures" / f"{chart.name}.csv").read_text() == text  # to the digit, on every processor
        for kind in ("png", "svg", "pdf"):
            assert (study / "figures" / f"{chart.name}.{kind}").stat().st_size > 1000


def look(entry: Line, style: Style) -> bytes:
    """What stands beside a name in a legend, in pixels."""
    figure, out = Figure(figsize=(0.6, 0.4), dpi=100), io.BytesIO()
    figure.legend([handle(entry, style)], [""], loc="center", frameon=False)
    figure.savefig(out, format="rgba")
    return out.getvalue()


def test_no_two_entries_of_a_legend_look_alike(study: Path) -> None:
    for chart in drawn_once(study):
        entries = chart.legend()
        looks = {look(line, styles(chart)[line.style]) for line in entries.values()}
        assert len(looks) == len(entries), chart.name


def test_a_ring_is_of_new_sentences_and_a_frame_of_these_alone() -> None:
    (chart,) = (each for each in drawn_once(ROOT / "results/rte") if each.name == "marginal_utility")
    marks = [(line.kind, line.name, line.points[0].flag) for line in chart.lines if line.kind in ("ring", "frame")]
    least = "least that serves as well, {} sentences"
    assert marks == [  # as on the page of results/rte: of the second student nothing is shown on new sentences
        ("ring", least.format("new"), "30,535"),
        ("frame", least.format("these"), "1,023"),
        ("frame", least.format("these"), "22,934"),
    ]


def searched(name: str) -> Chart:
    return next(each for each in drawn_once(ROOT / "results" / name / "minimum") if each.name == "minimum")


def test_a_verdict_has_one_colour_in_every_search() -> None:
    found = [styles(searched(name)) for name in ("cola", "sst2", "toy")]  # only CoLA's has a setting that serves
    assert len({style["confirmed: not shown"] for style in found}) == 1
    assert found[0]["confirmed: serves"] != found[0]["confirmed: not shown"]


def test_a_ring_is_explained_as_it_is_drawn() -> None:
    chart = searched("cola")
    figure = render(chart)
    (entry,) = (each for name, each in chart.legend().items() if name.startswith("the least that is shown"))
    rings = [drawn for drawn in figure.axes[0].lines if drawn.get_fillstyle() == "none"]
    explained = handle(entry, styles(chart)[entry.style])
    assert [ring.get_color() for ring in rings] == [explained.get_color()]


def test_every_setting_has_three_seeds_and_every_cell_one_budget(study: Path) -> None:
    found = read_once(study).drop_duplicates("cell_id")
    assert set(found.seed) >= {0, 1, 2}
    switched = found.quirk.isin(
        ["drop_last", "hidden_whole_steps", "hidden_saved_every", "baseline_epochs"]
    )  # these change the steps, which is their point
    switched |= found.reindex(columns=["baseline"])["baseline"].eq("prediction")
    assert found[~switched].fillna({"steps_hidden": 0}).eval("steps_hidden + steps_prediction").nunique() == 1


@pytest.mark.parametrize("name", ["toy", "toy/minimum"])  # every figure, and a search
def test_a_page_of_it_names_its_cells(name: str, tmp_path: Path) -> None:
    table = read(ROOT / "results" / name / "results.csv")
    page = write_report(table, tmp_path / "report.html").read_text()
    assert all(cell in page for cell in table.cell_id.unique())
