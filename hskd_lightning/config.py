"""The resolved configuration: what is built from it, what identifies a cell, what is checked before anything runs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hskd_lightning.artifacts import file_digest, fingerprint, folder_digest
from hskd_lightning.errors import ConfigError

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


def plain(node: DictConfig) -> dict[str, Any]:
    """A configuration node as resolved JSON values."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def build(node: Mapping[str, Any], key: str) -> Any:
    """Instantiate the `_target_` of a node: the only place of the program that does.

    Raises:
        ConfigError: whatever the class says of its arguments, or an argument that it does not take.
    """
    check_arguments(node, key)
    try:
        return instantiate(dict(node), _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConfigError):
                raise cause from None
            cause = cause.__cause__
        raise


def check_arguments(node: Mapping[str, Any], key: str) -> None:
    """Bind a node's values to its class's signature, without building it."""
    module, _, name = str(node["_target_"]).rpartition(".")
    signature = inspect.signature(getattr(importlib.import_module(module), name))
    given = {argument: value for argument, value in node.items() if not argument.startswith("_")}
    try:
        signature.bind(**given)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        remedy = f"{error}: leave it out, or choose another {key}"
        raise ConfigError(key, ", ".join(given), f"{name} takes {takes}", remedy) from None


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
