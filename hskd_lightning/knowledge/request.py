"""What a cell needs of a store, what a store has, and when the one answers the other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hskd_lightning import choices
from hskd_lightning.artifacts import Recipe
from hskd_lightning.compress.keep import Count, Keep, as_number, check_keep, includes, least_including, said
from hskd_lightning.integrity import fingerprint
from hskd_lightning.settings import Choice

if TYPE_CHECKING:
    from hskd_lightning.compress.bits.base import BitsStrategy
    from hskd_lightning.compress.compression import HskPlan, Layer
    from hskd_lightning.compress.length.base import LengthStrategy
    from hskd_lightning.compress.width.base import WidthStrategy

FORMAT = 2
"""The version of a store's files; a store of another format is refused. 1 had a dtype in the place of bits."""
WIDEST = "fp32"
ROUNDED = ("fp16", "bf16")
"""Bits that are had from the widest by rounding, to the last one."""


@dataclass(frozen=True)
class Request:
    """A store's recipe, or what a cell asks of one.

    A store covers a request for fewer layers, fewer tokens of the same ranking, fewer units where these are ordered,
    fewer bits of the same code, and a narrower float; all else must be equal. What is covered is served as a store of
    its own would serve it: bit for bit, but for the last one of projections, which are matrix products.
    """

    origin: Recipe
    """Teacher, tokens, split, precision, padding: what decides the teacher's full hidden states."""
    layers: tuple[Layer, ...] = ()
    """The kept layers, from the bottom to the top; empty for a store of logits alone."""
    length: Recipe | None = None
    """The length strategy's name and options."""
    tokens: Keep = None
    """`length.keep`; None keeps all."""
    width: Recipe | None = None
    """The width strategy's name and options. `masked` is not one: it is the reader's affair."""
    units: int = 0
    """How many values are kept of each token, or coded together."""
    bits: Recipe | None = None
    """The bits strategy's name and options."""
    budget: int | None = None
    """`bits.keep`, where it has one."""
    shard_tokens: int = 65_536
    ordered: bool = True
    """Whether fewer units are part of more, so that a store of many serves few."""
    per_token: bool = True
    """Whether what is kept of a token depends on that token alone."""
    masks: bool = False
    """Whether each token has units of its own, of which alone there are values."""

    @classmethod
    def of(
        cls, plan: HskPlan | None, origin: Recipe, length: Recipe, width: Recipe, bits: Recipe, shard_tokens: int
    ) -> Request:
        """What a plan needs of a store.

        Args:
            plan: what is kept; None for logits alone.
            origin: as JSON gives it back.
            length: the length strategy's name and options, `keep` among them.
            width: the width strategy's.
            bits: the bits strategy's.
            shard_tokens: real tokens a file.
        """
        if plan is None:
            return cls(origin, shard_tokens=shard_tokens)
        said_by_units = ("keep", "counts") if plan.width.ordered else ()
        return cls(
            origin,
            layers=tuple(sorted(set(plan.layers), key=height)),
            length=_without(length, "keep", "attention_from"),
            tokens=plan.length.keep,
            width=_without(width, "masked", "ties", *said_by_units),
            units=plan.coded_units,
            bits=_without(bits, "keep"),
            budget=plan.bits.keep,
            shard_tokens=shard_tokens,
            ordered=plan.width.ordered and plan.bits.element_bits is not None,
            per_token=plan.width.reach == "token",
            masks=plan.masked,
        )

    @property
    def recipe(self) -> Recipe:
        """The request as JSON values: the store's identity."""
        hidden = {
            "layers": [list(layer) for layer in self.layers],
            "length": {**(self.length or {}), "keep": as_number(self.tokens)},
            "width": {**(self.width or {}), "units": self.units},
            "bits": {**(self.bits or {}), "keep": self.budget},
            "ordered": self.ordered,
            "per_token": self.per_token,
            "masks": self.masks,
        }
        common = {"format": FORMAT, "origin": self.origin, "shard_tokens": self.shard_tokens}
        return {**common, "hidden": hidden if self.layers else None}

    @classmethod
    def read(cls, recipe: Mapping[str, Any]) -> Request:
        """Read a request from a manifest."""
        common: dict[str, Any] = {"origin": recipe["origin"], "shard_tokens": recipe["shard_tokens"]}
        hidden = recipe["hidden"]
        if hidden is None:
            return cls(**common)
        length, width, bits = (dict(hidden[axis]) for axis in ("length", "width", "bits"))
        if "keep" in width:  # of units without an order; stores of before this say 1.0 for everything
            width["keep"] = as_number(check_keep("width.keep", width["keep"]))
        return cls(
            **common,
            layers=tuple((state, block) for state, block in hidden["layers"]),
            tokens=check_keep("length.keep", length.pop("keep")),
            length=length,
            units=width.pop("units"),
            width=width,
            budget=bits.pop("keep"),
            bits=bits,
            **{key: hidden[key] for key in ("ordered", "per_token", "masks")},
        )

    def __str__(self) -> str:
        if not self.layers:
            return "logits alone"
        length, width = (self.length or {}).get("name"), (self.width or {}).get("name")
        kept = f"{said(self.tokens, 'token')} by {length}; {said(Count(self.units), 'value')} by {width}"
        return f"{_spell(self.layers)}; {kept}; {self.said_bits}"

    @property
    def said_bits(self) -> str:
        """The bits for a person to read: fp16, residual 16."""
        name = (self.bits or {}).get("name")
        return f"{name}" if self.budget is None else f"{name} {self.budget}"

    @cached_property
    def coder(self) -> BitsStrategy:
        """Who made the codes, and reads them.

        Raises:
            ConfigError: there is no such strategy, as for the next two.
        """
        coder: BitsStrategy = _strategy("bits", self.bits, self.budget)
        return coder

    @property
    def ranker(self) -> LengthStrategy:
        """Who chose the tokens."""
        ranker: LengthStrategy = _strategy("length", self.length, as_number(self.tokens))
        return ranker

    @property
    def chooser(self) -> WidthStrategy:
        """Who chose the units; of masks it leaves the others out."""
        chooser: WidthStrategy = _strategy("width", self.width, self.units)
        return chooser

    @property
    def name(self) -> str:
        """The folder of the store made to this recipe."""
        return fingerprint(self.recipe)

    def missing_from(self, store: Request) -> tuple[str, object, object] | None:
        """The first field in which `store` does not answer this request: its name, what is there, what is asked.

        None: the store covers the request.
        """
        for field in sorted(
            {*store.origin, *self.origin}, key=lambda name: (name != "tokens", name)
        ):  # the roots first
            if difference := _first_difference(store.origin.get(field), self.origin.get(field), field):
                return difference
        if not self.layers:
            return None  # every store has the logits
        if not set(self.layers) <= set(store.layers):
            return "depth", _spell(store.layers), _spell(self.layers)
        for field in ("length", "width"):
            if difference := _first_difference(getattr(store, field), getattr(self, field), field):
                return difference
        if not (store.tokens == self.tokens or self.per_token and includes(store.tokens, self.tokens)):
            return "length.keep", said(store.tokens, "token"), said(self.tokens, "token")
        if not (store.units == self.units or self.ordered and store.units >= self.units):
            return "width.keep", store.units, self.units
        return self._coarser_than(store)

    def _coarser_than(self, store: Request) -> tuple[str, object, object] | None:
        """The first way in which this is not part of the store's bits."""
        assert self.bits is not None and store.bits is not None
        rounded = not self.masks  # rounding first could choose other units
        if rounded and store.bits["name"] == WIDEST and self.bits["name"] in ROUNDED:
            return None
        if difference := _first_difference(store.bits, self.bits, "bits"):
            return difference
        if store.budget == self.budget or store.budget and self.budget and store.budget >= self.budget:
            return None
        return "bits.keep", store.budget, self.budget

    def joined(self, other: Request) -> Request | None:
        """The least store that answers both, or None where no one store can."""
        if not (self.layers and other.layers):
            fuller, barer = (self, other) if self.layers else (other, self)
            return fuller if barer.missing_from(fuller) is None else None
        both = replace(
            self,
            layers=tuple(sorted({*self.layers, *other.layers}, key=height)),
            tokens=least_including(self.tokens, other.tokens),
            units=max(self.units, other.units),
            **self._finer(other),
        )
        return both if self.missing_from(both) is None and other.missing_from(both) is None else None

    def _finer(self, other: Request) -> dict[str, Any]:
        """Bits that both are part of, where there are any."""
        if self.bits != other.bits:
            return {"bits": {"name": WIDEST}, "budget": None}
        return {"budget": None if self.budget is None or other.budget is None else max(self.budget, other.budget)}


def _strategy(axis: str, recipe: Recipe | None, keep: object) -> Any:
    """A strategy by its name and options, with this `keep` where it has one that the options do not say."""
    assert recipe is not None, "a store of hidden states"
    options = {name: value for name, value in recipe.items() if name != "name"}
    if "keep" in choices.option(axis, recipe["name"]).options:
        options = {"keep": keep, **options}
    return choices.build(Choice(name=recipe["name"], options=options), axis)


def height(layer: Layer) -> tuple[int, int]:
    """Sorts layers from the bottom to the top."""
    state, block = layer
    return state, -1 if block is None else block


def _without(options: Recipe, *names: str) -> Recipe:
    """The options that tell stores apart.

    Not `keep` and `attention_from`, which have fields of their own; nor `masked`, which is the reader's affair; nor
    `ties`, of which a store has one; nor, where `units` says it all, `counts`.
    """
    return {name: value for name, value in options.items() if name not in names}


def _spell(layers: tuple[Layer, ...]) -> str:
    named = (f"{state}" if block is None else f"{state} ranked by block {block}" for state, block in layers)
    return "teacher states " + ", ".join(named) if layers else "logits alone"


def _first_difference(stored: Any, asked: Any, path: str = "") -> tuple[str, object, object] | None:
    """The first leaf in which two JSON values differ, told apart as in a store's name: 1 is neither 1.0 nor true."""
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        for key in sorted({*stored, *asked}):
            inner = f"{path}.{key}" if path else key
            if difference := _first_difference(stored.get(key), asked.get(key), inner):
                return difference
        return None
    close = isinstance(stored, float) and isinstance(asked, float) and math.isclose(stored, asked)
    same = close or json.dumps(stored, sort_keys=True) == json.dumps(asked, sort_keys=True)
    return None if same else (path, stored, asked)
