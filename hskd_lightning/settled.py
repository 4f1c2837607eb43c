"""What a configuration leaves to be settled before a cell has its name, and that name: no model is needed."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from hskd_lightning import choices
from hskd_lightning import config as configuration
from hskd_lightning.compress import paths
from hskd_lightning.data.dataset import Dataset
from hskd_lightning.errors import ConfigError
from hskd_lightning.settings import Choice, HskSettings, Settings, StudentSettings, read_settings

log = logging.getLogger(__name__)
AXES = ("depth", "length", "width")


def cell_id(config: Mapping[str, Any]) -> str:
    """The name that a configuration's cell has if it is one: whether all of it fits together is `Experiment`'s affair.

    Raises:
        ConfigError: a value out of its range, or data that are not there.
    """
    settings = read_settings(config)
    settings = replace(settings, student=settle_init(settings.student))
    if settings.knowledge.hidden:
        settings = settle_amount(settings)
    dataset: Dataset = choices.build(settings.data.source, "data.source")
    return configuration.cell_id({**config, **settled(config, settings)}, dataset.digest())


def settled(config: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The parts of a configuration that were settled, as it spells them."""
    return {
        "student": {**config["student"], "init": settings.student.init.node},
        "hsk": dataclasses.asdict(settings.hsk),
        "trainer": {**config["trainer"], "precision": settings.trainer.precision},
    }


def settle_init(student: StudentSettings) -> StudentSettings:
    """The student with the initialisation that it will really get, where that hangs on a hub within reach.

    It is settled before the cell has a name: a student from a checkpoint and one of random weights are two cells.
    """
    init = student.init
    otherwise = init.options.get("otherwise")
    if otherwise is None:
        return student
    try:
        _ask(init.options["path"])
    except ConfigError as error:
        _say_once(f"student {student.name}: its checkpoint is out of reach, so its weights are random\n{error}")
        return replace(student, init=Choice.of(otherwise))
    return replace(student, init=replace(init, options={**init.options, "otherwise": None}))


def settle_amount(settings: Settings) -> Settings:
    """Without its `hsk.amount` where every axis has its `keep`, and without an `hsk.path` that is the usual one by
    another name: they change nothing then, and no cell's name.
    """
    options = {axis: settings.axis(axis).options for axis in AXES}
    given = {axis: each["keep"] for axis, each in options.items() if "keep" in each}
    amount = settings.hsk.amount if None in given.values() else None
    return replace(settings, hsk=HskSettings(amount=amount, path=paths.settle(settings.hsk.path, amount, given)))


def is_at_hand(path: object) -> bool:
    """Whether a model's configuration lies on this disk, and can be read."""
    file = model_file(path)
    try:
        return file is not None and isinstance(json.loads(file.read_text()), dict)
    except (OSError, ValueError):
        return False


def model_file(path: object) -> Path | None:
    """A model's config.json: in a folder of its own, or where the hub's files are kept; None where it is in neither."""
    if not isinstance(path, str) or not path.strip():
        return None
    if Path(path).is_dir():
        own = Path(path) / "config.json"
        return own if own.is_file() else None
    try:
        kept = try_to_load_from_cache(path, "config.json")
    except ValueError:  # no name that a hub can have
        return None
    return Path(kept) if isinstance(kept, str) else None


def _ask(path: Any) -> None:
    if not is_at_hand(path):
        from hskd_lightning.models.encoder import load_settings  # here: what lies at hand needs no transformers

        load_settings(path)


@functools.cache
def _say_once(warning: str) -> None:
    """A sweep's plan resolves hundreds of cells of one student."""
    log.warning("%s", warning)
