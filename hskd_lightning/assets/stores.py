"""Finds the store that answers a cell, or builds the one that answers the whole sweep."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from hskd_lightning import choices
from hskd_lightning.artifacts import PARTIAL, Recipe, build_once, hold, lock_of, make_writable
from hskd_lightning.assets.corpus import artifacts
from hskd_lightning.assets.fits import check_ready, fit
from hskd_lightning.assets.siblings import other_cells
from hskd_lightning.assets.teacher import TeacherStates
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.keep import as_number
from hskd_lightning.data.tokens import concatenate
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.hsk import LayerMap
from hskd_lightning.knowledge.manifest import KIND, REBUILD, read_sealed, sealed, stores
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.writer import Contents, Writer
from hskd_lightning.runs.provenance import versions
from hskd_lightning.settings import Choice

log = logging.getLogger(__name__)


class Stores:
    """The stores of a teacher's states among the artifacts.

    Args:
        states: what is stored.
        plan: what of them this cell keeps; None for logits alone.
    """

    def __init__(self, states: TeacherStates, plan: HskPlan | None) -> None:
        self.states = states
        self.plan = plan
        self.experiment = states.teacher.experiment
        self.settings = self.experiment.settings
        self.folder = artifacts(self.experiment) / KIND

    @cached_property
    def request(self) -> Request:
        """What this cell needs."""
        return request_of(self.experiment, self.plan, self.states.origin)

    def request_in(self, bits: Choice) -> Request:
        """What this cell would need of a store if its values were said in these bits.

        Raises:
            ConfigError: the values do not hold so many.
        """
        assert self.plan is not None
        return request_of(self.experiment, self.plan.in_bits(choices.build(bits, "bits")), self.states.origin, bits)

    def source(self) -> StoreSource:
        """Knowledge without a teacher: from the store at `store.path`, one found among the artifacts, or a new one."""
        folder = self.given() or self.find() or self.build()
        store = Store(folder)
        self._check_teacher(store)
        return StoreSource(store, self.plan, self.request)

    def given(self) -> Path | None:
        """The store at `store.path`.

        Raises:
            ConfigError: it does not answer this cell; the differing field is named.
        """
        path = self.settings.store.path
        if path is None:
            return None
        self.check(Path(path))
        return Path(path)

    def check(self, folder: Path) -> None:
        """Refuse a store that does not answer this cell, naming the field."""
        self._check(folder, self.request)

    def _check(self, folder: Path, request: Request) -> None:
        stored = Request.read(read_sealed(folder)["recipe"])
        if difference := request.missing_from(stored):
            field, actual, asked = difference
            remedy = "ask for what the store has, or leave store.path out to have another found or built"
            raise ConfigError(f"store {folder}: {field}", actual, repr(asked), remedy)

    def check_origin(self, folder: Path) -> None:
        """Refuse a store of another teacher, or of other data, naming the field; whatever it keeps of them."""
        self._check(folder, Request(self.request.origin))

    def check_ready(self) -> None:
        """Refuse a store that is not there and whose fit cannot be made here, before a teacher is trained for it.

        Raises:
            ConfigError: a package is missing.
        """
        if self.plan is not None and self.settings.store.path is None and self._smallest(self.request) is None:
            check_ready(self.states, self.plan, self.request)

    def find(self, request: Request | None = None) -> Path | None:
        """The smallest whole store among the artifacts that answers the request."""
        request = request or self.request
        folder = self._smallest(request)
        if folder is not None:
            how = "has just this" if folder.name == request.name else "covers this cell"
            log.info("store %s: reused, %s", folder.name, how)
        return folder

    def _smallest(self, request: Request) -> Path | None:
        fitting = [
            (facts["bytes"], folder)
            for folder, recipe, facts in stores(self.folder)
            if request.missing_from(Request.read(recipe)) is None
        ]
        return min(fitting)[1] if fitting else None

    def build(self, others: Iterable[Mapping[str, Any]] | None = None) -> Path:
        """A store for this cell and others; None: those of the sweep that it is part of, if it is."""
        request = self.union(others)
        if request != self.request and (existing := self.find(request)):
            return existing
        return self.make(request)

    def make(self, request: Request) -> Path:
        """A store, by this process and whoever else is at it: each makes the next free shard, the last one finishes."""
        if (folder := self.partial(request)) is not None:
            try:
                self._write(self.writer(folder, request))
            except (ConfigError, OSError):
                if not (self.folder / request.name).is_dir():
                    raise
                log.info("store %s: another process finished it meanwhile", request.name)  # and renamed the folder
        return self.complete(request)

    def complete(self, request: Request) -> Path:
        """A store whose shards are all there, in its place.

        Raises:
            ConfigError: shards are missing.
        """

        def finish(folder: Path) -> Recipe:
            return self.finish(self.writer(folder, request))

        return build_once(self.folder.parent, KIND, request.recipe, finish, vouched=True)

    def union(self, others: Iterable[Mapping[str, Any]] | None = None) -> Request:
        """The least store that answers this cell and those of the others that can share one with it."""
        request = self.request
        for config in other_cells() if others is None else others:
            other = self._sibling(config)
            request = (other and request.joined(other)) or request
        return request

    def writer(self, folder: Path, request: Request) -> Writer:
        """Whoever makes this store's shards in `folder`."""
        return Writer(folder, self._contents(request))

    def finish(self, writer: Writer) -> Recipe:
        """The facts of a store whose shards are all there."""
        facts = writer.finish()
        facts |= {"versions": versions(), "teacher_dev": self.states.teacher.scores(), "recipe": writer.request.name}
        return sealed(facts)

    def partial(self, request: Request) -> Path | None:
        """Where a store is being made, by one process or many; None once it is whole."""
        make_writable(self.folder)
        folder = self.folder / f"{request.name}{PARTIAL}"
        with hold(lock_of(folder), f"store {request.name}"):  # or it could be whole by the time the folder is made
            if (self.folder / request.name).is_dir():
                return None
            folder.mkdir(exist_ok=True)
        return folder

    def _write(self, writer: Writer) -> None:
        missing, size = writer.missing(), writer.size
        log.info(
            "store %s: %d examples, %s bytes, %d of %d shards to build",
            writer.request.name, size.examples, f"{size.bytes:,}", len(missing), len(writer.shards),
        )  # fmt: skip
        if missing:
            writer.compression  # noqa: B018 | the fit: what it is made from is for the rank that leads to make
            self.states.teacher.team.everywhere(Stores.write_shards, self, writer.folder, writer.request, missing)

    def write_shards(self, folder: Path, request: Request, numbers: Sequence[int]) -> None:
        """See to it that these shards are there."""
        self.writer(folder, request).write(numbers)

    def _contents(self, request: Request) -> Contents:
        corpus, plan = self.states.corpus, self._plan_of(request)
        load = functools.cache(self.states.teacher.load)

        def make_fit() -> dict[str, Tensor]:
            assert plan is not None
            check_ready(self.states, plan, request)
            return fit(self.states, load(), plan, request)

        return Contents(
            request=request,
            plan=plan,
            fit=make_fit,
            teacher=load,
            split=concatenate(*corpus.student_splits),
            width=self.experiment.teacher_config.hidden_size,
            classes=self.experiment.task.outputs,
            pad_id=corpus.tokenizer.pad_token_id,
            pad_to=corpus.pad_to,
            device=self.settings.trainer.device,
            precision=self.settings.trainer.precision,
        )

    def _plan_of(self, request: Request) -> HskPlan | None:
        """What a store keeps, by its own recipe: that of a sweep may be of other cells' strategies than this one's."""
        if not request.layers:
            return None
        teacher, student = self.experiment.teacher_config, self.experiment.student_config
        return HskPlan(
            Shape(teacher.num_hidden_layers, teacher.hidden_size, student.num_hidden_layers),
            LayerMap(tuple((state, state) for state, _ in request.layers)),
            request.ranker,
            request.chooser,
            self.settings.preset.padding,
            request.coder,
        )

    def _sibling(self, config: Mapping[str, Any]) -> Request | None:
        """What another cell of the sweep needs; None where it needs no store, is wrong, or learns from other states."""
        try:
            other = Experiment.resolve(config)
        except ConfigError:
            return None  # that cell will say so itself
        ours, theirs = self.settings, other.settings
        same = theirs.data == ours.data and theirs.teacher == ours.teacher and theirs.preset == ours.preset
        if not (same and theirs.knowledge.stored and theirs.trainer.precision == ours.trainer.precision):
            return None
        return request_of(other, other.plan, self.states.origin) if self._teaches(other) else None

    def _teaches(self, other: Experiment) -> bool:
        """Whether another cell is taught these states, and not those of before, or after, the teacher's training."""
        return other.taught_by_trained == self.states.teacher.trained

    def _check_teacher(self, store: Store) -> None:
        """A student that starts from the teacher's weights, or is scored against it, must have the store's teacher."""
        here = self.states.teacher.weights
        if here is not None and here != store.facts["weights"]:
            remedy = f"use the teacher that the store was made with, or remove the store: {REBUILD}"
            raise ConfigError(f"store {store.folder}: weights", store.facts["weights"], repr(here), remedy)


def request_of(experiment: Experiment, plan: HskPlan | None, origin: Recipe, bits: Choice | None = None) -> Request:
    """What a cell needs of a store.

    Args:
        experiment: the cell.
        plan: what it keeps; None for its logits alone.
        origin: what decides the states, see `TeacherStates`.
        bits: of the plan; None: the cell's own.
    """
    origin = json.loads(json.dumps(origin))  # as a manifest will give it back
    length, width = (_options(experiment, axis) for axis in ("length", "width"))
    bits = bits or experiment.settings.bits
    shard_tokens = experiment.settings.store.shard_tokens
    return Request.of(plan, origin, length, width, {"name": bits.name, **bits.options}, shard_tokens)


def _options(experiment: Experiment, axis: str) -> Recipe:
    """A strategy's name and options, `hsk.amount` worked in."""
    choice = experiment.settings.axis(axis)
    return {"name": choice.name, **choice.options, "keep": as_number(experiment.keeps.get(axis))}
