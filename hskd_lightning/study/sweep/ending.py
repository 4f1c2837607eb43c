"""How a sweep ends: its results as tables, figures and a page, and the cells that have none."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hskd_lightning import console
from hskd_lightning.runs.state import State
from hskd_lightning.study import examples
from hskd_lightning.study.figures.draw import draw
from hskd_lightning.study.report import tables
from hskd_lightning.study.report.page import write_report
from hskd_lightning.study.sweep import collect, tuned
from hskd_lightning.study.sweep.plan import Plan, PlannedCell

log = logging.getLogger(__name__)


def show_results(table: pd.DataFrame, margin: float) -> None:
    """Each setting of each figure: amount, score with its interval, how it compares with full HSK, what would tell."""
    for figure in table["figure"].unique():
        rows = tables.settings_table(table, figure, margin)
        students = {row["student"] for row in rows}
        header = (
            figure,
            "values an example",
            "bytes",
            "score",
            "95% interval",
            "n",
            "as good as full HSK",
            "on new sentences",
        )
        console.show_table(header, [_formatted(row, len(students) > 1) for row in rows])
        if len(rows) > 1 and not any(row["as_good"] for row in rows):
            log.info("%s: full HSK is not among these, so none is held against it; experiment=full_hsk runs it", figure)
        for row in rows:
            if row["needs"]:
                log.info("%s: %s", row["setting"], row["needs"])
            if row["collapsed"]:
                log.warning("%s: seed %s collapsed, and is in the mean", row["setting"], row["collapsed"])


def _formatted(row: Mapping[str, Any], several: bool) -> tuple[str, ...]:
    interval = f"{row['low']:.4f} to {row['high']:.4f}" if row["n"] > 1 else "one seed has none"
    name = f"{row['student']}: {row['setting']}" if several else row["setting"]
    values = f"{row['scalars']:,.0f}" + (f" ({row['share']:.1%})" if row["scalars"] else "")
    return (
        name,
        values,
        f"{row['bytes']:,.0f}",
        f"{row['mean']:.4f}",
        interval,
        str(row["n"]),
        row["as_good_seeds"],
        row["as_good_sentences"],
    )


def finish(plan: Plan, folder: Path, margin: float, only: str | None = None) -> None:
    """Collect, show, draw; exit with 1 if a cell failed, or if the user's own axes named one that cannot be.

    Args:
        plan: the sweep.
        folder: to fill.
        margin: of the comparisons with full HSK.
        only: the one state whose cells ran; None: all that was missing.
    """
    table = collect.collect(plan)
    if len(table):
        said = collect.said(plan)
        csv = collect.write(table, folder, said)
        shown = examples.joined(table[table["figure"] != tuned.TUNE], said)
        written = [csv, *_shown(shown, folder, margin)]
        if arms := tuned.arms(plan, collect.result_of):
            written += tuned.finish(arms, folder)
        log.info("sweep: %s", "\n  ".join(map(str, written)))
    unfinished = [cell for cell in plan.to_run if cell.state != State.DONE]
    wrong = plan.skipped if plan.own_axes else ()
    if unfinished or wrong:
        again = "The same command" if only is None else "The same sweep, without hydra.sweeper.only or `study retry`,"
        sys.exit(f"{_failures(plan, unfinished, wrong)}\n{again} runs what is missing.")


def _shown(table: pd.DataFrame, folder: Path, margin: float) -> list[Path]:
    """Figures and page of what is compared on dev; cells that were tuned are not among it."""
    if not len(table):
        return []
    show_results(table, margin)
    drawn = [path for path in draw(table, folder / "figures", margin=margin) if path.suffix == ".png"]
    return [*drawn, write_report(table, folder / "report.html", margin)]


def _failures(plan: Plan, unfinished: list[PlannedCell], wrong: tuple[PlannedCell, ...]) -> str:
    """Which cells have no result, and where to read why: what went wrong was printed when it did."""
    of = len(plan.to_run) + len(wrong)
    lines = [f"\n{len(unfinished) + len(wrong)} of {of} cells did not end in a result:"]
    for cell in unfinished:
        error = cell.files.error
        lines.append(f"  {cell.id} {cell.state.lower()}: {plan.distinguishing(cell)}")
        lines += [f"    {error}"] if error.exists() else []
        lines += [f"    {cell.files.last_words}"] if cell.state == State.DAMAGED else []
    lines += [f"  cannot be: {plan.distinguishing(cell)}" for cell in wrong]
    return "\n".join(lines)
