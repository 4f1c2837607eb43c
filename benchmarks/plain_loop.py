"""Our hidden stage against a plain loop that costs what the released code's costs: examples a second on CoLA's lengths.

The loop pads every batch to the task's longest length, runs a teacher of BERT-base's shape with its dropout on beside
the student, both with eager attention and every hidden state and attention matrix kept, distils all layers and all
positions, and updates the full embedding table by an Adam that walks over the parameters one by one, each clipped by
its own norm. Ours is `fit_stage` on a store of one layer, ten tokens and 77 components: loader, Trainer and all.

CoLA is read where GLUE_ROOT and HSKD_MINILM say (its folder of TSV files; a folder with BERT's uncased vocabulary).
Otherwise examples are drawn with CoLA's lengths, and words as unevenly as language has them.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedConfig

from benchmarks.limit import Products, step_work
from benchmarks.measure import report
from benchmarks.models import Anyone, device, pca_setting, split_of, store, student_config
from benchmarks.steps import Stage, by_trainer, synchronize
from hskd_lightning.data.glue import Glue
from hskd_lightning.data.loader import collate
from hskd_lightning.data.split import limit
from hskd_lightning.data.tokens import TokenSplit, tokenize
from hskd_lightning.data.vocabulary import load_tokenizer
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.settings.stages import HIDDEN

LONGEST = 64
"""CoLA's max length in the paper."""
LENGTHS = (
    *(
        0,
        0,
        0,
        0,
        7,
        129,
        310,
        649,
        979,
        1154,
        1129,
        916,
        797,
        574,
        452,
        334,
        235,
        182,
        145,
        125,
        96,
        66,
        67,
        66,
        41,
        26,
    ),
    *(21, 17, 6, 8, 6, 1, 8, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1),
)
"""How many of CoLA's 8,551 training sentences have so many tokens, [CLS] and [SEP] included: 11.3 on average."""
WORDS = 5600
"""Of BERT's word pieces that they use."""
PLAIN_STEPS = 4
"""Of the loop, before each epoch of ours: about as long."""
GOALS = {"ROSITA6": 27, "TinyBERT4": 44}


def cola(examples: int) -> tuple[TokenSplit, str]:
    """So many of CoLA's training sentences, or made-up ones of their lengths; and which of the two."""
    root, vocabulary = os.environ.get("GLUE_ROOT"), os.environ.get("HSKD_MINILM")
    if root and vocabulary:
        whole = tokenize(Glue("cola", root).load().train, load_tokenizer(vocabulary), LONGEST)
        return limit(whole, examples), "CoLA"
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor(LENGTHS).float().multinomial(examples, replacement=True, generator=generator)
    often = 1 / torch.arange(1, WORDS + 1)  # Zipf's law
    words = 1000 + often.multinomial(int(lengths.sum()), replacement=True, generator=generator)
    return split_of(words.int(), lengths), "CoLA's lengths"


class PlainLoop:
    """The hidden stage as a loop around two Hugging Face models."""

    def __init__(self, config: PreTrainedConfig, split: TokenSplit, batch: int, teacher: PreTrainedConfig) -> None:
        build = AutoModelForSequenceClassification.from_config
        self.teacher = build(teacher, attn_implementation="eager").to(device()).train()  # its dropout is live
        self.student = build(config, attn_implementation="eager").to(device()).train()
        wide, narrow = teacher.hidden_size, config.hidden_size
        self.widen = (nn.Identity() if wide == narrow else nn.Linear(narrow, wide)).to(device())
        ratio = teacher.num_hidden_layers / config.num_hidden_layers
        self.layers = [round(number * ratio) for number in range(config.num_hidden_layers + 1)]
        self.parameters = [*self.student.parameters(), *self.widen.parameters()]
        self.adam = torch.optim.AdamW(self.parameters, lr=5e-5, foreach=False, fused=False)
        self.batches = self._batches(split, batch)

    def __call__(self) -> None:
        """One step."""
        inputs = next(self.batches)
        with torch.no_grad():
            taught = self._states(self.teacher, inputs)
        learned = self._states(self.student, inputs)
        losses = [
            F.mse_loss(self.widen(state), taught[layer]) for state, layer in zip(learned, self.layers, strict=True)
        ]
        torch.stack(losses).sum().backward()
        for parameter in self.parameters:
            nn.utils.clip_grad_norm_(parameter, 1.0)
        self.adam.step()
        self.adam.zero_grad()

    def _states(self, model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        states: tuple[Tensor, ...] = model(**inputs, output_hidden_states=True, output_attentions=True).hidden_states
        return states

    def _batches(self, split: TokenSplit, batch: int) -> Iterator[dict[str, Tensor]]:
        while True:
            for rows in torch.randperm(len(split)).split(batch):
                made: TokenBatch = collate(split, rows, pad_id=0, pad_to=LONGEST).to(device())
                yield {"input_ids": made.input_ids, "attention_mask": made.attention_mask}


def compare(name: str, examples: int, batch: int, rounds: int, teacher: PreTrainedConfig, root: Path) -> dict[str, Any]:
    """Examples a second of both, taking turns: some steps of the loop, an epoch of ours."""
    config = student_config(name)
    split, text = cola(examples)
    setting = pca_setting(config.num_hidden_layers)
    source = StoreSource(built := store(setting, split, Anyone(), root / name), setting, built.request)
    ours = Stage(HIDDEN, config, split, source, batch)
    loop = PlainLoop(config, split, batch, teacher)
    loop()
    work = [step_work(ours, token_batch) for token_batch in ours.loader()]
    products = Products(
        config, collate(split, torch.arange(batch), pad_id=0, pad_to=round(float(split.lengths.float().mean())))
    )
    plain: list[float] = []
    steps: list[float] = []
    for number in range(rounds):
        products.measure()
        plain += [_seconds(loop) for _ in range(PLAIN_STEPS)]
        products.measure()
        steps += by_trainer(ours, len(work), root / f"{name}-{number}")
        products.measure()
    step, least = statistics.mean(steps), statistics.mean(work) / products.peak
    speeds = {"plain": batch / statistics.mean(plain), "ours": batch / step}
    return {
        "student": name,
        "text": text,
        "plain, examples/s": speeds["plain"],
        "ours, examples/s": speeds["ours"],
        "times": speeds["ours"] / speeds["plain"],
        "goal": GOALS[name],
        "ours, ms a step": 1e3 * step,
        "limit of all rows, ms": 1e3 * least,
        "share, %": 100 * least / step,
    }


def _seconds(step: Callable[[], None]) -> float:
    synchronize()
    started = time.perf_counter()
    step()
    synchronize()
    return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=list(GOALS), choices=list(GOALS))
    parser.add_argument("--examples", type=int, default=1600, help="1600 are one window of the loader's buckets")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--smoke", action="store_true", help="a tiny teacher and few examples: does it run?")
    parser.add_argument("--name", default="plain_loop", help="of the table's file")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    teacher = BertConfig()
    if given.smoke:
        given.examples, given.batch, given.rounds, teacher.num_hidden_layers = 24, 4, 1, 1
    with tempfile.TemporaryDirectory() as place:
        rows = [
            compare(name, given.examples, given.batch, given.rounds, teacher, Path(place)) for name in given.students
        ]
    report(given.name, rows)


if __name__ == "__main__":
    main()
