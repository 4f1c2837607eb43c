"""One page that holds a whole study: no network, no files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from hskd_lightning.study.figures import plotly_figure
from hskd_lightning.study.figures.chart import Chart
from hskd_lightning.study.figures.draw import charts
from hskd_lightning.study.figures.style import COLORS, LIT
from hskd_lightning.study.markup import Markup, element, joined, markup
from hskd_lightning.study.report.answer import answer_html
from hskd_lightning.study.report.findings import findings, origins
from hskd_lightning.study.report.html_tables import minimum_html, plotted_html, settings_html
from hskd_lightning.study.report.tables import minimum_table, settings_table
from hskd_lightning.study.results import finished
from hskd_lightning.study.rules import read as read_rules
from hskd_lightning.study.stats.defaults import LEVEL, MARGIN
from hskd_lightning.study.stats.moderation import Rule

VARIANCES = {
    "welch": "Each setting brings the variance of its own seeds (Welch).",
    "moderated": "Each setting’s variance is drawn towards those of its figure (Smyth’s moderation): where one spreads "
    "threefold, a test of 5% errs in 13 to 18%.",
}
TITLE = "How little of a teacher's knowledge does a student need?"
LIGHT = {
    "paper": "#f7f7f5",
    "card": "#ffffff",
    "ink": "#1d1f22",
    "quiet": "#62666d",
    "grid": "#e3e3df",
    "link": "#005a8f",
}
DARK = {
    "paper": "#14161a",
    "card": "#1c1f25",
    "ink": "#e8e9eb",
    "quiet": "#9aa0a8",
    "grid": "#343941",
    "link": "#6cb8ea",
}


def write_report(
    results: pd.DataFrame,
    path: Path,
    margin: float = MARGIN,
    variance: Rule = "welch",
    answer: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of a study, as far as it is finished.

    Args:
        results: one row per (figure, cell), as in results.csv.
        path: the page, for instance report.html; its folder is made if it is not there. Beside it may lie study.json.
        margin: of the equivalence test, in units of score.
        variance: over seeds, see `moderation`.
        answer: of a search, as answer.json has it.

    Raises:
        ConfigError: results lack a column without which no row can be told from another.
    """
    rows, fixed = finished(results), read_rules(path.parent)
    drawn = charts(results, margin=margin, variance=variance)
    panels = [panel for chart in drawn for panel in plotly_figure.figures(chart)]
    page = Template((files("hskd_lightning.study.report") / "page.html").read_text(encoding="utf-8"))
    text = page.substitute(
        title=markup(TITLE),
        light=_variables(LIGHT),
        dark=_variables(DARK),
        body="\n".join(_body(rows, drawn, margin, variance, answer)),
        origins="\n".join(element("li", said) for said in origins(rows, fixed, margin)),
        level=f"{LEVEL:.0%}",
        margin=f"{margin:g}",
        variance=VARIANCES[variance],
        plotly=get_plotlyjs(),
        figures=_embedded(_plain(panels)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _variables(theme: Mapping[str, str]) -> str:
    colors = {f"c{at}": color for at, color in enumerate(LIT if theme is DARK else COLORS)} | dict(theme)
    soft = {f"{name}-soft": f"{color}26" for name, color in colors.items()}
    return " ".join(f"--{name}: {color};" for name, color in (colors | soft).items())


def _plain(value: Any) -> Any:
    """JSON has no nan: what is not there is null, and plotly leaves it out."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def _embedded(value: Any) -> Markup:
    """JSON as the content of a script, which `</script` would end, and `<!--` would keep from ending."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def _body(
    rows: pd.DataFrame, drawn: Sequence[Chart], margin: float, variance: Rule, answer: Mapping[str, Any] | None
) -> Iterator[Markup]:
    minimum = minimum_table(rows, margin=margin, variance=variance)
    yield _header(rows, drawn)
    if answer is not None:
        yield answer_html(answer)
    if minimum or answer is None:
        yield element("section", element("ul", *(element("li", said) for said in findings(minimum))), role="short")
    at = 0
    for chart in drawn:
        yield _section(chart, at, settings_table(rows, chart.name, margin, variance))
        at += len(chart.panels)
    if minimum:
        yield joined([element("h2", "Minimum knowledge", id="minimum"), minimum_html(minimum)])


def _header(rows: pd.DataFrame, drawn: Sequence[Chart]) -> Markup:
    tasks, students = (", ".join(sorted(rows[column].astype(str).unique())) for column in ("task", "student"))
    cells, seeds = rows["cell_id"].nunique(), rows["seed"].nunique()
    about = f"Students: {students}. Tasks: {tasks}. {cells:,} finished cells, {seeds} seeds."
    title = element("div", element("h1", TITLE), element("p", about, role="quiet"))
    button = element("button", "Light / dark", id="theme", type="button")
    links = [element("a", chart.title, href=f"#{chart.name}") for chart in drawn]
    links.append(element("a", "How these numbers were made", href="#origins"))
    return joined([element("header", title, button), element("nav", *links)])


def _section(chart: Chart, first: int, table: Sequence[Mapping[str, Any]]) -> Markup:
    places = [_place(first + at) for at in range(len(chart.panels))]
    caption = element("figcaption", chart.caption)
    heading = element("h2", chart.title, id=chart.name)
    numbers = element("details", element("summary", "The plotted numbers"), plotted_html(chart.rows()))
    tests = element("details", element("summary", "The settings, compared"), settings_html(table)) if table else ""
    figure = element("figure", element("div", *places, role="panels"), caption)
    return joined([heading, figure, tests, numbers])


def _place(figure: int) -> Markup:
    """Where the page's script draws a figure, by its place in the JSON."""
    return element("div", element("div", **{"data-figure": str(figure)}), role="panel")
