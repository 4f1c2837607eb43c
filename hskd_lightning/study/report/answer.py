"""The answer of a search on the report's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from hskd_lightning.study.markup import Markup, element, joined
from hskd_lightning.study.report.html_tables import DASH, between, probability
from hskd_lightning.study.search.answer import DEV, Cost

Row = Mapping[str, Any]


class _Said(BaseModel):
    """A part of answer.json; what else it says is kept as it is."""

    model_config = ConfigDict(extra="allow")


class _Reading(_Said):
    low: float | None
    high: float | None
    p: float | None


class _Rung(_Said):
    name: str
    bytes: float
    shared_bytes: float = 0.0
    """What all examples share, divided by their number; 0 in an answer of before it was said, too."""
    share: float
    seeds: list[int]
    power: float
    shown: bool
    difference: float | None
    these_sentences: _Reading
    new_sentences: _Reading | None
    needs: str | None


class _Rules(_Said):
    cells: int
    margin: float
    alpha: float
    confirming: int
    reference: int


class AnswerSaid(_Said):
    """What the page reads of answer.json."""

    sentence: str
    ladder: list[_Rung]
    cost: Cost
    rules: _Rules
    space: int
    steered_by: str = DEV
    """Of an answer of before it was said, too."""


def answer_html(answer: Mapping[str, Any]) -> Markup:
    """What answer.json says: the sentence, the ladder, what it cost."""
    sentence = element("p", element("strong", answer["sentence"]))
    return element(
        "section", sentence, _ladder(answer["ladder"]), element("p", _cost(answer), role="quiet"), role="short"
    )


def _ladder(rungs: Sequence[Row]) -> Markup:
    head = element("tr", *(element("th", name) for name in HEADER))
    body = [element("tr", *(element("td", text) for text in _row(rung))) for rung in rungs]
    return element("div", element("table", element("thead", head), element("tbody", *body)), role="wide few")


HEADER = (
    "confirmed on fresh seeds",
    "bytes an example",
    "n",
    "predicted power",
    "minus full HSK, these sentences",
    "new sentences",
    "serves as well",
)


def _row(rung: Row) -> tuple[str, ...]:
    return (
        rung["name"],
        f"{rung['bytes']:,.0f} ({rung['share']:.2%}){_shared(rung)}",
        f"{len(rung['seeds'])}",
        f"{rung['power']:.2f}",
        _reading(rung["difference"], rung["these_sentences"]),
        _reading(rung["difference"], rung["new_sentences"]),
        "shown" if rung["shown"] else f"not shown: {rung['needs']}",
    )


def _shared(rung: Row) -> str:
    return f" + {rung['shared_bytes']:,.0f} shared" if rung["shared_bytes"] >= 1 else ""


def _reading(difference: float | None, reading: Row | None) -> str:
    if reading is None or reading["p"] is None:
        return DASH
    return f"{between(difference, reading['low'], reading['high'], signed=True)}, {probability(reading['p'])}"


def _cost(answer: Mapping[str, Any]) -> Markup:
    cost, rules = answer["cost"], answer["rules"]
    failed = f", of which {cost['failed']} failed and were left out" if cost["failed"] else ""
    return joined(
        [
            f"{cost['cells']} cells{failed} of at most {rules['cells']}, {cost['hours']:.2f} hours of training, "
            f"{cost['teacher_passes']} passes of the teacher for {cost['teacher_passes']} stores, where these students "
            f"would have taken {cost['passes_saved']} beside a teacher in memory: paid after "
            f"{cost['students_to_pay']} students. The space had {answer['space']:,} settings. "
            f"{answer['steered_by'].capitalize()} chose what is tested on dev examples and fresh seeds. Margin "
            f"{rules['margin']:g}, alpha {rules['alpha']:g}, {rules['confirming']} fresh seeds a setting and "
            f"{rules['reference']} of full HSK, all written down before the first cell; tests one-sided, in the order "
            "of the table, to the first that fails."
        ]
    )
