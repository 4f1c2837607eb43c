"""From the grids of each axis to the space: every combination that makes sense, with its bytes, before anything runs.

Bytes are layers x tokens x (a token's bits + its position), as `compress.amount.measure` counts them. Tokens are
counted once for each ranking and keep, all else follows from the models' shapes: a space of hundreds takes seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hskd_lightning import choices
from hskd_lightning.assets import Assets
from hskd_lightning.compress.amount import POSITION_BYTES, measure, shared_bytes
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.keep import Count, Keep, Spelled, check_keep, said
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import KnowledgeAmount
from hskd_lightning.settings import Choice
from hskd_lightning.settings.sweeper import KEY, Axes, Grid
from hskd_lightning.study.search.space import Candidate, Space

Compose = Callable[[Sequence[str]], Mapping[str, Any]]
"""Overrides -> the resolved configuration of a cell."""
NAMES = ("depth", "length", "width", "bits")
FULL, LOGITS = ("experiment=full_hsk",), ("knowledge=logits",)


@dataclass(frozen=True)
class Option:
    """A strategy of an axis with its keep; `strategy` is the object that it is."""

    axis: str
    name: str
    keep: Spelled
    strategy: Any

    @property
    def overrides(self) -> tuple[str, ...]:
        chosen = f"{self.axis}={self.name}"
        return (chosen,) if self.keep is None else (chosen, f"{self.axis}.keep={self.keep}")

    @property
    def kept(self) -> Keep:
        """None for everything."""
        return check_keep(f"{self.axis}.keep", self.keep)

    @property
    def budgeted(self) -> bool:
        """Whether these are bits that code all units together, within a budget."""
        return self.axis == "bits" and self.keep is not None


Combined = tuple[Option, Option, Option, Option]
"""Depth, length, width, bits."""


class Builder:
    """Makes a space.

    Args:
        grids: the keeps of each axis.
        compose: makes configurations.
        given: the user's own overrides, which every cell has.
    """

    def __init__(self, grids: Axes, compose: Compose, given: Sequence[str]) -> None:
        self.grids = grids
        self.compose = compose
        self.given = tuple(given)
        self.experiment = Experiment.resolve(compose([*given, *FULL]))
        if self.experiment.plan is None:
            value = self.experiment.settings.knowledge.name
            remedy = "leave knowledge out: full HSK and the logits alone are run beside it"
            raise ConfigError("knowledge", value, "offline or online: a space without full HSK has no minimum", remedy)
        self.full = self.experiment.plan

    def space(self) -> Space:
        """The space, by rising bytes; of two spellings of one setting the first.

        Raises:
            ConfigError: an axis that makes no sense, or does not reach up to full HSK; it is named by its key.
        """
        made: dict[tuple[Any, ...], Candidate] = {}
        for combined in self._combinations():
            made.setdefault(*self._setting(combined))
        ordered = sorted(made.values(), key=lambda each: (each.bytes, each.name))
        full = Candidate("full HSK", FULL, self._everything.bytes, (1.0, 1.0, 1.0), ("full",) * 3)
        return Space(tuple(ordered), full, Candidate("the logits alone", LOGITS, 0.0))

    def corners(self) -> list[tuple[str, ...]]:
        """The overrides of the largest setting of each nested family: a store of each serves the whole space."""
        largest: dict[tuple[str, ...], Combined] = {}
        for combined in self._combinations():
            largest[tuple(each.name for each in combined)] = combined  # the last: keeps rise
        return [FULL, *(_overrides(combined) for combined in largest.values())]

    def _combinations(self) -> Iterator[Combined]:
        depths, lengths, widths, bits = (self._options[axis] for axis in NAMES)
        whole = [next(width for width in widths if width.kept is None)]
        for code in bits:
            yield from itertools.product(depths, lengths, whole if code.budgeted else widths, [code])

    @cached_property
    def _options(self) -> dict[str, list[Option]]:
        """The strategies of each axis with their keeps, by rising keep."""
        return {axis: list(self._along(axis, getattr(self.grids, axis))) for axis in NAMES}

    def _along(self, axis: str, grid: Grid) -> Iterator[Option]:
        _check_grid(axis, grid)
        for name, keeps in grid.items():
            if keeps == []:
                continue  # left out
            choice = Choice.of(self.compose([*self.given, f"{axis}={name}"])[axis])
            for keep in [None] if keeps is None else sorted(keeps, key=_size):
                strategy = _sensible(axis, choices.build, choice, axis, **({} if keep is None else {"keep": keep}))
                if axis == "bits":
                    _sensible(axis, strategy.check_ready)
                yield Option(axis, name, keep, strategy)

    @cached_property
    def _everything(self) -> KnowledgeAmount:
        return self._measured(self.full)

    @cached_property
    def _tokens(self) -> dict[Option, float]:
        """Tokens kept of an example, the mean of the training split."""
        values = len(self.full.layer_map) * self.full.shape.teacher_width
        return {
            length: self._measured(replace(self.full, length=length.strategy)).scalars / values
            for length in self._options["length"]
        }

    def _measured(self, plan: HskPlan) -> KnowledgeAmount:
        return measure(plan, self._batches)

    @cached_property
    def _batches(self) -> list[Any]:
        corpus = Assets(self.experiment).corpus
        return list(corpus.eval_batches(corpus.student_splits.train))

    def _plan(self, combined: Combined) -> HskPlan:
        depth, length, width, bits = (each.strategy for each in combined)
        full = self.full
        plan = _sensible("depth", HskPlan.resolve, full.shape, depth, length, full.width, full.padding)
        plan = replace(plan, width=width)
        _sensible("width", lambda: plan.coded_width)
        coded: HskPlan = _sensible("bits", plan.in_bits, bits)
        return coded

    def _setting(self, combined: Combined) -> tuple[tuple[Any, ...], Candidate]:
        """A setting, and what two spellings of it have in common: 1 layer of five, and a fifth of them."""
        depth, length, width, bits = combined
        plan, tokens = self._plan(combined), self._tokens[length]
        pairs, real = len(plan.layer_map), self._everything.full_scalars / self.full.shape.teacher_width
        families = (depth.name, length.name, bits.name if bits.budgeted else f"{width.name} {bits.name}")
        candidate = Candidate(
            f"{said(Count(pairs), 'layer')}, {self._said_tokens(length)}, {self._said_code(width, bits, plan)}",
            _overrides(combined),
            pairs * tokens * (plan.token_bits / 8 + POSITION_BYTES),
            (
                pairs / self.full.shape.all_pairs,
                tokens * self.full.shape.all_pairs / real,
                plan.token_bits / self.full.token_bits,
            ),
            families,
            shared_bytes(plan) / sum(len(batch.ids) for batch in self._batches),
        )
        return (plan.layer_map, tokens, plan.token_bits, families), candidate

    def _said_tokens(self, length: Option) -> str:
        ranking = f" by {length.name}" if len(self.grids.length) > 1 else ""
        return said(length.kept, "token") + ranking

    def _said_code(self, width: Option, bits: Option, plan: HskPlan) -> str:
        if bits.budgeted:
            return f"{said(Count(plan.token_bits // 8), 'byte')} a token by {bits.name}"
        return f"{said(Count(plan.coded_units), 'unit')} by {width.name} in {bits.name}"


def _overrides(combined: Combined) -> tuple[str, ...]:
    """What a cell of these is made of; with a keep of everything `hsk.amount` has no say."""
    return (*(word for each in combined for word in each.overrides), "hsk.amount=null")


def _size(keep: Spelled) -> tuple[bool, Any]:
    """Counts before shares, of which the last is everything."""
    return isinstance(keep, float), keep


def _check_grid(axis: str, grid: Grid) -> None:
    """Refuse an axis that names what is not there, or does not reach up to everything."""
    key = f"{KEY}.minimum.axes.{axis}"
    for name, keeps in grid.items():
        if name not in choices.names(axis):
            raise ConfigError(key, name, ", ".join(choices.names(axis)), f"name a strategy of conf/{axis}")
        has_keep = "keep" in choices.option(axis, name).options
        if keeps and not has_keep:
            allowed = f"null for {name}, which has no keep"
            raise ConfigError(key, keeps, allowed, f"write {name}: null, or [] to leave it out")
        if keeps is None and has_keep and axis == "bits":
            allowed = f"a list of budgets for {name}"
            raise ConfigError(key, keeps, allowed, f"write {name}: [16, 8], or [] to leave it out")
    if not any(_is_whole(axis, keeps) for keeps in grid.values()):
        allowed = "values whole, such as fp16: null" if axis == "bits" else "keeps that reach up to everything, 1.0"
        raise ConfigError(key, grid, f"{allowed}: full HSK must be in the space", "add it to the axis")


def _is_whole(axis: str, keeps: Sequence[Spelled] | None) -> bool:
    return keeps is None or (axis != "bits" and any(isinstance(keep, float) and keep == 1 for keep in keeps))


def _sensible(axis: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What is made; a refusal is of the axis that the user wrote."""
    try:
        return make(*arguments, **options)
    except ConfigError as error:
        key = f"{KEY}.minimum.axes.{axis}"
        raise ConfigError(key, error.value, error.allowed, f"change this axis: {error.remedy}") from error
