"""The resolved configuration: what identifies a cell, what Hydra says of this process."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
MACHINE = ("accelerator", "devices", "num_nodes", "checkpoint_every", "log_every", "graphs")
"""Keys of `trainer` of the same kind."""
HIDDEN_ONLY = ("depth", "length", "width", "bits", "control", "hsk", "store")
"""Keys without effect where no hidden states are distilled: one baseline, whatever the axes say."""
SPLITTING = ("max_length", "limit", "distil_limit", "selection", "split_seed")
"""Keys of `data` that decide what is trained on; its text is known by its content."""
YOUNGER = {"hsk": {"path": "equal"}}
"""Keys that came later than cells did, with the value that these have of it: it adds nothing to an id."""
PATH_KEYS = ("path", "checkpoint")
"""Keys whose value may be a local path: its content enters the id, not its name."""


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


def scientific(config: Mapping[str, Any], data_digest: str) -> dict[str, Any]:
    """What decides a cell's result: the resolved configuration, with data and local models by content, not by path."""
    ignored = HOW_NOT_WHAT if config["knowledge"]["hidden"] else HOW_NOT_WHAT + HIDDEN_ONLY
    kept = {key: value for key, value in config.items() if key not in ignored}
    if "store" in kept:
        kept["store"] = None if config["knowledge"]["source"] != "store" else {**config["store"], "path": None}
    for node, values in YOUNGER.items():
        if node in kept:
            kept[node] = {key: value for key, value in config[node].items() if (key, value) not in values.items()}
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
