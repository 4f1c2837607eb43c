"""What a person reads of a sweep: its plan, and what of it is not done."""

from __future__ import annotations

import logging
from collections import Counter

from hskd_lightning import console
from hskd_lightning.runs.state import State
from hskd_lightning.study.sweep.plan import Plan

log = logging.getLogger(__name__)


def say_plan(plan: Plan) -> None:
    """How many cells there are and where they stand; what is left out, and why."""
    states = Counter(cell.state for cell in plan.to_run)
    counts = ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items()))
    log.info("sweep: %d cells (%s)", len(plan.to_run), counts or "none")
    if plan.repeated:
        log.info("%d more combinations are one of these again: what they set changes nothing", plan.repeated)
    if plan.skipped:
        first = plan.skipped[0]
        log.warning(
            "%d combinations make no sense, the first: %s\n%s",
            len(plan.skipped),
            plan.distinguishing(first),
            first.reason,
        )


def show_plan(plan: Plan) -> None:
    """Every cell with its state."""
    rows = [
        (str(cell.id), cell.state.lower(), cell.figure, plan.distinguishing(cell)) for cell in plan.cells if cell.id
    ]
    console.show_table(("cell", "state", "figure", "overrides"), rows)


def show_unfinished(plan: Plan) -> None:
    """The cells without a result, with the last line of what went wrong."""
    for cell in plan.to_run:
        if cell.state != State.DONE:
            log.info(
                "%s %s: %s%s", cell.state.lower(), cell.id, plan.distinguishing(cell), _indented(cell.files.last_words)
            )


def _indented(words: str) -> str:
    return f"\n    {words}" if words else ""
