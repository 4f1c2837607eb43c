"""The resolved configuration: what is built from it, what identifies a cell, what is checked before anything runs."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import file_digest, fingerprint, folder_digest

HOW_NOT_WHAT = ("paths", "logger", "explain", "force", "export", "threads", "workers")
"""Top-level keys that say where and how a cell runs, not what it computes: they do not enter its id."""
MACHINE = ("accelerator", "devices", "checkpoint_every")
"""Keys of `trainer` of the same kind."""
HIDDEN_ONLY = ("depth", "length", "width", "control", "hsk", "store")
"""Keys without effect where no hidden states are distilled: one baseline, whatever the axes say."""
UNCONTROLLED = "hskd_lightning.knowledge.control.none.NoControl"
"""The control that is none: a cell without one has the name that it had before there were any."""
PATH_KEYS = ("path", "checkpoint")
"""Keys whose value may be a local path: its content enters the id, not its name."""
CONF = Path(str(files("hskd_lightning.conf")))
STRATEGIES = {
    "depth": "hskd_lightning.compress.depth",
    "length": "hskd_lightning.compress.length",
    "width": "hskd_lightning.compress.width",
    "control": "hskd_lightning.knowledge.control",
    "student.init": "hskd_lightning.models.init",
}
"""Groups in which one class is one module is one yaml: what has no yaml in conf/ is no option of its group."""
CLASSES = {
    "data.source": tuple(f"hskd_lightning.data.{name}" for name in ("glue.Glue", "text.TextFiles", "toy.Toy")),
    "student.shape": tuple(
        f"hskd_lightning.models.shapes.{name}" for name in ("Sizes", "FewerBlocks", "Rosita", "Checkpoint")
    ),
    "teacher.init": tuple(
        f"hskd_lightning.models.teacher_init.{name}" for name in ("ScratchTeacher", "PretrainedTeacher")
    ),
}
"""The classes of the other groups."""


def plain(node: DictConfig) -> dict[str, Any]:
    """A configuration node as resolved JSON values.

    Raises:
        ConfigError: a key without a value, or one that refers to a key that is not there.
    """
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise _unresolved(error) from error


def _unresolved(error: OmegaConfBaseException) -> ConfigError:
    key = str(error.full_key)
    if missing := re.search(r"Missing mandatory value: (\S+)", str(error)):
        key = key if isinstance(error, MissingMandatoryValue) else missing[1]
        return ConfigError(key, "no value", "a value: it has no default", f"write {key}=VALUE")
    remedy = f"{str(error).splitlines()[0]}; quote it if no ${{...}} is meant"
    return ConfigError(key, "${...}", "a value, or ${key} of a key that there is", remedy)


def build(node: Mapping[str, Any], key: str) -> Any:
    """Make the object that a node describes: the only place of the program that turns a `_target_` into one.

    Hydra's `instantiate` would import whatever a configuration names, and a configuration may come from elsewhere
    (`export` reads a cell's). So nothing is imported that is no option of the node's group, and what lies inside the
    node is data.

    Raises:
        ConfigError: no option of its group; whatever the class says of its arguments, or one that it does not take.
    """
    made = check_arguments(node, key)
    return made(**_arguments(node))


def check_arguments(node: Mapping[str, Any], key: str) -> Callable[..., Any]:
    """The class of a node, whose arguments fit its signature. It is not built."""
    made = _class_of(node.get("_target_"), key)
    signature = inspect.signature(made)
    given = _arguments(node)
    try:
        signature.bind(**given)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        remedy = f"{error}: leave it out, or choose another {key}"
        raise ConfigError(key, ", ".join(given), f"{made.__name__} takes {takes}", remedy) from None
    return made


def _arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    return {argument: value for argument, value in node.items() if argument != "_target_"}


def _class_of(target: object, key: str) -> Callable[..., Any]:
    module, _, name = str(target).rpartition(".")
    if not (_is_strategy(module, key) or target in CLASSES.get(key, ())):
        raise _no_option(target, key)
    made = getattr(importlib.import_module(module), name, None)
    if not isinstance(made, type) or made.__module__ != module:  # what the module itself imports is none of its own
        raise _no_option(target, key)
    return made


def _is_strategy(module: str, key: str) -> bool:
    package, _, name = module.rpartition(".")
    return STRATEGIES.get(key) == package and name in options(key)


def options(group: str) -> list[str]:
    """The names of a group's yaml files."""
    return sorted(path.stem for path in (CONF / group.replace(".", "/")).glob("*.yaml"))


def _no_option(target: object, key: str) -> ConfigError:
    allowed = ", ".join(CLASSES.get(key, ()) or options(key))
    group = key.replace(".", "/") if key in STRATEGIES else key.partition(".")[0]
    remedy = f"choose an option of the group: {group}=..."
    return ConfigError(f"{key}._target_", target, f"what this package has for it: {allowed}", remedy)


def scientific(config: Mapping[str, Any], data_digest: str) -> dict[str, Any]:
    """What decides a cell's result: the resolved configuration, with data and local models by content, not by path."""
    ignored = HOW_NOT_WHAT if config["knowledge"]["hidden"] else HOW_NOT_WHAT + HIDDEN_ONLY
    kept = {key: value for key, value in config.items() if key not in ignored}
    if "control" in kept and kept["control"]["_target_"] == UNCONTROLLED:
        del kept["control"]
    if "store" in kept:
        kept["store"] = None if config["knowledge"]["source"] != "store" else {**config["store"], "path": None}
    kept["trainer"] = {key: value for key, value in config["trainer"].items() if key not in MACHINE}
    splitting = ("max_length", "limit", "distil_limit", "selection", "split_seed")
    kept["data"] = {"digest": data_digest, **{key: config["data"][key] for key in splitting}}
    identified: dict[str, Any] = by_content(kept)
    return identified


def cell_id(config: Mapping[str, Any], data_digest: str) -> str:
    """Ten hex digits that name a cell: the same question gets the same name on every machine."""
    return fingerprint(scientific(config, data_digest))[:10]


def identity(path: str) -> str:
    """A local file's or folder's content digest; anything else (a hub id) is its own name."""
    local = Path(path)
    if local.is_dir():
        return f"sha256:{folder_digest(local)}"
    return f"sha256:{file_digest(local)}" if local.is_file() else path


def by_content(value: Any, key: str = "") -> Any:
    """A configuration in which local models stand by their content."""
    if isinstance(value, Mapping):
        return {name: by_content(part, name) for name, part in value.items()}
    return identity(value) if isinstance(value, str) and key in PATH_KEYS else value


def in_multirun() -> bool:
    """Whether this process is a job of `-m`."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def sweep_name() -> str | None:
    """The multirun's folder name, by which trackers group its cells."""
    return Path(HydraConfig.get().sweep.dir).name if in_multirun() else None


def check_devices(trainer: Mapping[str, Any]) -> None:
    """A cell runs in one process on one device.

    Under `-m` Lightning would start its child processes by the sweep's own command line; alone, they would wait for the
    cell that their parent holds.

    Raises:
        ConfigError: in under a second, rather than a sweep that starts itself again.
    """
    devices = trainer["devices"]
    if devices not in (1, "1") and not (isinstance(devices, list) and len(devices) == 1):
        remedy = "set trainer.devices=1; to use several, run several cells at once, each with its own"
        raise ConfigError("trainer.devices", devices, "1: one cell, one device", remedy)
