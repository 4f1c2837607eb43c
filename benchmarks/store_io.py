"""Does a store keep up? Waiting for data in a step, the reader against a bare copy and other formats, the writer.

Three tables: `store_wait` (seconds of a step spent on data), `store_read` (rows per second) and `store_write` (what
compressing and writing adds to the teacher's pass).
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from torch import Tensor

from benchmarks.measure import report, taking_turns
from benchmarks.models import (
    Anyone,
    BertBase,
    contents_of,
    device,
    joint_setting,
    pca_setting,
    plan,
    sentences,
    store,
    student_config,
)
from benchmarks.steps import ByHand, Stage
from hskd_lightning.compress.bits.base import BitsStrategy
from hskd_lightning.compress.bits.fp16 import Fp16
from hskd_lightning.compress.bits.fp32 import Fp32
from hskd_lightning.compress.bits.int4 import Int4
from hskd_lightning.compress.bits.planes import Planes
from hskd_lightning.compress.bits.residual import Residual
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.width.all import AllUnits
from hskd_lightning.compress.width.base import WidthStrategy
from hskd_lightning.compress.width.pca import Pca
from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import shuffled
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.knowledge.store import Store
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.knowledge.writer import Contents, Writer
from hskd_lightning.settings.stages import HIDDEN, PREDICTION

BATCH = 32
BITS: dict[str, BitsStrategy] = {
    "fp16": Fp16(), "int4": Int4(), "planes 256": Planes(256), "residual 16": Residual(16)
}  # fmt: skip
WIDTHS: dict[str, WidthStrategy] = {"77 components": Pca(keep=77), "768 units": AllUnits()}


def waiting(root: Path, teacher: BertBase, rounds: int) -> list[dict[str, Any]]:
    """Share of a training step that goes into its data, made in the training process itself: no workers help."""
    student, rows = student_config("TinyBERT4"), []
    blocks = student.num_hidden_layers
    kept = {"1l_10t_0.1h": joint_setting(blocks)} | {
        f"1l_10t_77, {name}": pca_setting(blocks, bits) for name, bits in BITS.items()
    }
    for number, (name, setting) in enumerate(kept.items()):
        for tokens in (12, 128):
            split = sentences(4 * BATCH, tokens)
            built = store(setting, split, teacher.teacher, root / f"wait-{number}-{tokens}")
            source = StoreSource(built, setting, built.request)
            for stage in (HIDDEN, PREDICTION) if number == 0 else (HIDDEN,):
                taught = Stage(stage, student, split, source, BATCH)
                batches = taught.batches()
                seconds = taking_turns({"step": ByHand(taught), "data": lambda it=batches: next(it)}, rounds)
                share = seconds["data"] / seconds["step"]
                rows.append(
                    {"kept": name, "stage": stage, "tokens": tokens, **_named(seconds), "waiting, %": 100 * share}
                )
    return rows


def reading(root: Path, rounds: int, examples: int) -> list[dict[str, Any]]:
    """Rows per second: ours, a bare copy of as many neighbouring bytes of the store, an Arrow file, and `datasets`."""
    split = sentences(examples, 14)
    return [
        {"kept": name, "bits": type(bits).__name__.lower(), **_read(width, bits, split, root, rounds)}
        for name, width in WIDTHS.items()
        for bits in (Fp16(), Fp32())
    ]


def _read(width: WidthStrategy, bits: BitsStrategy, split: TokenSplit, root: Path, rounds: int) -> dict[str, float]:
    setting = plan(4, UniformLayers(keep=4), AllTokens(), width, bits)
    built = store(setting, split, Anyone(), root / "read")
    source = StoreSource(built, setting, built.request)
    batches = itertools.cycle(shuffled(len(split) // BATCH * BATCH, seed=1).split(BATCH))
    readers = {"ours": lambda: source.read_hidden(next(batches)), **_others(built, source, root, batches)}
    seconds = taking_turns(readers, rounds, warm_up=20)
    rows = BATCH * 14 * 4
    speeds = {f"{reader}, rows/s": rows / spent for reader, spent in seconds.items()}
    return {**speeds, "share of a copy": seconds["copy"] / seconds["ours"]}


def _others(
    built: Store, source: StoreSource, root: Path, batches: Iterator[Tensor]
) -> dict[str, Callable[[], object]]:
    """The same content in other hands."""
    every = source.read_hidden(torch.arange(built.facts["examples"]))
    values = every.values.flatten(1).to(built.request.coder.dtype)
    table = pa.table(
        {
            "values": pa.FixedSizeListArray.from_arrays(pa.array(values.flatten().numpy()), values.shape[1]),
            "positions": pa.FixedSizeListArray.from_arrays(
                pa.array(every.tokens.positions.flatten().numpy().astype(np.int16)), every.tokens.positions[0].numel()
            ),
        }
    )
    path = root / "table.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as sink:
        sink.write_table(table)
    mapped = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    hugging = Dataset(mapped).with_format("torch")
    shape = every.values[:BATCH].shape
    stored = [tensor for name, tensor in built._shard(0).items() if name.startswith("values")]
    rows = BATCH * 14
    places = itertools.cycle(range(0, len(stored[0]) - rows, 7919))

    def copy() -> list[Tensor]:
        place = next(places)
        return [tensor[place : place + rows].clone() for tensor in stored]

    def arrow() -> tuple[Tensor, Tensor]:
        taken = mapped.take(pa.array(next(batches).numpy()))
        positions = taken["positions"].combine_chunks().flatten().to_numpy()
        flat = taken["values"].combine_chunks().flatten().to_numpy()
        return torch.from_numpy(flat.astype(np.float32)).view(shape), torch.from_numpy(positions.astype(np.int64))

    return {
        "copy": copy,
        "arrow": arrow,
        "datasets": lambda: hugging[next(batches).tolist()]["values"].view(shape).float(),
    }


def writing(root: Path, teacher: BertBase, rounds: int) -> list[dict[str, Any]]:
    """The teacher's pass as far as a store needs it, alone, and with all kept and written; fits are made before."""
    rows = []
    split = sentences(256, 32)
    settings = {
        "1l_10t_0.1h": joint_setting(6),
        "77 components of 4 layers": plan(6, UniformLayers(keep=4), AllTokens(), Pca(keep=77)),
        "full width of 4 layers": plan(6, UniformLayers(keep=4), AllTokens(), AllUnits()),
        **{f"1l_10t_77, {name}": pca_setting(6, bits) for name, bits in BITS.items()},
    }
    for number, (name, setting) in enumerate(settings.items()):
        contents = contents_of(setting, split, teacher.teacher)
        folder = root / f"write-{number}"
        folder.mkdir()

        def teach(contents: Contents = contents, looks: Any = setting.length.attention) -> None:
            states, ranking = zip(*contents.request.layers, strict=True)
            blocks = tuple(block for block in ranking if block is not None)
            for rows in torch.arange(len(split)).split(64):
                teacher.teacher.everything(collate(split, rows, pad_id=0).to(device()), states, looks, blocks)

        def write(folder: Path = folder, contents: Contents = contents) -> None:
            for shard in folder.glob("shard-*"):
                shard.unlink()
            writer = Writer(folder, contents)
            writer.write(writer.missing())

        write()
        seconds = taking_turns({"teacher": teach, "store": write}, rounds)
        toll = seconds["store"] / seconds["teacher"] - 1
        rows.append({"kept": name, **_named(seconds), "toll, %": 100 * toll})
    return rows


def _named(seconds: dict[str, float]) -> dict[str, float]:
    return {f"{name}, s": spent for name, spent in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=4000)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        teacher = BertBase(root)
        report("store_wait", waiting(root, teacher, 4 * given.rounds))
        report("store_read", reading(root, 40 * given.rounds, given.examples))
        report("store_write", writing(root, teacher, given.rounds))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
