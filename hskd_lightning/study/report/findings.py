"""What a study found and where its numbers come from, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from hskd_lightning.study.markup import Markup, element, joined

Row = Mapping[str, Any]
FEW = 5
"""Seeds below which the report warns."""


def findings(minimum: Sequence[Row]) -> Iterator[Markup]:
    """One sentence for each path of the main figure."""
    for row in minimum:
        name = element("strong", f"{row['path']} on {row['task']}")
        yield joined([name, f": {_serving(row)}; {_keeping(row)}. {DIMINISHING[row['diminishing_verdict']]}"])
    if not minimum:
        yield Markup("The main figure has no finished path from logits only to full HSK yet: no minimum can be named.")


def _serving(row: Row) -> str:
    if row["serving_amount"] is None:
        return "no amount below full HSK is shown to serve as well as all of it"
    amount, full = row["serving_amount"], row["full_scalars"]
    better = "as well, or better" if row["serving_verdict"] == "non-inferior" else "as well"
    return (
        f"{amount:,.0f} of {full:,.0f} scalars an example ({amount / full:.1%}) serve {better}, give or take "
        f"{row['serving_margin']:g} (n={row['serving_n']})"
    )


def _keeping(row: Row) -> str:
    if row["keeping_amount"] is None:
        return f"how much keeps 90% of the gain cannot be said ({row['keeping_verdict']})"
    low, high = (f"{row[f'keeping_{end}']:,.0f}".replace("inf", "no end") for end in ("low", "high"))
    interval = f" [{low}, {high}]" if row["keeping_n"] > 1 else ""
    return f"{row['keeping_amount']:,.0f}{interval} keep 90% of the gain of {row['keeping_gain']:.3f}"


DIMINISHING = {
    "diminishes": "Its marginal utility diminishes.",
    "increases": "Its marginal utility increases.",
    "undecided": "Whether its marginal utility diminishes, these seeds do not tell.",
    "untested": "Whether its marginal utility diminishes was not tested: it takes two seeds and three amounts.",
}


def origins(rows: pd.DataFrame) -> Iterator[Markup]:
    """Cells, code and limits; what the statistics assume is the same for every study, and stands on the page."""
    cells = rows.drop_duplicates("cell_id")
    counts = cells.groupby("seed")["cell_id"].nunique()
    by_seed = ", ".join(f"seed {seed}: {count:,}" for seed, count in counts.items())
    text = f" {len(cells):,} finished trainings ({by_seed}), one score each, on the dev split."
    yield joined([element("strong", "Cells."), text])
    yield joined([element("strong", "Code."), " ", _commits(cells), _versions(cells)])
    yield from _limits(cells)


def _commits(cells: pd.DataFrame) -> Markup:
    shas = sorted(cells["git_sha"].dropna().astype(str).unique())
    if not shas:
        return Markup("The commit is not known. ")
    said = joined([element("code", sha) for sha in shas], ", ")
    many = " Cells of several commits are compared as if they were one." if len(shas) > 1 else ""
    dirty = DIRTY if any(sha.endswith("-dirty") for sha in shas) else ""
    return joined([f"Commit{'s' if len(shas) > 1 else ''} ", said, f".{many}", dirty, " "])


DIRTY = Markup(" <em>-dirty</em>: with changes that no commit has.")


def _versions(cells: pd.DataFrame) -> str:
    columns = [column for column in cells if str(column).startswith("version")]
    said = [f"{column}: {', '.join(sorted(cells[column].dropna().astype(str).unique()))}" for column in columns]
    return "; ".join(said)


def _limits(cells: pd.DataFrame) -> Iterator[Markup]:
    seeds = cells["seed"].nunique()
    if seeds == 1:
        yield ONE_SEED
    elif seeds < FEW:
        yield joined([element("strong", f"{seeds} seeds."), FEW_SEEDS])
    yield SECONDS


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
