"""What a person reads on the console: one line a message, and tables; of a cell, what it ended with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hskd_lightning.runs.result import Result

log = logging.getLogger(__name__)
WIDTH = 80
"""Of tables where there is no terminal: what a page of a log, a mail or a README holds."""


def quiet() -> None:
    """Leave the console to us: no advertisements, device lists or loading bars from the libraries below.

    Also of those that are not imported yet: Lightning, as it is, sets its own loggers' level, but not that of the ones
    below them that speak.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        for speaking in (name, f"{name}.utilities.rank_zero"):
            logging.getLogger(speaking).setLevel(logging.WARNING)
    from transformers.utils import logging as transformers_logging  # here: what answers from files does without it

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def log_plainly() -> None:
    """One line a message on the console, for commands that Hydra does not start."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    logging.getLogger("hskd_lightning").setLevel(logging.INFO)


def show_result(result: Result, folder: Path) -> None:
    """The result of a cell as a table, and the folder that has it all."""
    teacher, score = result.teacher_score, result.score
    kept = f" ({score / teacher:.1%} of the teacher's)" if teacher > 0 else ""
    rows = [
        (f"teacher {result.metric}", f"{teacher:.4f}, {result.parameters_teacher:,} parameters"),
        (f"student {result.metric}", f"{score:.4f}{kept}, {result.parameters_student:,} parameters"),
        ("last checkpoint", f"{result.score_last:.4f}"),
        ("knowledge", describe_amount(result.columns())),
    ]
    rows += [
        (f"stage {stage}", f"{seconds:.1f} s, {result.steps[stage]} steps") for stage, seconds in result.seconds.items()
    ]
    show_table((f"{result.task}, seed {result.seed}", "on dev"), rows)
    log.info("kept in %s", folder)


def say_result(result: Result, folder: Path) -> None:
    """The result of one of many cells in a line; the sweep's table comes at its end."""
    amount = describe_amount(result.columns())
    figures = (result.metric, result.score, result.teacher_score)
    log.info("%s: %s %.4f (teacher %.4f), %s", folder.name, *figures, amount)


def describe_amount(flat: Mapping[str, Any]) -> str:
    """One line on how much hidden-state knowledge an example costs."""
    if not flat["knowledge_scalars"]:
        return "no HSK"
    bits = " ".join(str(flat[name]) for name in ("bits", "bits_keep") if flat.get(name) is not None)
    values = f"{flat['knowledge_scalars']:,.0f} values" + (f" in {bits}" if bits else "")
    return f"{flat['knowledge_fraction']:.2%} of full HSK: {values}, {flat['knowledge_bytes']:,.0f} B an example"


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; elsewhere of `WIDTH`. What rich takes for markup is printed as it stands."""
    table = Table(*header, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else WIDTH, markup=False, emoji=False).print(table)
