"""What a person reads: the plan before a run, the table after it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import transformers
from rich.console import Console
from rich.table import Table

from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.keep import said
from hskd_lightning.experiment import AXES, Experiment
from hskd_lightning.hsk import KnowledgeAmount
from hskd_lightning.models import encoder
from hskd_lightning.runs.result import Result
from hskd_lightning.settings import Choice, KnowledgeSettings

log = logging.getLogger(__name__)
WIDTH = 80
"""Of tables where there is no terminal: what a page of a log, a mail or a README holds."""


def quiet() -> None:
    """Leave the console to us: no advertisements, device lists or loading bars from the libraries below."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def log_plainly() -> None:
    """One line a message on the console, for commands that Hydra does not start."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout)
    logging.getLogger("hskd_lightning").setLevel(logging.INFO)
    quiet()


def plan_rows(experiment: Experiment) -> list[tuple[str, str]]:
    """What a cell will do, as far as its configuration alone says it."""
    settings = experiment.settings
    rows = [
        ("cell", experiment.cell_id),
        ("task", f"{experiment.task.name}, scored by {experiment.task.metric}"),
        ("teacher", _model(settings.teacher.name, experiment.teacher_config)),
        ("student", _model(settings.student.name, experiment.student_config)),
        ("initialised", _named(settings.student.init)),
        ("knowledge", _knowledge(settings.knowledge)),
    ]
    if experiment.plan is not None:
        rows += [(axis, _axis(axis, experiment)) for axis in AXES]
        rows.append(("control", _named(settings.control)))
    rows += [(f"stage {stage}", _stage(experiment, stage)) for stage in experiment.stages]
    return rows


def say_plan(experiment: Experiment) -> None:
    """The plan as lines of the log, where it is kept."""
    for name, value in plan_rows(experiment):
        log.info("%-16s %s", name, value)


def show_plan(experiment: Experiment, amount: KnowledgeAmount | None) -> None:
    """The plan as a table, with the amount of knowledge where the data is at hand."""
    rows = plan_rows(experiment)
    if amount is not None and experiment.plan is not None:
        rows.append(("amount", describe_amount(amount.flat())))
    show_table(("", "this run"), rows)


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
    return (
        f"{flat['knowledge_fraction']:.2%} of full HSK: {flat['knowledge_scalars']:,.0f} values, "
        f"{flat['knowledge_bytes']:,.0f} bytes an example"
    )


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; elsewhere of `WIDTH`. What rich takes for markup is printed as it stands."""
    table = Table(*header, title_justify="left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else WIDTH, markup=False, emoji=False).print(table)


def _model(name: str, config: Any) -> str:
    shape = f"{config.num_hidden_layers} blocks, hidden {config.hidden_size}"
    return f"{name}: {shape}, {encoder.count_from_config(config):,} parameters"


def _named(choice: Choice) -> str:
    """A choice's name, and its options."""
    options = [f"{key} {value}" for key, value in choice.options.items() if value is not None]
    return ", ".join([choice.name, *options])


def _knowledge(settings: KnowledgeSettings) -> str:
    what = "hidden states, then " if settings.hidden else ""
    return f"{settings.name}: {what}{settings.target}"


def _axis(axis: str, experiment: Experiment) -> str:
    plan = experiment.plan
    assert plan is not None
    name = experiment.settings.axis(axis).name
    if axis == "depth":
        return f"{name}: student<-teacher states {plan.layer_map}"
    if axis == "length":
        return f"{name}: {said(plan.length.keep, 'token')}{_attention(plan)}"
    units = plan.shape.teacher_width
    scalars = plan.fit(plan.unfitted_moments()).code.scalars(units)
    return f"{name}: {scalars} of {units} values a token"


def _attention(plan: HskPlan) -> str:
    ranked_by = plan.attention_blocks
    return (
        "" if ranked_by is None else f", ranked by the attention of teacher block(s) {', '.join(map(str, ranked_by))}"
    )


def _stage(experiment: Experiment, stage: str) -> str:
    settings = experiment.stage(stage)
    return (
        f"{settings.epochs:g} epochs, batch {settings.batch_size}, learning rate {settings.lr:g}, {settings.schedule}"
    )
