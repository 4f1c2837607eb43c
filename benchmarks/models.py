"""Models of the paper's shapes, and the tiny ones, with random weights (only speed and size matter); their stores."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor
from transformers import BertConfig, PreTrainedConfig

from hskd_lightning import choices
from hskd_lightning.artifacts import PARTIAL, build_once
from hskd_lightning.compress.bits.base import BitsStrategy
from hskd_lightning.compress.bits.fp16 import Fp16
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.length.base import LengthStrategy
from hskd_lightning.compress.width.base import Moments, WidthStrategy
from hskd_lightning.compress.width.magnitude_mask import MagnitudeMask
from hskd_lightning.compress.width.pca import Pca
from hskd_lightning.data.examples import Task
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import LayerMap, TokenBatch
from hskd_lightning.knowledge.manifest import sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.writer import Contents, Writer
from hskd_lightning.models import encoder
from hskd_lightning.models.shapes import Rosita, Sizes, StudentShape
from hskd_lightning.models.teacher import Teacher

HALF = Fp16()
FITTED_ON = 4096
"""Tokens that bits are fitted on."""
CONF = Path(__file__).parents[1] / "conf"
TASK = Task("sst2", "accuracy", ("negative", "positive"))
STUDENTS: dict[str, StudentShape] = {
    "TinyBERT4": Sizes("bert", num_hidden_layers=4, hidden_size=312, num_attention_heads=12, intermediate_size=1200),
    "ROSITA6": Rosita(blocks=6, heads=2, ffn=768, embedding_rank=128),
}


def conf(option: str) -> dict[str, Any]:
    """What a file of conf/ says, such as trainer/auto."""
    read: dict[str, Any] = OmegaConf.load(CONF / f"{option}.yaml")  # type: ignore[assignment]
    return dict(read)


def student_config(name: str) -> PreTrainedConfig:
    """One of the paper's students, or the tiny one, as conf/student/ has it."""
    if name == "tiny":
        sizes = {key: value for key, value in conf("student/tiny")["shape"].items() if key not in ("name", "_target_")}
        return Sizes(**sizes).config(teacher_config("tiny"), TASK)
    return STUDENTS[name].config(BertConfig(), TASK)


def teacher_config(name: str) -> PreTrainedConfig:
    """BERT-base, or the tiny teacher of conf/teacher/."""
    if name == "tiny":
        init = conf("teacher/tiny")["init"]
        sizes = {key: value for key, value in init["shape"].items() if key != "model_type"}
        return BertConfig(vocab_size=init["vocabulary"], num_labels=2, **sizes)
    return BertConfig(num_labels=2)


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class BertBase:
    """A teacher of BERT-base's shape, in a folder."""

    folder: Path
    config: PreTrainedConfig | None = None
    """Another shape."""

    @cached_property
    def teacher(self) -> Teacher:
        path = self.folder / "teacher"
        if not path.exists():
            torch.manual_seed(0)
            encoder.build_classifier(self.config or teacher_config("BERT-base")).save_pretrained(path)
        teacher = Teacher(str(path), [0, 1]).to(device())
        teacher.digest = functools.cache(teacher.digest)  # type: ignore[method-assign]  # a store's start, not its pass
        return teacher


class Anyone:
    """Stands in for a teacher where it does not matter what it says, and the time it takes is not measured."""

    def __init__(self, width: int = 768) -> None:
        self.width = width

    def digest(self) -> str:
        return "anyone"

    def everything(
        self, batch: TokenBatch, states: tuple[int, ...], attention: object, blocks: tuple[int, ...]
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Random states, attention and logits."""
        shape, place = batch.input_ids.shape, batch.ids.device
        said = [torch.randn(*shape, self.width, device=place) for _ in states]
        scores = torch.randn(shape[0], len(states), shape[1], device=place)
        return said, scores, torch.randn(len(batch.ids), 2, device=place)


def sentences(examples: int, tokens: int, seed: int = 0, vocabulary: int = 30_000) -> TokenSplit:
    """Random sentences of one length: [CLS] ... [SEP], BERT's vocabulary or the first ids of it."""
    generator = torch.Generator().manual_seed(seed)
    first = min(1000, vocabulary // 2)
    words = torch.randint(first, vocabulary, (examples, tokens), generator=generator, dtype=torch.int32)
    return split_of(words.flatten(), torch.full((examples,), tokens), seed)


def split_of(words: Tensor, lengths: Tensor, seed: int = 0) -> TokenSplit:
    """Examples of these lengths one after another in (sum of lengths,) ids, whose ends become [CLS] and [SEP]."""
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    first, last = offsets[:-1], offsets[1:] - 1
    words[first], words[last] = 101, 102
    special = torch.zeros(len(words), dtype=torch.bool)
    special[first] = special[last] = True
    return TokenSplit(
        ids=torch.arange(len(lengths)),
        labels=torch.randint(0, 2, (len(lengths),), generator=torch.Generator().manual_seed(seed)),
        offsets=offsets,
        input_ids=words,
        token_type_ids=torch.zeros(len(words), dtype=torch.int8),
        special=special,
    )


def joint_setting(student_blocks: int, bits: BitsStrategy = HALF) -> HskPlan:
    """The paper's 1l_10t_0.1h on a BERT-base teacher."""
    chosen = (UniformLayers(top=8, keep=1), AttentionWithoutSep(keep=10), MagnitudeMask(keep=0.1))
    return plan(student_blocks, *chosen, bits)


def pca_setting(student_blocks: int, bits: BitsStrategy = HALF) -> HskPlan:
    """One layer, ten tokens, 77 components: the same amount, by `width=pca`."""
    return plan(student_blocks, UniformLayers(top=8, keep=1), AttentionWithoutSep(keep=10), Pca(keep=77), bits)


def tiny_setting(student_blocks: int) -> HskPlan:
    """What the default run keeps of the tiny teacher: one layer pair, 55% of the tokens, 70 of 128 components."""
    shape = Shape(4, 128, student_blocks)
    return HskPlan.resolve(shape, UniformLayers(keep=1), AttentionWithoutSep(keep=0.55), Pca(keep=70), bits=HALF)


def plan(
    student_blocks: int, depth: Any, length: LengthStrategy, width: WidthStrategy, bits: BitsStrategy = HALF
) -> HskPlan:
    """A plan for a BERT-base teacher."""
    return HskPlan.resolve(Shape(12, 768, student_blocks), depth, length, width, bits=bits)


def request(plan: HskPlan) -> Request:
    """What a store of this plan holds."""
    length, width, bits = (_named(axis, getattr(plan, axis)) for axis in ("length", "width", "bits"))
    return Request.of(plan, {"benchmark": True}, length, width, bits, shard_tokens=65_536)


def _named(axis: str, strategy: object) -> dict[str, str]:
    """As its file of conf/ names it."""
    made = f".{type(strategy).__name__}"
    return {"name": next(name for name, target in choices.targets(axis).items() if target.endswith(made))}


def fitted_width(plan: HskPlan) -> dict[str, Tensor]:
    """What width finds in states whose units are alike and independent: it takes as long as with any others."""
    pairs, units = len(plan.layer_map), plan.shape.teacher_width
    alike = Moments(
        torch.zeros(pairs, units, dtype=torch.float64), torch.eye(units, dtype=torch.float64).repeat(pairs, 1, 1)
    )
    return plan.width.fit(units, alike).fitted


def contents_of(plan: HskPlan, split: TokenSplit, teacher: Teacher | Anyone) -> Contents:
    """What a store of this plan is made from; bits are fitted to noise, which takes them as long."""
    asked, width = request(plan), plan.shape.teacher_width
    stored = replace(plan, layer_map=LayerMap(tuple((state, state) for state, _ in asked.layers)))

    def fit() -> dict[str, Tensor]:
        sample = torch.randn(len(asked.layers), FITTED_ON, stored.coded_width)
        return {**fitted_width(stored), **stored.bits.fit(sample)}

    return Contents(
        request=asked,
        plan=stored,
        fit=fit,
        teacher=lambda: teacher,  # type: ignore[arg-type,return-value]
        split=split,
        width=width,
        classes=2,
        pad_id=0,
        pad_to=None,
        device=device(),
        precision="32-true",
    )


def store(plan: HskPlan, split: TokenSplit, teacher: Teacher | Anyone, root: Path) -> Store:
    """A store of this plan, built now."""
    contents = contents_of(plan, split, teacher)
    partial = root / "store" / f"{contents.request.name}{PARTIAL}"
    partial.mkdir(parents=True, exist_ok=True)
    writer = Writer(partial, contents)
    writer.write(writer.missing())

    def finish(folder: Path) -> dict[str, Any]:
        return sealed({**writer.finish(), "versions": {}, "teacher_dev": {}, "recipe": writer.request.name})

    return Store(build_once(root, "store", writer.request.recipe, finish, vouched=True))
