"""What a store's manifest must say, field by field: a seal proves that it is as it was written, not by whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hskd_lightning import choices
from hskd_lightning.knowledge.request import FORMAT

MOST = 2**31 - 1
"""The largest count that a shard may claim of anything; positions and units are fewer by far."""
FLOAT = 32
"""Bits of a value that nothing was done to."""
Hex16 = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Hex64 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1, le=MOST)]
CountOrNone = Annotated[int, Field(ge=0, le=MOST)]
Total = Annotated[int, Field(ge=0, lt=2**63)]
Units = Annotated[int, Field(ge=1, le=2**16)]
Options = dict[str, Any]


class _Exact(BaseModel):
    """No field more, no field less, no value of a like type in the place of another."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Shard(_Exact):
    """One shard of a store, as its manifest lists it; `shards` makes them."""

    file: Annotated[str, Field(pattern=r"^shard-[0-9]{5,9}\.safetensors$")]
    sha256: Hex64
    bytes: Total
    examples: Count
    rows: CountOrNone


class Facts(_Exact):
    """What was found while a store was written."""

    weights: str
    shards: Annotated[list[Shard], Field(min_length=1)]
    fit: Hex64 | None
    width: Units
    classes: Units
    examples: Total
    values: Total
    bytes: Total
    reconstruction: dict[str, dict[str, float]]
    versions: dict[str, str]
    teacher_dev: dict[str, dict[str, float]]
    recipe: Hex16
    seal: dict[str, Hex16]


class Hidden(_Exact):
    """What a store keeps of the hidden states; `Request` explains the fields."""

    layers: Annotated[list[Annotated[list[int | None], Field(min_length=2, max_length=2)]], Field(min_length=1)]
    length: Options
    width: Options
    bits: Options
    ordered: bool
    per_token: bool
    masks: bool


class Recipe(_Exact):
    """What a store was asked to be."""

    format: Literal[FORMAT]  # type: ignore[valid-type]
    origin: dict[str, Any]
    shard_tokens: Total
    hidden: Hidden | None


class Manifest(BaseModel):
    """The file manifest.json of a store. What else stands in it is not read."""

    model_config = ConfigDict(strict=True)

    recipe: Recipe
    facts: Facts


def fault(manifest: Mapping[str, Any]) -> str | None:
    """The first thing that is wrong with a manifest: the field, and what is wrong with it. None: nothing."""
    try:
        parsed = Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        return f"field '{'.'.join(map(str, first['loc']))}' is {first['input']!r:.60}: {first['msg']}"
    return _contradiction(parsed.facts, parsed.recipe.hidden)


def _contradiction(facts: Facts, hidden: Hidden | None) -> str | None:
    """What one field says against another."""
    for number, shard in enumerate(facts.shards):
        if shard.file != shard_file(number):
            return f"field 'facts.shards.{number}.file' is {shard.file!r} instead of {shard_file(number)!r}"
    for field in ("examples", "bytes"):
        total = sum(getattr(shard, field) for shard in facts.shards)
        if total != getattr(facts, field):
            return f"field 'facts.{field}' is {getattr(facts, field):,}, its shards have {total:,}"
    if hidden is None:
        return None if facts.fit is None else "field 'facts.fit' is there, where no hidden states are kept"
    return _misfit(hidden, facts.width)


def _misfit(hidden: Hidden, width: int) -> str | None:
    for axis in ("length", "width", "bits"):  # each is looked up among the files of conf/
        if (name := getattr(hidden, axis).get("name")) not in choices.names(axis):
            return f"field 'recipe.hidden.{axis}.name' is {name!r:.60}: one of {', '.join(choices.names(axis))}"
    units = hidden.width.get("units")
    if type(units) is not int or not 1 <= units <= width:
        return f"field 'recipe.hidden.width.units' is {units!r}: a whole number up to {width}, the teacher's width"
    keep = hidden.length.get("keep")
    if not (keep is None or (type(keep) is int and keep >= 1) or (type(keep) is float and 0 < keep <= 1)):
        return f"field 'recipe.hidden.length.keep' is {keep!r}: a count, a share, or null"
    bits = hidden.bits.get("keep")
    if not (bits is None or (type(bits) is int and 1 <= bits <= FLOAT * width)):
        return f"field 'recipe.hidden.bits.keep' is {bits!r:.60}: a count, no more than the values hold, or null"
    for state, block in hidden.layers:
        if state is None or state < 0 or (block is not None and block < 0):
            return f"field 'recipe.hidden.layers' has {[state, block]}: a state, and a block or null"
    return None


def shard_file(number: int) -> str:
    """A shard's name."""
    return f"shard-{number:05d}.safetensors"
