"""Every axis of a cell as a flat, filterable value: what trackers and tables group by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hskd_lightning.compress.keep import as_number, check_keep
from hskd_lightning.experiment import Experiment
from hskd_lightning.settings import Choice
from hskd_lightning.settled import AXES

KEEPS = ("keep", "top")
"""Options of the axes that are a count, a share or everything."""


def axes(experiment: Experiment) -> dict[str, Any]:
    """What was chosen: a column a choice, and one for each of its options."""
    settings = experiment.settings
    flat: dict[str, Any] = {
        "task": experiment.task.name,
        "teacher": settings.teacher.name,
        "teacher_seed": settings.teacher.seed,
        "student": settings.student.name,
        **_init(settings.student.init),
        "knowledge": settings.knowledge.name,
        "baseline": _baseline(experiment),
        "preset": settings.preset.name,
        **_control(experiment),
        "hsk_amount": settings.hsk.amount,
        "hsk_path": None if experiment.plan is None or settings.hsk.amount is None else settings.hsk.path,
        "seed": settings.seed,
    }
    for axis in AXES:
        flat |= _axis(axis, experiment)
    return flat | _bits(experiment)


def _axis(name: str, experiment: Experiment) -> dict[str, Any]:
    """`length`, `length_keep`, `length_attention_from`, ... Nothing where no hidden states are distilled.

    A table's column makes 1 and 1.0 one number, so a share is below 1 here, a count from 1 on, and everything null.
    """
    if experiment.plan is None:
        return {name: None, f"{name}_keep": None}
    choice = experiment.settings.axis(name)
    values = {**choice.options, "keep": experiment.keeps.get(name)}
    values |= {key: as_number(check_keep(f"{name}.{key}", values[key])) for key in KEEPS if key in values}
    return {name: choice.name, **_prefixed(name, values)}


def _bits(experiment: Experiment) -> dict[str, Any]:
    """`bits`, and `bits_keep`: null for those without a budget. Nothing where no hidden states are distilled."""
    choice = experiment.settings.bits
    if experiment.plan is None:
        return {"bits": None, "bits_keep": None}
    return {"bits": choice.name, "bits_keep": None, **_prefixed("bits", choice.options)}


def _control(experiment: Experiment) -> dict[str, Any]:
    """`control`, and its seed. null where the student is taught the teacher's own states, or none at all."""
    if experiment.control is None:
        return {"control": None}
    choice = experiment.settings.control
    return {"control": choice.name, **_prefixed("control", choice.options)}


def _baseline(experiment: Experiment) -> str | None:
    """Whose steps a student has that learns from logits alone: `total`, or those of one stage."""
    if experiment.plan is not None or experiment.settings.knowledge.target != "logits":
        return None
    epochs = experiment.settings.stage.prediction.baseline.epochs
    return "total" if epochs == "both" else epochs


def _init(choice: Choice) -> dict[str, Any]:
    """`student_init`, and its options: how a student began decides much, so every result says it."""
    options = {key: value for key, value in choice.options.items() if key not in ("path", "otherwise")}
    return {"student_init": choice.name, **_prefixed("student_init", options)}


def _prefixed(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_{option}": _flat(value) for option, value in options.items()}


def _flat(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value
