"""A sweep's plan, kept when it is made: to compose and check hundreds of cells takes a minute, to read them no second.

artifacts/plans/<hash>.json, where the hash is of all that a plan is made from: the sweep's configuration and arguments,
every configuration file that they could choose, the variables that these read, and this program. Data, models and
stores on this disk are looked at anew each time: where one of them changed, the plan is made again.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

import hskd_lightning
from hskd_lightning import choices, console
from hskd_lightning import config as configuration
from hskd_lightning.data.dataset import Dataset
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import fingerprint, read_json, sha256, write_json
from hskd_lightning.settings import Choice, read_settings
from hskd_lightning.settings.sweeper import read_sweeper
from hskd_lightning.settled import is_at_hand, model_file
from hskd_lightning.study.sweep.compose import composer
from hskd_lightning.study.sweep.plan import Plan, PlannedCell

KIND = "plans"
PACKAGES = ("hydra-core", "omegaconf", "pydantic", "torch", "transformers")
"""Whose versions may change what a configuration says, or whether a combination makes sense."""
SWEEP = ("plans", "seeds", "curve_seeds", "amounts", "tuned")
"""Of the sweep's own settings, those that decide its cells: the rest says which to run now, and what to draw."""
FIELDS = ("figure", "overrides", "config", "id", "reason")
"""Of a cell, as they are kept."""


def planned(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> Plan:
    """The plan of a sweep: the one that was kept, as long as nothing changed, or a new one.

    Args:
        config: of the sweep, `hydra` included.
        loader: what composes its cells.
        arguments: the user's overrides.

    Raises:
        ConfigError: overrides or blocks that cannot be expanded.
    """
    settings = read_sweeper(configuration.plain(config.hydra.sweeper))
    path = Path(str(configuration.plain(config.paths)["artifacts"])) / KIND / f"{_key(config, loader, arguments)}.json"
    if (kept := _read(path)) is not None:
        return kept
    from hskd_lightning.study.sweep.expand import make_plan  # here: a plan that is kept needs no models

    console.quiet()
    plan = make_plan(settings, arguments, composer(loader, config))
    _keep(plan, path)
    return plan


def _read(path: Path) -> Plan | None:
    if not path.is_file():
        return None
    try:
        kept = read_json(path, "plan", "none is needed: it is made anew", ("cells", "own_axes", "repeated", "inputs"))
        configs = [cell["config"] for cell in kept["cells"]]
        if kept["inputs"] != _inputs(configs):
            return None
        cells = tuple(map(_cell, kept["cells"]))
    except (ConfigError, OSError):
        return None
    return Plan(cells, kept["own_axes"], kept["repeated"])


def _cell(kept: Mapping[str, Any]) -> PlannedCell:
    settings = None if kept["id"] is None else read_settings(kept["config"])
    fields: dict[str, Any] = {**{field: kept[field] for field in FIELDS}, "overrides": tuple(kept["overrides"])}
    return PlannedCell(**fields, settings=settings)


def _keep(plan: Plan, path: Path) -> None:
    """Keep a plan that will be true tomorrow, if the folder can be written to: a hub may answer otherwise by then."""
    configs = [cell.config for cell in plan.cells]
    if not plan.to_run or any(cell.for_now for cell in plan.cells):
        return
    try:
        if not all(map(_settled_at_hand, configs)):
            return
        inputs = _inputs(configs)
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [{field: getattr(cell, field) for field in FIELDS} for cell in plan.cells]
        write_json(path, {"cells": cells, "own_axes": plan.own_axes, "repeated": plan.repeated, "inputs": inputs})
    except (OSError, ValueError, TypeError, AttributeError):
        return  # a cell's configuration is so wrong that nobody can say what it takes from this disk


def _settled_at_hand(config: Mapping[str, Any]) -> bool:
    """Whether no hub is asked what the student's first weights are."""
    init = config["student"]["init"]
    return init.get("otherwise") is None or is_at_hand(init["path"])


def _inputs(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the cells take from this disk, by content.

    Raises:
        ConfigError: data that are not there.
    """
    sources = {json.dumps(config["data"]["source"], sort_keys=True) for config in configs}
    stores = {config["store"]["path"] for config in configs} - {None}
    paths: set[str] = set().union(*map(_paths, configs))
    return {
        "data": {source: _data_digest(source) for source in sorted(sources)},
        "models": {path: configuration.content(path) for path in sorted(paths)},
        "shapes": {path: sha256(file) if (file := model_file(path)) else None for path in sorted(paths)},
        "stores": {path: Path(path).is_dir() for path in sorted(stores)},
    }


def _data_digest(source: str) -> str:
    dataset: Dataset = choices.build(Choice.of(json.loads(source)), "data.source")
    return dataset.digest()


def _paths(node: Any, key: str = "") -> set[str]:
    """What may be local models."""
    if isinstance(node, Mapping):
        return set().union(*(_paths(part, name) for name, part in node.items() if name not in ("store", "data")))
    return {node} if isinstance(node, str) and key in configuration.PATH_KEYS else set()


def _key(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> str:
    """A hash of all that a plan is made from, but for data, models and stores."""
    files = sorted(file for folder in _searched(config, loader) for file in folder.rglob("*.yaml"))
    texts = [file.read_text(errors="replace") for file in files] + list(arguments)
    asked = sorted({name for text in texts for name in re.findall(r"oc\.env:\s*(\w+)", text)})
    task = OmegaConf.to_container(OmegaConf.masked_copy(config, [key for key in map(str, config) if key != "hydra"]))
    sweeper = configuration.plain(config.hydra.sweeper)
    return fingerprint(
        {
            "task": task,
            "sweep": {name: sweeper[name] for name in SWEEP},
            "arguments": list(arguments),
            "files": {str(file): sha256(file) for file in files},
            "tuned": _content(sweeper["tuned"]),
            "variables": {name: os.environ.get(name) for name in asked},
            "program": _program(),
        }
    )


def _content(tuned: str | None) -> str | None:
    return sha256(Path(tuned)) if tuned is not None and Path(tuned).is_file() else None


def _searched(config: DictConfig, loader: ConfigLoader) -> list[Path]:
    """The folders of the search path, and those that the configuration adds."""
    added = list(config.hydra.searchpath or ())
    names = dict.fromkeys([*(element.path for element in loader.get_search_path().get_path()), *added])
    return [folder for name in names if (folder := _folder(str(name))) is not None]


def _folder(name: str) -> Path | None:
    scheme, _, rest = name.rpartition("://")
    if scheme == "pkg":
        return None if rest == "hydra.conf" else Path(str(files(rest)))
    return Path(rest) if rest and scheme != "structured" else None


@functools.cache
def _program() -> dict[str, Any]:
    """The code that makes plans, and the versions of what it asks."""
    code = sorted(Path(hskd_lightning.__file__).parent.rglob("*.py"))
    return {"code": [sha256(file) for file in code], "versions": {name: version(name) for name in PACKAGES}}
