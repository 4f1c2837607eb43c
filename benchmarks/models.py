"""Models of the paper's shapes with random weights (only speed and size matter), and stores made from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, PreTrainedConfig

from hskd_lightning.artifacts import PARTIAL, build_once
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.length.base import LengthStrategy
from hskd_lightning.compress.width.base import Moments, WidthStrategy
from hskd_lightning.compress.width.magnitude_mask import MagnitudeMask
from hskd_lightning.data.examples import Task
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.knowledge.manifest import sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.writer import Contents, Writer
from hskd_lightning.models import encoder
from hskd_lightning.models.shapes import Rosita, Sizes, StudentShape
from hskd_lightning.models.teacher import Teacher

TASK = Task("sst2", "accuracy", ("negative", "positive"))
STUDENTS: dict[str, StudentShape] = {
    "TinyBERT4": Sizes("bert", num_hidden_layers=4, hidden_size=312, num_attention_heads=12, intermediate_size=1200),
    "ROSITA6": Rosita(blocks=6, heads=2, ffn=768, embedding_rank=128),
}


def student_config(name: str) -> PreTrainedConfig:
    """One of the paper's students, as conf/student/ has it."""
    return STUDENTS[name].config(BertConfig(), TASK)


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class BertBase:
    """A teacher of BERT-base's shape, in a folder."""

    folder: Path

    @cached_property
    def teacher(self) -> Teacher:
        path = self.folder / "teacher"
        if not path.exists():
            torch.manual_seed(0)
            encoder.build_classifier(BertConfig(num_labels=2)).save_pretrained(path)
        return Teacher(str(path), [0, 1]).to(device())


def sentences(examples: int, tokens: int, seed: int = 0) -> TokenSplit:
    """Random sentences of one length: [CLS] ... [SEP], BERT's vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(1000, 30_000, (examples, tokens), generator=generator, dtype=torch.int32)
    words[:, 0], words[:, -1] = 101, 102
    special = torch.zeros(examples, tokens, dtype=torch.bool)
    special[:, 0] = special[:, -1] = True
    return TokenSplit(
        ids=torch.arange(examples),
        labels=torch.randint(0, 2, (examples,), generator=generator),
        offsets=torch.arange(examples + 1) * tokens,
        input_ids=words.flatten(),
        token_type_ids=torch.zeros(examples * tokens, dtype=torch.int8),
        special=special.flatten(),
    )


def joint_setting(student_blocks: int) -> HskPlan:
    """The paper's 1l_10t_0.1h on a BERT-base teacher."""
    return plan(student_blocks, UniformLayers(top=8, keep=1), AttentionWithoutSep(keep=10), MagnitudeMask(keep=0.1))


def plan(student_blocks: int, depth: Any, length: LengthStrategy, width: WidthStrategy) -> HskPlan:
    """A plan for a BERT-base teacher."""
    return HskPlan.resolve(Shape(12, 768, student_blocks), depth, length, width)


def request(plan: HskPlan, dtype: str) -> Request:
    """What a store of this plan holds."""
    names = ({"name": type(strategy).__name__} for strategy in (plan.length, plan.width))
    return Request.of(plan, {"benchmark": True}, *names, dtype=dtype, shard_tokens=65_536)


def contents_of(plan: HskPlan, split: TokenSplit, teacher: Teacher, dtype: str) -> Contents:
    """What a store of this plan is made from."""
    asked = request(plan, dtype)
    moments = Moments.of_nothing(len(asked.layers), 768)
    return Contents(
        request=asked,
        length=plan.length,
        unfitted=plan.width.fit(768, moments),
        fit=lambda: plan.width.fit(768, moments),
        teacher=lambda: teacher,
        split=split,
        width=768,
        classes=2,
        pad_id=0,
        pad_to=None,
        padding="ignore",
        device=device(),
        precision="32-true",
    )


def store(plan: HskPlan, split: TokenSplit, teacher: Teacher, root: Path, dtype: str = "fp16") -> Store:
    """A store of this plan, built now."""
    contents = contents_of(plan, split, teacher, dtype)
    partial = root / "store" / f"{contents.request.name}{PARTIAL}"
    partial.mkdir(parents=True)
    writer = Writer(partial, contents)
    writer.write(writer.missing())

    def finish(folder: Path) -> dict[str, Any]:
        return sealed({**writer.finish(), "versions": {}, "teacher_dev": {}, "recipe": writer.request.name})

    return Store(build_once(root, "store", writer.request.recipe, finish, vouched=True))
