"""Every axis of a cell as a flat, filterable value: what trackers and tables group by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hskd_lightning.compress.keep import as_number, check_keep
from hskd_lightning.experiment import AXES, Experiment, strategy_name
from hskd_lightning.knowledge.control.none import NoControl

KEEPS = ("keep", "top")
"""Options of the axes that are a count, a share or everything."""


def axes(experiment: Experiment) -> dict[str, Any]:
    """Every axis of the cell as a flat, filterable value: what trackers and tables group by."""
    config = experiment.config
    flat: dict[str, Any] = {
        "task": experiment.task.name,
        "teacher": config["teacher"]["name"],
        "student": config["student"]["name"],
        **_init(config["student"]["init"]),
        "knowledge": config["knowledge"]["name"],
        "preset": config["preset"]["name"],
        **_control(experiment),
        "hsk_amount": config["hsk"]["amount"],
        "store_dtype": config["store"]["dtype"]
        if config["knowledge"]["source"] == "store" and experiment.plan
        else None,
        "seed": config["seed"],
    }
    for axis in AXES:
        flat |= _axis(axis, config[axis], experiment)
    return flat


def _axis(name: str, settings: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """`length`, `length_keep`, `length_attention_from`, ... Nothing where no hidden states are distilled.

    A table's column makes 1 and 1.0 one number, so a share is below 1 here, a count from 1 on, and everything null.
    """
    if experiment.plan is None:
        return {name: None, f"{name}_keep": None}
    values = {**settings, "keep": experiment.keeps.get(name)}
    values |= {key: as_number(check_keep(f"{name}.{key}", values[key])) for key in KEEPS if key in values}
    options = {f"{name}_{option}": _flat(value) for option, value in values.items() if option != "_target_"}
    return {name: strategy_name(settings["_target_"]), **options}


def _control(experiment: Experiment) -> dict[str, Any]:
    """`control`, and its seed. null where the student is taught the teacher's own states, or none at all."""
    if isinstance(experiment.control, NoControl):
        return {"control": None}
    settings = experiment.config["control"]
    options = {f"control_{key}": _flat(value) for key, value in settings.items() if key != "_target_"}
    return {"control": strategy_name(settings["_target_"]), **options}


def _init(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`student_init`, and its options: how a student began decides much, so every result says it."""
    options = {key: _flat(value) for key, value in settings.items() if key not in ("_target_", "path", "otherwise")}
    name = strategy_name(settings["_target_"])
    return {"student_init": name, **{f"student_init_{key}": value for key, value in options.items()}}


def _flat(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value
