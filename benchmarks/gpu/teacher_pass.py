"""Part `store`: tokens a second of the teacher's pass, alone and with what a store keeps of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu.setup import Row, Setup, attempt
from benchmarks.measure import taking_turns
from benchmarks.models import HALF, contents_of, device, pca_setting, sentences, tiny_setting
from benchmarks.models import plan as hsk_plan
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.depth.all import AllLayers
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.width.all import AllUnits
from hskd_lightning.data.loader import collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.knowledge.writer import BATCH, Writer


def settings(smoke: bool) -> dict[str, HskPlan]:
    """What is kept."""
    everything = (AllLayers(), AllTokens(), AllUnits())
    if smoke:
        return {"full HSK": HskPlan.resolve(Shape(4, 128, 2), *everything, bits=HALF), "1 layer": tiny_setting(2)}
    return {"full HSK of 7 states": hsk_plan(6, *everything), "1 layer x 10 tokens x PCA-77": pca_setting(6)}


def teacher_pass(setup: Setup) -> Iterator[Row]:
    """Batches of 64 x 128, a pass over all of them: enough for a start, which hashes the teacher, not to count."""
    tokens = 8 if setup.smoke else 128
    for kept, plan in settings(setup.smoke).items():
        batches = 1 if setup.smoke else 16 if len(plan.layer_map) > 1 else 96
        split = sentences(batches * BATCH, tokens, vocabulary=290 if setup.smoke else 30_000)
        yield {"kept": kept, **attempt(kept, partial(_pass, setup, split, plan))}


def _pass(setup: Setup, split: TokenSplit, kept: HskPlan) -> Row:
    contents = contents_of(kept, split, setup.teacher)

    def teach() -> None:
        for rows in torch.arange(len(split)).split(BATCH):
            setup.teacher.logits(collate(split, rows, pad_id=0).to(device()))

    with tempfile.TemporaryDirectory(dir=setup.root) as place:
        folder = Path(place) / "store"

        def write() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            writer = Writer(folder, contents)
            writer.write(writer.missing())

        spent = taking_turns({"teacher": teach, "store": write}, setup.rounds)
        size = sum(path.stat().st_size for path in folder.iterdir())
    tokens = int(split.lengths.sum())
    speeds = {f"{way}, tokens/s": round(tokens / took) for way, took in spent.items()}
    a_batch = 1e3 * (spent["store"] - spent["teacher"]) / (len(split) / BATCH)
    return {
        **speeds,
        "times the teacher alone": spent["store"] / spent["teacher"],
        "added, ms a batch": a_batch,
        "MB/s": 1e-6 * size / spent["store"],
    }
