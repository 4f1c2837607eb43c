"""Turns what pydantic says of a value into what a user can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hskd_lightning.errors import RENAMED, ConfigError, did_you_mean, renamed, shortened

Checked = TypeVar("Checked")
SPOKEN = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "none_required": "null",
    "list_type": "a list",
}
"""pydantic's complaints of a type, as a user says it."""
SPELLED: Mapping[int | str, str] = {"target": "_target_"}
"""Fields that a configuration spells otherwise."""


def checked(adapter: TypeAdapter[Checked], value: Any, key: str = "") -> Checked:
    """The value as the adapter reads it.

    Args:
        adapter: of the type that is wanted.
        value: what the user gave.
        key: the configuration key of the value; that of a part of it is put behind.

    Raises:
        ConfigError: it, or a part of it, is not of that type; the first such part is named.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _refusal(error, value, key) from None


def _refusal(error: ValidationError, value: Any, key: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    path = _path(first["loc"], value)
    full = ".".join([*([key] if key else []), *map(str, path)])
    given = shortened(first["input"]) if isinstance(first["input"], str) else first["input"]
    if first["type"] == "unexpected_keyword_argument":
        return _unknown(full, given, _parent(value, path))
    if first["type"] == "missing":
        return ConfigError(full, "missing", "a value", f"give {full} a value, or choose an option of conf/ that has it")
    if first["type"] == "dataclass_type":
        remedy = f"choose an option: {full.replace('.', '/')}={given}"
        return ConfigError(full, given, "a group of keys", remedy)
    if first["type"] == "list_type" and isinstance(given, str | int | float):
        return ConfigError(full, given, "a list", f"write it in brackets: {full}=[{given}]")
    remedy = first.get("ctx", {}).get("remedy") or f"change {full}, or leave it out"
    allowed = " or ".join(dict.fromkeys(_wanted(each) for each in error.errors() if _same(each, first, value)))
    return ConfigError(full, given, allowed, remedy)


def _same(one: Any, other: Any, value: Any) -> bool:
    """Whether two complaints are of one key: a union complains once for each of its members."""
    return _path(one["loc"], value) == _path(other["loc"], value)


def _path(loc: Sequence[int | str], value: Any) -> list[int | str]:
    """The keys of the value that a complaint is about, without pydantic's own names for the members of a union."""
    path: list[int | str] = []
    for part in loc:
        if part == "[key]":  # of a mapping: it is the key itself that is refused
            return path
        if isinstance(value, Mapping) and part not in value:
            part = SPELLED.get(part, part)
        if isinstance(value, Mapping) and part not in value:
            return [*path, part]
        if not isinstance(value, Mapping | list):
            return path
        path.append(part)
        value = value[part]  # type: ignore[index]
    return path


def _parent(value: Any, path: Sequence[int | str]) -> Mapping[str, Any]:
    for part in path[:-1]:
        value = value[part]
    return value  # type: ignore[no-any-return]


def _unknown(full: str, value: object, beside: Mapping[str, Any]) -> ConfigError:
    if full in RENAMED:
        return renamed(full, value)
    node, dot, typed = full.rpartition(".")
    known = [name for name in beside if name != typed]
    remedy = did_you_mean(typed, known, f"leave {full} out", node=f"{node}{dot}")
    return ConfigError(full, value, f"a key that there is: {', '.join(known)}", remedy)


def _wanted(complaint: Any) -> str:
    """What pydantic would rather have: `Input should be 'ignore' or 'distill'` -> `ignore or distill`."""
    spoken = str(complaint["msg"]).removeprefix("Input should be ").replace("'", "")
    return SPOKEN.get(complaint["type"], spoken)
