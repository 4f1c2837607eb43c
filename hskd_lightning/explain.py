"""What a cell would do, before it does it: its plan, and the amount of knowledge where the data is at hand."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig

from hskd_lightning import config as configuration
from hskd_lightning.assets.corpus import Corpus, student_corpus, teacher_corpus
from hskd_lightning.compress.amount import measure
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.keep import said
from hskd_lightning.console import describe_amount, quiet, show_table
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import KnowledgeAmount
from hskd_lightning.models import encoder
from hskd_lightning.runs.device import check_devices
from hskd_lightning.settings import Choice, KnowledgeSettings
from hskd_lightning.settled import AXES

log = logging.getLogger(__name__)


def explain(cfg: DictConfig) -> None:
    """Say what would run, having checked all that can be before it does.

    Raises:
        ConfigError: a mistake in the configuration or the data.
    """
    quiet()
    experiment = Experiment.resolve(configuration.plain(cfg))
    check_devices(experiment.settings.trainer)
    show_plan(experiment, amount_at_hand(experiment))


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
        rows.append(("bits", f"{settings.bits.name}: {experiment.plan.token_bits:,} bits a token and layer"))
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


def measure_amount(experiment: Experiment, corpus: Corpus) -> KnowledgeAmount:
    """Hidden-state knowledge per training example."""
    if experiment.plan is None:
        return KnowledgeAmount(scalars=0.0, bytes=0.0, full_scalars=0.0)
    return measure(experiment.plan, corpus.eval_batches(corpus.student_splits.train))


def amount_at_hand(experiment: Experiment) -> KnowledgeAmount | None:
    """The amount where the data is local; None where it would have to be downloaded first."""
    data = experiment.settings.data
    from_hub = data.hub is not None and data.root is None
    return None if from_hub else measure_amount(experiment, student_corpus(experiment, teacher_corpus(experiment)))


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
    scalars = plan.unfitted.code.scalars(units)
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
