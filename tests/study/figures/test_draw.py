from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.figures import plotly_figure
from hskd_lightning.study.figures.chart import Chart
from hskd_lightning.study.figures.charts import CHARTS
from hskd_lightning.study.figures.draw import charts, draw
from hskd_lightning.study.figures.matplotlib_figure import RC, render
from hskd_lightning.study.figures.style import COLORS, LIT, PRINTED, SHOWN, styles
from tests.study.toy_study import toy_study


def rendered(chart: Chart) -> Figure:
    """Laid out and painted, coarsely: a warning of any kind is an error here."""
    with rc_context(RC):
        figure = render(chart)
        figure.savefig(io.BytesIO(), format="png", dpi=100)
    return figure


def test_a_figure_is_four_files_and_svg_and_pdf_are_the_same_every_time(study: pd.DataFrame, tmp_path: Path) -> None:
    first, second = (draw(study, tmp_path / name, only=["marginal_utility"]) for name in ("a", "b"))
    assert [path.name for path in first] == [f"marginal_utility.{form}" for form in ("png", "svg", "pdf", "csv")]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix
    assert b"<dc:date>" not in first[1].read_bytes()


def test_the_csv_has_exactly_what_is_plotted(study: pd.DataFrame, tmp_path: Path) -> None:
    draw(study, tmp_path, only=["length"])
    table = pd.read_csv(tmp_path / "length.csv")
    assert list(table)[:9] == ["panel", "line", "kind", "x", "x_to", "n", "mean", "low", "high"]
    rows = study[(study["figure"] == "length") & (study["student"] == "tiny")]
    random = table[(table["panel"] == "tiny on polarity") & (table["line"] == "random")].set_index("x")
    means = rows[rows["length"] == "random"].groupby("length_keep")["score"].mean()
    assert random["mean"].to_dict() == pytest.approx(means.to_dict())


UNITS = {
    "marginal_utility": ("Hidden-state scalars per example", "Dev score (accuracy, 0 to 1)"),
    "depth": ("Kept layer pairs P", "Dev score (accuracy, 0 to 1)"),
    "length": ("Kept tokens per example K", "Dev score (accuracy, 0 to 1)"),
    "width": ("Kept share of the hidden units W/D", "Dev score (accuracy, 0 to 1)"),
    "paths": ("Bytes of knowledge per example", "Dev score (accuracy, 0 to 1)"),
    "joint": ("Hidden-state scalars per example", "Dev score (accuracy, 0 to 1)"),
    "efficiency": ("Milliseconds per optimiser step", ""),
    "curve": ("Hidden-state scalars per example", "Dev score (accuracy, 0 to 1)"),
    "controls": ("Difference to the teacher's own states (accuracy)", ""),
    "quirks": ("Difference to the default (accuracy)", ""),
    "pareto": ("Bytes of knowledge per example", "Dev score (accuracy, 0 to 1)"),
}


@pytest.fixture(scope="module")
def painted(drawn: list[Chart]) -> dict[str, Figure]:
    return {chart.name: rendered(chart) for chart in drawn}


def test_every_figure_is_drawn(painted: dict[str, Figure]) -> None:
    assert list(painted) == list(CHARTS)


@pytest.mark.parametrize("figure", UNITS)
def test_axes_have_units(painted: dict[str, Figure], figure: str) -> None:
    ax = painted[figure].axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == UNITS[figure]


@pytest.mark.parametrize("figure", CHARTS)
def test_the_legend_says_how_many_seeds(painted: dict[str, Figure], figure: str) -> None:
    texts = [text.get_text() for text in painted[figure].legends[0].get_texts()]
    assert any("(n=3)" in text for text in texts), texts


@pytest.mark.parametrize("figure", CHARTS)
def test_nothing_is_clipped_and_nothing_overlaps(painted: dict[str, Figure], figure: str) -> None:
    inside(painted[figure])
    boxes = [ax.get_tightbbox().padded(-1) for ax in painted[figure].axes]
    boxes.append(painted[figure].legends[0].get_window_extent().padded(-1))
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[at + 1 :])


def inside(figure: Figure) -> None:
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert -0.01 <= box.x0 and box.x1 <= width + 0.01 and -0.01 <= box.y0 and box.y1 <= height + 0.01


def test_dollars_in_a_name_are_no_formula(study: pd.DataFrame) -> None:
    rows = study[study["figure"] == "depth"].replace({"student": {"tiny": "$\\frac$"}})
    assert "$\\frac$ on polarity" in {ax.get_title(loc="left") for ax in rendered(CHARTS["depth"](rows)).axes}


def test_a_long_label_has_its_unit_on_a_line_of_its_own(study: pd.DataFrame) -> None:
    rows = study[study["figure"] == "depth"].assign(metric="mcc")
    figure = rendered(CHARTS["depth"](rows))
    assert figure.axes[0].get_ylabel() == "Dev score\n(Matthews correlation, −1 to 1)"
    inside(figure)


def test_a_single_seed_is_hollow_and_has_no_interval(single: pd.DataFrame) -> None:
    figure = rendered(CHARTS["depth"](single))
    marked = [line for line in figure.axes[0].get_lines() if line.get_marker() in PRINTED and len(line.get_xdata())]
    assert {line.get_markerfacecolor() for line in marked} == {"white"}
    assert "top 8/12 (n=1)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_single_seed_has_no_bar_on_the_page(single: pd.DataFrame) -> None:
    traces = [trace for each in plotly_figure.figures(CHARTS["depth"](single)) for trace in each["data"]]
    bars = [trace["error_y"] for trace in traces if "error_y" in trace]
    assert {end for bar in bars for side in ("array", "arrayminus") for end in bar[side]} == {"none"}


def test_every_figure_draws_from_one_seed(single: pd.DataFrame) -> None:
    drawn = charts(single)
    assert [chart.name for chart in drawn] == list(CHARTS)
    for chart in drawn:
        inside(rendered(chart))


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_draws_from_what_there_is(seed: int) -> None:
    whole = toy_study(seeds=2)
    kept = whole.sample(frac=(0.08, 0.2, 0.5, 0.8)[seed], random_state=seed)
    kept.loc[kept.index[::5], ["seconds_hidden", "teacher_score", "layer_map", "knowledge_bytes"]] = np.nan
    drawn = charts(kept)
    assert len(drawn) > len(CHARTS) / 2
    for chart in drawn:
        rendered(chart)


@pytest.mark.parametrize("figure", CHARTS)
def test_a_figure_draws_from_its_first_rows(study: pd.DataFrame, figure: str) -> None:
    rows = study[study["figure"] == ("depth" if figure == "pareto" else figure)]
    for count in (1, 2, 7, 12):
        drawn = charts(rows[:count], [figure])
        assert drawn or count < 12
        for chart in drawn:
            rendered(chart)


def test_a_figure_draws_without_the_columns_that_it_can_do_without(study: pd.DataFrame) -> None:
    kept = study.drop(columns=["teacher_score", "metric", "layer_map", "knowledge_bytes", "seconds_hidden", "git_sha"])
    assert {"depth", "marginal_utility", "controls"} <= {chart.name for chart in charts(kept)}


def test_what_cannot_be_drawn_is_logged_and_the_rest_is_drawn(
    study: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    draw(study[study["figure"] == "curve"], tmp_path, only=["depth", "curve"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"curve.{form}" for form in ("csv", "pdf", "png", "svg")
    ]
    assert "figure depth is skipped: no finished cell is of the figure depth" in caplog.text


def test_figures_show_the_margin_that_was_asked_for(study: pd.DataFrame) -> None:
    asked = ["marginal_utility", "quirks", "controls"]
    bands = [line for chart in charts(study, asked, margin=0.03) for line in chart.lines if line.kind == "band"]
    assert len(bands) >= len(asked)
    for line in bands:
        assert "0.03" in line.name
        assert [point.high - point.low for point in line.points] == [pytest.approx(0.06)]


def test_an_unknown_figure_is_refused(study: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`only` = 'dept'.*\n.*marginal_utility, depth"):
        draw(study, tmp_path, only=["dept"])


def test_lines_differ_in_colour_and_in_marker(drawn: list[Chart]) -> None:
    for chart in drawn:
        looks = [style for style in styles(chart).values() if style.color is not None]
        assert len({style.color for style in looks}) == len({style.marker for style in looks}) == len(looks), chart.name


def test_there_is_a_mark_on_the_page_for_each_in_print() -> None:
    assert len(set(PRINTED)) == len(PRINTED) == len(set(SHOWN)) == len(SHOWN)
    assert len(set(COLORS)) == len(set(LIT)) == len(COLORS) == len(LIT)
