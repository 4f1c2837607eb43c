"""What a study found and where its numbers come from, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from hskd_lightning.study.markup import Markup, element, joined
from hskd_lightning.study.rules import Rules, broken, said

Row = Mapping[str, Any]
FEW = 5
"""Seeds below which the report warns."""


def findings(minimum: Sequence[Row]) -> Iterator[Markup]:
    """One item for each path of the main figure: what is shown on these sentences, and what on new ones."""
    for row in minimum:
        name = element("strong", f"{row['path']} on {row['task']}")
        known = "serving_sentences_amount" in row
        on_new = f"On new sentences, {_said(row, 'sentences')}" if known else UNKNOWN
        yield joined([name, f": on these sentences, {_said(row, 'seeds')} {on_new}{_next(row)} {_bend(row)}"])
    if not minimum:
        yield Markup(
            "How little is enough is not said here: that takes the plan marginal_utility (or paths), finished from "
            "logits only to full HSK."
        )


UNKNOWN = "Of new sentences nothing is said, as not all cells have their predictions."


def _said(row: Row, reading: str) -> str:
    return f"{_serving(row, reading)}; {_keeping(row, reading)}."


def _serving(row: Row, reading: str) -> str:
    amount, full = row[f"serving_{reading}_amount"], row["full_scalars"]
    if amount is None:
        return "no amount below full HSK is shown to serve as well as all of it"
    better = "as well, or better" if row[f"serving_{reading}_verdict"] == "non-inferior" else "as well"
    return (
        f"{amount:,.0f} of {full:,.0f} scalars an example ({amount / full:.1%}) serve {better}, give or take "
        f"{row['serving_margin']:g} (n={row[f'serving_{reading}_n']})"
    )


def _keeping(row: Row, reading: str) -> str:
    low, high = (row.get(f"keeping_{reading}_{end}", math.nan) for end in ("low", "high"))
    if row["keeping_verdict"] == "no gain" or math.isinf(high):
        return "full HSK itself is not shown to beat the logits alone, so there may be no gain to keep"
    if row["keeping_verdict"] != "kept":
        return f"how much keeps 90% of the gain cannot be said ({row['keeping_verdict']})"
    return f"90% of the gain of {row['keeping_gain']:.3f} is kept from somewhere between {low:,.0f} and {high:,.0f} on"


def _next(row: Row) -> str:
    """What the next smaller amount would take."""
    return f" At {row['stopped_amount']:,.0f} scalars, {row['stopped_needs']}." if row["stopped_needs"] else ""


def _bend(row: Row) -> str:
    verdict = DIMINISHING[row["diminishing_verdict"]]
    if row["diminishing_verdict"] != "undecided":
        return verdict
    agreeing = row["diminishing_agreeing"].replace("; ", ", ")
    do = f"these do: {agreeing}" if agreeing else "none does"
    return f"{verdict} Of the three figures that would have to say so, {do}."


DIMINISHING = {
    "diminishes": "Its marginal utility diminishes.",
    "increases": "Its marginal utility increases.",
    "undecided": "Whether its marginal utility diminishes is undecided.",
    "untested": "Whether its marginal utility diminishes was not tested: it takes two seeds and three amounts of "
    "hidden-state knowledge.",
}


def origins(rows: pd.DataFrame, rules: Rules | None, margin: float) -> Iterator[Markup]:
    """Rules, cells, code and limits; what the statistics assume is the same for every study, and stands on the page.

    Args:
        rows: finished cells.
        rules: what was fixed before the first of them; None: nothing was.
        margin: that the page is made with.
    """
    yield joined([element("strong", "Rules."), " ", _rules(rows, rules, margin)])
    cells = rows.drop_duplicates("cell_id")
    counts = cells.groupby("seed")["cell_id"].nunique()
    by_seed = ", ".join(f"seed {seed}: {count:,}" for seed, count in counts.items())
    text = f" {len(cells):,} finished trainings ({by_seed}), one score each, on the dev split."
    yield joined([element("strong", "Cells."), text])
    yield joined([element("strong", "Code."), " ", _commits(cells), _versions(cells)])
    yield from _limits(cells)


def _rules(rows: pd.DataFrame, rules: Rules | None, margin: float) -> str:
    if rules is None:
        return "None were written down before the first cell: margin and seeds may have been chosen by what came out."
    fixed = f"Fixed before the first cell: a margin of {rules.margin:g}, tests at {rules.alpha:g}, {said(rules.seeds)}."
    return " ".join([fixed, *broken(rules, rows["seed"].astype(int), margin)])


def _commits(cells: pd.DataFrame) -> Markup:
    shas = sorted(cells["git_sha"].dropna().astype(str).unique())
    if not shas:
        return Markup("The commit is not known. ")
    named = joined([element("code", sha) for sha in shas], ", ")
    many = " Cells of several commits are compared as if they were one." if len(shas) > 1 else ""
    dirty = DIRTY if any(sha.endswith("-dirty") for sha in shas) else ""
    return joined([f"Commit{'s' if len(shas) > 1 else ''} ", named, f".{many}", dirty, " "])


DIRTY = Markup(" <em>-dirty</em>: with changes that no commit has.")


def _versions(cells: pd.DataFrame) -> str:
    columns = [column for column in cells if str(column).startswith("version")]
    known = [f"{column}: {', '.join(sorted(cells[column].dropna().astype(str).unique()))}" for column in columns]
    return "; ".join(known)


def _limits(cells: pd.DataFrame) -> Iterator[Markup]:
    seeds = cells["seed"].nunique()
    if seeds == 1:
        yield ONE_SEED
    elif seeds < FEW:
        yield joined([element("strong", f"{seeds} seeds."), FEW_SEEDS])
    yield from _teachers(cells)
    yield SECONDS


def _teachers(cells: pd.DataFrame) -> Iterator[Markup]:
    """Students of several teachers differ in more than what they were taught."""
    if "teacher_weights" not in cells:
        return
    for (task, teacher), group in cells.groupby(["task", "teacher"]):
        count = group["teacher_weights"].nunique()
        if count > 1:
            text = (
                f" {count} sets of weights are called {teacher} on {task}: its settings are compared across teachers."
            )
            yield joined([element("strong", "Teachers."), text])


ONE_SEED = Markup(
    "<strong>One seed.</strong> Nothing here has an interval; hollow points are single runs and rank nothing."
)
FEW_SEEDS = Markup(
    " Intervals are wide, and their coverage leans on normal scores. Many a verdict will be <em>undecided</em>."
)
SECONDS = Markup(
    "<strong>Seconds</strong> are wall-clock times of the machines that trained, whatever else ran there. The one "
    "teacher pass of a store is not in them."
)
