"""Finds the store that answers a cell, or builds the one that answers the whole sweep."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from hskd_lightning import config as configuration
from hskd_lightning.artifacts import Recipe, build_once, make_writable
from hskd_lightning.assets.siblings import other_cells
from hskd_lightning.assets.workshop import Workshop
from hskd_lightning.compress.keep import as_number
from hskd_lightning.compress.length.base import LengthStrategy
from hskd_lightning.compress.width.base import Moments, UnitCode, WidthStrategy
from hskd_lightning.data.tokens import concatenate
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment, strategy_name
from hskd_lightning.knowledge.manifest import REBUILD, read_sealed, sealed
from hskd_lightning.knowledge.request import Request, height
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.writer import Source, Writer
from hskd_lightning.models.teacher import Teacher
from hskd_lightning.runs.provenance import versions

log = logging.getLogger(__name__)
KIND = "store"
LATER = {"counts": "rounded"}
"""Options younger than the first stores, and what was done before there were any: it enters no store's name."""


class Storeroom:
    """The stores among an experiment's artifacts."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.experiment = workshop.experiment
        self.config = workshop.config
        self.folder = workshop.root / KIND

    @cached_property
    def request(self) -> Request:
        """What this cell needs."""
        return request_of(self.experiment, self.workshop.origin)

    def source(self) -> StoreSource:
        """Knowledge without a teacher: from the store at `store.path`, one found among the artifacts, or a new one."""
        folder = self.given() or self.find() or self.build()
        store = Store(folder)
        self._check_teacher(store)
        return StoreSource(store, self.experiment.plan, self.request)

    def given(self) -> Path | None:
        """The store at `store.path`.

        Raises:
            ConfigError: it does not answer this cell; the differing field is named.
        """
        path = self.config["store"]["path"]
        if path is None:
            return None
        self.check(Path(path))
        return Path(path)

    def check(self, folder: Path) -> None:
        """Refuse a store that does not answer this cell, naming the field."""
        stored = Request.read(read_sealed(folder)["recipe"])
        if difference := self.request.missing_from(stored):
            field, found, asked = difference
            remedy = "ask for what the store has, or leave store.path out to have another found or built"
            raise ConfigError(f"store {folder}: {field}", found, repr(asked), remedy)

    def find(self, request: Request | None = None) -> Path | None:
        """The smallest whole store among the artifacts that answers the request."""
        request = request or self.request
        fitting = [
            (facts["bytes"], folder)
            for folder, recipe, facts in stores(self.folder)
            if request.missing_from(Request.read(recipe)) is None
        ]
        if not fitting:
            return None
        _, folder = min(fitting)
        how = "has just this" if folder.name == request.name else "covers this cell"
        log.info("store %s: reused, %s", folder.name, how)
        return folder

    def build(self) -> Path:
        """The store of the whole sweep that this cell is part of; of the cell, if it is alone."""
        request = self.union()
        if request != self.request and (found := self.find(request)):
            return found
        return build_once(
            self.workshop.root, KIND, request.recipe, lambda folder: self.write(folder, request), vouched=True
        )

    def union(self) -> Request:
        """The least store that answers this cell and those cells of its sweep that can share one with it."""
        request = self.request
        for config in other_cells():
            other = self._sibling(config)
            request = (other and request.joined(other)) or request
        return request

    def writer(self, folder: Path, request: Request) -> Writer:
        """Whoever makes this store's shards in `folder`."""
        return Writer(folder, self._writers_source(request))

    def finish(self, writer: Writer) -> Recipe:
        """The facts of a store whose shards are all there."""
        facts = writer.finish()
        facts |= {"versions": versions(), "teacher_dev": self.workshop.teacher_scores, "recipe": writer.request.name}
        return sealed(facts)

    def partial(self, request: Request) -> Path:
        """Where a store is made, for processes that each make a part of it."""
        make_writable(self.folder)
        folder = self.folder / f"{request.name}.partial"
        folder.mkdir(exist_ok=True)
        return folder

    def write(self, folder: Path, request: Request) -> Recipe:
        """Make what is missing of a store in `folder`; its facts."""
        writer = self.writer(folder, request)
        missing = writer.missing()
        size = writer.size
        log.info(
            "store %s: %d examples, %s bytes, %d of %d shards to build",
            request.name, size.examples, f"{size.bytes:,}", len(missing), len(writer.shards),
        )  # fmt: skip
        writer.write(missing)
        return self.finish(writer)

    def _writers_source(self, request: Request) -> Source:
        workshop, width = self.workshop, self.experiment.teacher_config.hidden_size
        length, strategy = self._strategies(request)
        splits = workshop.student_splits
        loaded: list[Teacher] = []

        def teacher() -> Teacher:
            if not loaded:
                loaded.append(workshop.load_teacher())
            return loaded[0]

        def fit() -> UnitCode:
            states = tuple(state for state, _ in request.layers)
            return strategy.fit(width, workshop.moments(teacher(), states) if strategy.needs_moments else None)

        return Source(
            request=request,
            length=length,
            unfitted=strategy.fit(width, Moments.of_nothing(len(request.layers), width)),
            fit=fit,
            teacher=teacher,
            split=concatenate(splits.train, splits.selection),
            width=width,
            classes=self.experiment.task.outputs,
            pad_id=workshop.tokenizer.pad_token_id,
            pad_to=workshop.pad_to,
            padding=self.config["preset"]["padding"],
            device=workshop.device,
            precision=self.config["trainer"]["precision"],
        )

    def _strategies(self, request: Request) -> tuple[LengthStrategy, WidthStrategy]:
        """Length and width as the store keeps them: this cell's own, with the store's `keep`s."""
        keeps = {"length": as_number(request.tokens), "width": request.units or None}
        built = []
        for axis, keep in keeps.items():
            node = dict(self.config[axis])
            if not request.ordered and axis == "width":
                keep = as_number(self.experiment.keeps.get(axis))  # the store's own, spelling included
            node |= {"keep": keep} if "keep" in node else {}
            node |= {"masked": "ignore"} if "masked" in node else {}
            built.append(configuration.build(node, axis))
        length, width = built
        return length, width

    def _sibling(self, config: Mapping[str, Any]) -> Request | None:
        """What another cell of the sweep needs; None where it needs no store, is wrong, or learns from other states."""
        same = ("data", "teacher", "preset")
        if config["knowledge"]["source"] != "store" or any(config[key] != self.config[key] for key in same):
            return None
        if config["trainer"]["precision"] != self.config["trainer"]["precision"]:
            return None
        try:
            other = Experiment.resolve(config)
        except ConfigError:
            return None  # that cell will say so itself
        return request_of(other, self.workshop.origin) if other.control.trained == self.workshop.trained else None

    def _check_teacher(self, store: Store) -> None:
        """A student that starts from the teacher's weights, or is scored against it, must have the store's teacher."""
        here = self.workshop.teacher_weights
        if here is not None and here != store.facts["weights"]:
            remedy = f"use the teacher that the store was made with, or remove the store: {REBUILD}"
            raise ConfigError(f"store {store.folder}: weights", store.facts["weights"], repr(here), remedy)


def stores(folder: Path) -> Iterator[tuple[Path, Recipe, dict[str, Any]]]:
    """Every whole store below a folder: where it is, its recipe and its facts. Unreadable ones are passed over."""
    for path in sorted(folder.glob("*/manifest.json")):
        if path.parent.suffix:
            continue  # half built, or half pulled
        try:
            manifest = read_sealed(path.parent)
        except ConfigError as error:
            log.warning("%s", error)
            continue
        yield path.parent, manifest["recipe"], manifest["facts"]


def request_of(experiment: Experiment, origin: Recipe) -> Request:
    """What a cell needs of a store."""
    origin = json.loads(json.dumps(origin))  # as a manifest will give it back
    plan, settings = experiment.plan, experiment.config["store"]
    if plan is None:
        return Request(origin, shard_tokens=settings["shard_tokens"])
    width, units = plan.width, plan.shape.teacher_width
    code = plan.fit(plan.unfitted_moments()).code
    blocks = plan.attention_blocks or (None,) * len(plan.layer_map)
    layers = set(zip(plan.layer_map.teacher_states, blocks, strict=True))
    return Request(
        origin,
        layers=tuple(sorted(layers, key=height)),
        length=_options(experiment, "length", "keep", "attention_from"),
        tokens=experiment.keeps.get("length"),
        width=_options(experiment, "width", "masked", "ties", *(("keep", "counts") if width.ordered else ())),
        units=code.scalars(units),
        dtype=settings["dtype"],
        shard_tokens=settings["shard_tokens"],
        ordered=width.ordered,
        per_token=width.reach == "token",
        masks=code.mask_bits(units) > 0,
    )


def _options(experiment: Experiment, axis: str, *without: str) -> Recipe:
    """A strategy's name and those of its options that tell stores apart.

    Not `masked`, which is the reader's affair; nor `ties`, of which a store has one; nor, where `units` says it all,
    `keep` and `counts`.
    """
    node = {**experiment.config[axis], "keep": as_number(experiment.keeps.get(axis))}
    told = {key: value for key, value in node.items() if key not in ("_target_", *without)}
    options = {key: value for key, value in told.items() if (key, value) not in LATER.items()}
    return {"name": strategy_name(node["_target_"]), **options}
