"""Bytes an example on real text: what the plan computes, and what lies on the disk. Needs GLUE_ROOT and HSKD_MINILM.

The teacher has BERT-base's shape and random weights: sizes do not depend on what it says. HSKD_MINILM is a folder with
BERT's uncased vocabulary; only its tokenizer is used.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import report
from benchmarks.models import BertBase, contents_of, joint_setting, plan, store
from hskd_lightning.compress.amount import shared_bytes
from hskd_lightning.compress.bits.fp32 import Fp32
from hskd_lightning.compress.bits.int4 import Int4
from hskd_lightning.compress.bits.int8 import Int8
from hskd_lightning.compress.bits.planes import Planes
from hskd_lightning.compress.bits.residual import Residual
from hskd_lightning.compress.compression import HskPlan
from hskd_lightning.compress.depth.all import AllLayers
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.width.all import AllUnits
from hskd_lightning.compress.width.pca import Pca
from hskd_lightning.data.glue import Glue
from hskd_lightning.data.split import limit
from hskd_lightning.data.tokens import TokenSplit, tokenize
from hskd_lightning.data.vocabulary import load_tokenizer
from hskd_lightning.knowledge.writer import Writer

LENGTHS = {"cola": 64, "rte": 128, "sst2": 64}
PCA = (UniformLayers(top=8, keep=1), AttentionWithoutSep(keep=10), Pca(keep=77))
WHOLE = (UniformLayers(top=8, keep=1), AttentionWithoutSep(keep=10), Pca())
SETTINGS = {
    "1l_10t_0.1h, fp16": joint_setting(6),
    "1l_10t_77 components, fp16": plan(6, *PCA),
    "1l_10t_77 components, int8": plan(6, *PCA, Int8()),
    "1l_10t_77 components, int4": plan(6, *PCA, Int4()),
    "1l_10t, planes, 256 bits": plan(6, *WHOLE, Planes(256)),
    "1l_10t, residual, 16 bytes": plan(6, *WHOLE, Residual(16)),
    "full HSK, fp16": plan(6, AllLayers(), AllTokens(), AllUnits()),
    "full HSK, fp32": plan(6, AllLayers(), AllTokens(), AllUnits(), Fp32()),
}


def measure(task: str, whole: TokenSplit, sample: TokenSplit, teacher: BertBase, root: Path) -> list[dict[str, Any]]:
    rows = []
    for name, setting in SETTINGS.items():
        built = store(setting, sample, teacher.teacher, root / task)
        on_disk = sum(path.stat().st_size for path in built.folder.glob("shard-*"))
        computed = _computed(setting, sample, teacher)
        everything = _computed(setting, whole, teacher)
        rows.append(
            {
                "task": task,
                "kept": name,
                "measured, B/example": on_disk / len(sample),
                "computed, B/example": computed / len(sample),
                "measured / computed": on_disk / computed,
                "whole train, MB": everything / 1e6,
                "shared, MB": shared_bytes(setting) / 1e6,
            }
        )
    return rows


def _computed(setting: HskPlan, split: TokenSplit, teacher: BertBase) -> int:
    return Writer(Path(), contents_of(setting, split, teacher.teacher)).size.bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    tokenizer = load_tokenizer(os.environ["HSKD_MINILM"])
    rows = []
    with tempfile.TemporaryDirectory() as place:
        teacher = BertBase(Path(place))
        for task, longest in LENGTHS.items():
            whole = tokenize(Glue(task, os.environ["GLUE_ROOT"]).load().train, tokenizer, longest)
            rows += measure(task, whole, limit(whole, given.examples), teacher, Path(place))
    report("store_size", rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
