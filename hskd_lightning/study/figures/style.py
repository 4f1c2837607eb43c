"""Colours and marks that differ for every eye and in grey, for figures and pages alike."""

from __future__ import annotations

from dataclasses import dataclass

from hskd_lightning.study.figures.chart import Chart, Line

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, without black, which is the ink's, and yellow, which white paper swallows."""

LIT = ("#4C9FE0", "#EE7B43", "#1DB98F", "#DB95C0", "#F0B432", "#A9DDF5")
"""The hues of COLORS on dark ground, where the first three would sink."""

PRINTED = ("o", "s", "D", "^", "v", "P", "X")
SHOWN = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x")
"""The marks of lines, by matplotlib's names and by plotly's. One more than colours: 42 lines differ."""

INK = {"logits only": "dot", "full HSK": "dash"} | dict.fromkeys(
    ("teacher", "best mean so far", "lower envelope"), "solid"
)
"""What every figure has is drawn in the colour of the text, each with its dash."""


@dataclass(frozen=True)
class Style:
    """`color`: a place in COLORS, None for ink. `marker`: a place in PRINTED and SHOWN."""

    color: int | None
    marker: int
    dash: str = "solid"


def dash_of(line: Line, style: Style) -> str:
    """A level in a group's colour is no other's: in a legend, where both are ink, it would pass for the teacher's."""
    return "dashdot" if line.kind == "level" and line.group else style.dash


def styles(chart: Chart) -> dict[str, Style]:
    """A style for each that has one, the same in all panels of a figure."""
    kinds: dict[str, set[str]] = {}
    for line in chart.lines:
        kinds.setdefault(line.style, set()).add(line.kind)
    names = [name for name, drawn in kinds.items() if name not in INK and drawn != {"band"}]  # a lone band is ink too
    colored = {name: Style(at % len(COLORS), at % len(PRINTED)) for at, name in enumerate(names)}
    return {name: colored.get(name) or Style(None, 0, INK.get(name, "solid")) for name in kinds}
