"""The options of the groups of conf/: which there are, and the objects that a choice of one describes."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter

from hskd_lightning.errors import ConfigError
from hskd_lightning.settings import Choice
from hskd_lightning.settings.validation import checked

CONF = Path(str(files("hskd_lightning.conf")))
STRICT = ConfigDict(strict=True)
PLAIN = (bool, int, float, str, type(None))
"""Types of options that are checked before a class sees them."""


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


def names(group: str) -> list[str]:
    """The names of a group's yaml files."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def option(group: str, name: str) -> Choice:
    """An option of a group as its file has it.

    Raises:
        ConfigError: there is none of this name, which may come from a store of somebody else's.
    """
    if name not in names(group):
        raise ConfigError(f"{group}.name", name, ", ".join(names(group)), f"choose an option: {_group(group)}=...")
    return Choice.of(_read(CONF / group / f"{name}.yaml"))


def _group(key: str) -> str:
    """The group that a user chooses a key's option by."""
    return key.replace(".", "/") if (CONF / key.replace(".", "/")).is_dir() else key.partition(".")[0]
