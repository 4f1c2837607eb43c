"""A training step with the whole word embedding, and with the rows that the texts name: 6,000 of 30,522, as in CoLA.

The loss is that of labels: what is saved, the gradient of rows that nobody reads and what clip and AdamW do to them, is
the same in every stage.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import report, taking_turns
from benchmarks.models import STUDENTS, TASK, device, sentences, student_config
from hskd_lightning.data.loader import Collate, collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.training.module import FineTuner, plain_config
from hskd_lightning.training.vocabulary import keep_rows_in_use

WORDS = 6000
SETTINGS = {"epochs": 1.0, "lr": 5e-5, "dropout": False}


def texts(tokens: int, batch: int) -> TokenSplit:
    """So many batches that they name each of the first 6,000 words, more or less."""
    split = sentences(8 * WORDS // tokens // batch * batch, tokens)
    split.input_ids.remainder_(WORDS)
    return split


def stepper(student: str, split: TokenSplit, batches: list[TokenBatch], in_use: bool) -> Callable[[], None]:
    """One optimiser step of a student."""
    config, task = plain_config(student_config(student)), dataclasses.asdict(TASK)
    module = FineTuner("prediction", config, task, SETTINGS, total_steps=1000, seed=0)
    rows = keep_rows_in_use(module.model, [Collate(split, 0)]) if in_use else None
    module.to(device()).on_fit_start()
    optimizer = module.configure_optimizers()
    if rows is not None:
        rows.follow(optimizer)
    turn = iter(batches * 1000)

    def step() -> None:
        module.loss(next(turn)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def compare(student: str, tokens: int, batch: int, rounds: int) -> dict[str, Any]:
    """A row of the table."""
    split = texts(tokens, batch)
    batches = [collate(split, rows, pad_id=0).to(device()) for rows in torch.arange(8 * batch).split(batch)]
    ways = {"whole": False, "in use": True}
    seconds = taking_turns({way: stepper(student, split, batches, value) for way, value in ways.items()}, rounds)
    named = {"student": student, "tokens": tokens, "rows": len(split.input_ids.unique())}
    return named | {f"{way}, ms": 1e3 * seconds[way] for way in ways} | {"ratio": seconds["in use"] / seconds["whole"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[12, 16, 128])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.manual_seed(0)
    cases = [(student, tokens) for student in STUDENTS for tokens in given.tokens]
    report("vocabulary", [compare(student, tokens, given.batch, given.rounds) for student, tokens in cases])


if __name__ == "__main__":
    main()
