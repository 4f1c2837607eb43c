"""How a search ends: its answer in a sentence and as JSON, its cells as a table, a figure and a page."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from hskd_lightning import console
from hskd_lightning.integrity import read_typed, write_json
from hskd_lightning.runs.result import Result
from hskd_lightning.runs.state import State
from hskd_lightning.study import examples
from hskd_lightning.study.figures.charts.minimum import FRESH, VERDICT
from hskd_lightning.study.figures.draw import draw
from hskd_lightning.study.report.answer import AnswerSaid
from hskd_lightning.study.report.page import write_report
from hskd_lightning.study.search.answer import Answer, Cost, bytes_said, said
from hskd_lightning.study.search.search import Search
from hskd_lightning.study.sweep import collect
from hskd_lightning.study.sweep.plan import Plan

log = logging.getLogger(__name__)
ANSWER = "answer.json"


def finish(search: Search, plan: Plan, folder: Path) -> None:
    """Write answer.json, results.csv, the figure and the page; say the answer."""
    results = [result for cell in plan.in_state(State.DONE) if (result := cell.result) is not None]
    answer = Answer(search, cost_of(plan, results, search), results[0].metric)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ANSWER, answer.as_json())
    answers = collect.said(plan)
    table = with_verdicts(collect.collect(plan), plan, search)
    csv = collect.write(table, folder, answers)
    table = examples.joined(table, answers)
    drawn = [path for path in draw(table, folder / "figures", margin=search.rules.margin) if path.suffix == ".png"]
    page = write_report(table, folder / "report.html", search.rules.margin, answer=answer.as_json())
    show(answer)
    log.info("search: %s", "\n  ".join(str(path) for path in [folder / ANSWER, csv, *drawn, page]))
    log.info("%s", answer.sentence)


def cost_of(plan: Plan, results: Sequence[Result], search: Search) -> Cost:
    """Cells, hours and passes of the teacher.

    With a teacher in memory a student takes a pass over its text in each epoch of its two stages; a store takes one,
    and then serves all that it covers. So stores have paid after as many students as take their passes.
    """
    cells = [cell for cell in plan.to_run if cell.settings is not None]
    stages = [cell.settings.stage for cell in cells if cell.settings is not None]
    epochs = [stage.hidden.epochs + stage.prediction.epochs for stage in stages]
    stores = {result.store for result in results} - {None}
    seconds = sum(sum(result.seconds.values()) for result in results)
    to_pay = math.ceil(len(stores) * len(epochs) / sum(epochs)) if stores else 0
    return Cost(search.asked, len(search.failed), seconds / 3600, len(stores), math.ceil(sum(epochs)), to_pay)


def with_verdicts(table: pd.DataFrame, plan: Plan, search: Search) -> pd.DataFrame:
    """The table with the margin, and what became of each confirmed setting: shown, or not; reference for full HSK."""
    verdicts = {each.candidate.overrides: "shown" if each.shown else "not shown" for each in search.confirmed}
    verdicts |= {search.space.full.overrides: "reference"}
    fresh = {
        cell.id: verdict
        for cell in plan.cells
        for words, verdict in verdicts.items()
        if cell.figure == FRESH and set(words) <= set(cell.overrides)
    }
    return table.assign(**{VERDICT: table["cell_id"].map(fresh), "margin": search.rules.margin})


def show(answer: Answer) -> None:
    """The ladder as a table."""
    rows = [
        (
            each.candidate.name,
            bytes_said(each.candidate),
            f"{each.rung.power:.2f}",
            said(each.contrast.seeds),
            "unknown" if each.contrast.sentences is None else said(each.contrast.sentences),
            "shown" if each.shown else f"not shown: {answer.needs(each)}",
        )
        for each in answer.search.confirmed
    ]
    header = ("confirmed", "an example", "power", "minus full HSK, these sentences", "new sentences", "serves as well")
    console.show_table(header, rows)


def read_answer(folder: Path) -> dict[str, Any] | None:
    """The answer beside a results.csv; None where there is none.

    Raises:
        ConfigError: it is not what was written.
    """
    path = folder / ANSWER
    if not path.exists():
        return None
    remedy = "run the search again: its cells are there"
    return read_typed(path, TypeAdapter(AnswerSaid), "study", remedy, ("sentence",)).model_dump()
