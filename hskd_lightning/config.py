"""The resolved configuration: what is built from it, what identifies a cell, what Hydra says of this process."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter

from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import file_digest, fingerprint, folder_digest
from hskd_lightning.settings import Choice
from hskd_lightning.settings.validation import checked

HOW_NOT_WHAT = ("paths", "logger", "explain", "force", "export", "threads", "workers")
"""Top-level keys that say where and how a cell runs, not what it computes: they do not enter its id."""
MACHINE = ("accelerator", "devices", "num_nodes", "checkpoint_every", "log_every", "graphs")
"""Keys of `trainer` of the same kind."""
HIDDEN_ONLY = ("depth", "length", "width", "bits", "control", "hsk", "store")
"""Keys without effect where no hidden states are distilled: one baseline, whatever the axes say."""
SPLITTING = ("max_length", "limit", "distil_limit", "selection", "split_seed")
"""Keys of `data` that decide what is trained on; its text is known by its content."""
PATH_KEYS = ("path", "checkpoint")
"""Keys whose value may be a local path: its content enters the id, not its name."""
CONF = Path(str(files("hskd_lightning.conf")))
STRICT = ConfigDict(strict=True)
PLAIN = (bool, int, float, str, type(None))
"""Types of options that are checked before a class sees them."""


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


def build(choice: Choice, key: str, **changed: Any) -> Any:
    """Make the object that a choice describes: the only place of the program that turns a `_target_` into one.

    Hydra's `instantiate` would import whatever a configuration names, and a configuration may come from elsewhere
    (`export` reads a cell's). So nothing is imported that no file of conf/ names for this group.

    Args:
        choice: an option of the group.
        key: where the choice stands in the configuration, e.g. ``student.init``.
        changed: options to take in the place of the choice's own.

    Raises:
        ConfigError: no option of its group; whatever the class says of its arguments, or one that it does not take.
    """
    options = {**choice.options, **changed}
    return check_options(choice, key, options)(**options)


def check_options(choice: Choice, key: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """The class of a choice, whose options fit its signature and the types there. It is not built."""
    made = _class_of(choice, key)
    signature = inspect.signature(made)
    try:
        signature.bind(**options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        remedy = f"{error}: leave it out, or choose another {key}"
        raise ConfigError(key, ", ".join(options), f"{made.__name__} takes {takes}", remedy) from None
    wanted = typing.get_type_hints(made.__init__)
    for name in options:
        if _is_plain(wanted.get(name)):
            checked(_adapter(wanted[name]), options[name], f"{key}.{name}")
    return made


def _class_of(choice: Choice, key: str) -> Callable[..., Any]:
    known = targets(key)
    if choice.name not in known:
        raise ConfigError(f"{key}.name", choice.name, ", ".join(known), f"choose an option: {_group(key)}=...")
    if choice.target not in (None, known[choice.name]):
        allowed = f"{known[choice.name]}, which is what {choice.name} is; other options: {', '.join(known)}"
        raise ConfigError(f"{key}._target_", choice.target, allowed, f"choose an option: {_group(key)}=...")
    module, _, name = known[choice.name].rpartition(".")
    made: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return made


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """A checker of a type. Made once: a sweep's plan checks hundreds of cells."""
    return TypeAdapter(annotation, config=STRICT)


def _is_plain(annotation: Any) -> bool:
    """Whether a type says all there is to know of an option: a class checks what is richer for itself."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(map(_is_plain, typing.get_args(annotation)))
    return annotation in PLAIN or typing.get_origin(annotation) is typing.Literal


@functools.cache
def targets(key: str) -> Mapping[str, str]:
    """The classes that the files of conf/ have for a key, by name: {"pca": "hskd_lightning.....Pca", ...}."""
    group, _, inner = key.partition(".")
    folder = CONF / key.replace(".", "/")
    if folder.is_dir():
        nodes = [_read(path) for path in folder.glob("*.yaml")]
    else:
        nodes = [_read(path).get(inner) or {} for part in (group, "shared") for path in (CONF / part).glob("*.yaml")]
    return {node["name"]: node["_target_"] for node in nodes if "_target_" in node}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return content


def options(group: str) -> list[str]:
    """The names of a group's yaml files."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def option(group: str, name: str) -> Choice:
    """An option of a group as its file has it."""
    return Choice.of(_read(CONF / group / f"{name}.yaml"))


def _group(key: str) -> str:
    """The group that a user chooses a key's option by."""
    return key.replace(".", "/") if (CONF / key.replace(".", "/")).is_dir() else key.partition(".")[0]


def scientific(config: Mapping[str, Any], data_digest: str) -> dict[str, Any]:
    """What decides a cell's result: the resolved configuration, with data and local models by content, not by path."""
    ignored = HOW_NOT_WHAT if config["knowledge"]["hidden"] else HOW_NOT_WHAT + HIDDEN_ONLY
    kept = {key: value for key, value in config.items() if key not in ignored}
    if "store" in kept:
        kept["store"] = None if config["knowledge"]["source"] != "store" else {**config["store"], "path": None}
    kept["trainer"] = {key: value for key, value in config["trainer"].items() if key not in MACHINE}
    kept["data"] = {"digest": data_digest, **{key: config["data"][key] for key in SPLITTING}}
    identified: dict[str, Any] = identity(kept)
    return identified


def without_targets(value: Any) -> Any:
    """A configuration whose choices are names alone, as a cell keeps it: a class may move before it is read again."""
    if isinstance(value, Mapping):
        return {name: without_targets(part) for name, part in value.items() if name != "_target_"}
    return value


def cell_id(config: Mapping[str, Any], data_digest: str) -> str:
    """Ten hex digits that name a cell: the same question gets the same name on every machine."""
    return fingerprint(scientific(config, data_digest))[:10]


def identity(value: Any, key: str = "") -> Any:
    """A part of a configuration as it enters a hash: by names and options.

    Never by the class behind a name, so that a class may move; a local model by its content, not by its path.
    """
    if isinstance(value, Mapping):
        return {name: identity(part, name) for name, part in without_targets(value).items()}
    return content(value) if isinstance(value, str) and key in PATH_KEYS else value


def content(path: str) -> str:
    """A local file's or folder's digest; anything else (a hub id) is its own name."""
    local = Path(path)
    if local.is_dir():
        return f"sha256:{folder_digest(local)}"
    return f"sha256:{file_digest(local)}" if local.is_file() else path


def in_multirun() -> bool:
    """Whether this process is a job of `-m`."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def sweep_name() -> str | None:
    """The multirun's folder name, by which trackers group its cells."""
    return Path(HydraConfig.get().sweep.dir).name if in_multirun() else None
