"""What the fuzz tests draw: teachers that say what a table has, texts of any lengths, and what may be kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as draw
from torch import Tensor

from hskd_lightning.artifacts import PARTIAL, build_once
from hskd_lightning.choices import build
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.data.loader import collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.integrity import fingerprint
from hskd_lightning.knowledge.manifest import sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.teacher_source import TeacherSource, measure_moments, sampled_states
from hskd_lightning.knowledge.writer import Contents, Writer
from hskd_lightning.settings import Choice
from tests.contracts.strategies import node, with_keep
from tests.helpers import options

BLOCKS, STUDENT_BLOCKS, WORDS = 3, 2, 40
SCALES = {"plain": 1.0, "constant": 0.0, "tiny": 1e-30, "large": 1e4, "huge": 1e37}
BITS = [
    (name, keep) for name in options("bits") for keep in {"planes": (1, 5, 17), "residual": (1, 2)}.get(name, (None,))
]


def examples(count: int, in_ci: int) -> settings:
    """So many cases of a test by hand, and a few of them in CI."""
    return settings(max_examples=count if settings.get_current_profile_name() == "thorough" else in_ci)


class Spoken:
    """A teacher that says the same of a word wherever it stands; its attention hangs on the place, too."""

    def __init__(self, width: int, classes: int, scale: float, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        self.states_of = torch.randn(BLOCKS + 1, WORDS, width, generator=drawn) * scale + (scale == 0)
        self.logits_of = torch.randn(WORDS, classes, generator=drawn)
        self.looks = torch.randn(BLOCKS, 64, generator=drawn)
        self.model = self

    device = torch.device("cpu")

    def digest(self) -> str:
        return "0" * 16

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.logits_of[batch.input_ids[:, 0]]

    def states(
        self, batch: TokenBatch, wanted: Sequence[int], attention: Any = None, blocks: Sequence[int] | None = None
    ) -> tuple[list[Tensor], Tensor | None]:
        states = [self.states_of[state][batch.input_ids] for state in wanted]
        if attention is None or not blocks:
            return states, None
        looked = self.looks[list(blocks), : batch.real.shape[1]].expand(len(batch.ids), -1, -1)
        return states, looked.masked_fill(~batch.real[:, None], -1e4)

    def everything(
        self, batch: TokenBatch, wanted: Sequence[int], attention: Any = None, blocks: Sequence[int] | None = None
    ) -> tuple[list[Tensor], Tensor | None, Tensor]:
        return *self.states(batch, wanted, attention, blocks), self.logits(batch)


@dataclass(frozen=True)
class Case:
    """A teacher, its text, and what is kept of what it says."""

    lengths: tuple[int, ...]
    width: int
    classes: int
    scale: str
    chosen: Mapping[str, Mapping[str, Any]]
    """Axis -> its strategy's `name` and options."""
    shard_tokens: int = 8

    @property
    def bits(self) -> str:
        return str(self.chosen["bits"]["name"])

    @cached_property
    def teacher(self) -> Spoken:
        return Spoken(self.width, self.classes, SCALES[self.scale], seed=self.width)

    @cached_property
    def split(self) -> TokenSplit:
        """Words that come again and again, ids that do not rise; the first and the last of a text are special."""
        total, offsets = sum(self.lengths), torch.tensor([0, *self.lengths]).cumsum(0)
        special = torch.zeros(total, dtype=torch.bool)
        special[offsets[:-1]] = special[offsets[1:] - 1] = True
        ids = torch.arange(len(self.lengths)).flip(0) * 3
        words = (torch.arange(total) * 7 % WORDS).int()
        return TokenSplit(ids, torch.zeros_like(ids), offsets, words, torch.zeros(total, dtype=torch.int8), special)

    @cached_property
    def plan(self) -> HskPlan:
        """Raises ConfigError where the strategies make no sense of these shapes."""
        parts = {
            axis: build(Choice.of(_plain(axis, given["name"]) | given), axis) for axis, given in self.chosen.items()
        }
        shape = Shape(BLOCKS, self.width, STUDENT_BLOCKS)
        return HskPlan.resolve(shape, parts["depth"], parts["length"], parts["width"], bits=parts["bits"])

    @cached_property
    def request(self) -> Request:
        whole = {axis: {**_plain(axis, given["name"]), **given} for axis, given in self.chosen.items()}
        return Request.of(
            self.plan, {"of": "a table"}, whole["length"], whole["width"], whole["bits"], self.shard_tokens
        )

    def batch(self, rows: Sequence[int]) -> TokenBatch:
        return collate(self.split, torch.tensor(rows), pad_id=0)

    def fit(self) -> dict[str, Tensor]:
        """As `assets.fits.fit` makes it, without artifacts."""
        plan, teacher, mapped = self.plan, self.teacher, self.plan.layer_map.teacher_states
        lengths = (*self.lengths, 256) if self.bits == "residual" else self.lengths  # for a codebook
        text = replace(self, lengths=lengths)
        every = [text.batch([row]) for row in range(len(lengths))]
        moments = measure_moments(teacher, mapped, every) if plan.width.needs_moments else None  # type: ignore[arg-type]
        code = plan.width.fit(self.width, moments)
        if not plan.bits.needs_sample:
            return dict(code.fitted)
        sample = sampled_states(teacher, mapped, every)  # type: ignore[arg-type]
        return {
            **code.fitted,
            **plan.bits.fit(code.encode(sample.transpose(0, 1)[:, :, None]).squeeze(2).transpose(0, 1)),
        }

    def live(self) -> TeacherSource:
        return TeacherSource(self.teacher, self.plan, self.fit)  # type: ignore[arg-type]

    def store(self, root: Path, order: Sequence[int] | None = None) -> Path:
        """A store of it, by the program's own writer, its shards made in any order."""
        contents = Contents(
            self.request, self.plan, self.fit, lambda: self.teacher, self.split, self.width, self.classes,  # type: ignore[arg-type, return-value]
            pad_id=0, pad_to=None, device=Spoken.device, precision="32-true",
        )  # fmt: skip
        folder = root / "store" / f"{fingerprint(self.request.recipe)}{PARTIAL}"
        folder.mkdir(parents=True)
        writer = Writer(folder, contents)
        for number in order or range(len(writer.shards)):
            writer.write([number % len(writer.shards)])
        writer.write(writer.missing())

        def finish(folder: Path) -> dict[str, Any]:
            return sealed({**writer.finish(), "versions": {}, "teacher_dev": {}, "recipe": self.request.name})

        return build_once(root, "store", self.request.recipe, finish, vouched=True)

    def source(self, store: Path) -> StoreSource:
        """The same knowledge from a store that covers it."""
        return StoreSource(Store(store), self.plan, self.request)


@cache
def _plain(axis: str, name: str) -> dict[str, Any]:
    return {key: value for key, value in node(axis, name).items() if key != "_target_"}


counts = draw.integers(1, 12)
shares = draw.sampled_from([0.01, 0.1, 1 / 3, 0.5, 0.999, 1.0])
keeps = draw.none() | counts | shares


@draw.composite
def chosen(drawn: draw.DrawFn) -> dict[str, dict[str, Any]]:
    """A strategy of each axis, with a keep where it has one."""
    parts: dict[str, dict[str, Any]] = {}
    for axis in ("depth", "length", "width"):
        name = drawn(draw.sampled_from([each for each in options(axis) if each != "explicit"]))
        parts[axis] = {"name": name, **({"keep": drawn(keeps)} if name in with_keep(axis) else {})}
    name, keep = drawn(draw.sampled_from(BITS))
    return {**parts, "bits": {"name": name, **({} if keep is None else {"keep": keep})}}


cases = draw.builds(
    Case,
    lengths=draw.lists(draw.integers(1, 9), min_size=1, max_size=6).map(tuple),
    width=draw.sampled_from([1, 2, 3, 8, 12]),
    classes=draw.sampled_from([1, 2, 5, 300]),
    scale=draw.sampled_from(list(SCALES)),
    chosen=chosen(),
    shard_tokens=draw.sampled_from([1, 3, 8, 1000]),
)


def heard(target: HiddenTarget) -> Tensor:
    """(B, P, K, W) bool: the values that a loss looks at."""
    valid = target.tokens.valid[..., None].expand_as(target.values)
    return valid if target.units is None else valid & target.units
