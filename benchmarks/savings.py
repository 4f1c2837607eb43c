"""What each saving of a step is worth: the step with all of them, and with all but one, taking turns.

rows: rows that nobody reads are not computed, nor blocks above what is read; vocabulary: the word embedding has the
rows that the texts name alone, 6,000 of 30,522 as in CoLA; one pass: clip and AdamW go over the parameters together;
one map: the learned map and PCA's directions are multiplied first; neighbours: on a CPU short examples share a call of
attention.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.anatomy import cases
from benchmarks.measure import report, taking_turns
from benchmarks.steps import TEACHER, ByHand, Stage
from hskd_lightning.compress.width.codes import Projection
from hskd_lightning.models import partial
from hskd_lightning.training.optim import decayed

CLIP = 1.0


class TwoPasses(ByHand):
    """A step that first scales all gradients, and then has torch's own AdamW read them again."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.optimizer = torch.optim.AdamW(decayed(self.module), lr=5e-5, fused=True)

    def update(self) -> None:
        nn.utils.clip_grad_norm_([one for group in self.optimizer.param_groups for one in group["params"]], CLIP)
        super().update()


class WholeVocabulary(ByHand):
    """A step of a student with its whole table of words."""

    compact = False


@contextmanager
def every_row() -> Iterator[None]:
    """Models run as transformers has them."""
    with patch.object(partial, "knows", lambda model: False):
        yield


@contextmanager
def two_maps() -> Iterator[None]:
    """The learned map makes states as wide as the teacher's, PCA's directions make them narrow."""
    with patch.object(Projection, "joined", lambda *_: None):
        yield


@contextmanager
def each_alone() -> Iterator[None]:
    """Every example has a call of attention of its own."""
    with patch.object(partial, "TOGETHER", 0):
        yield


WITHOUT: dict[str, tuple[type[ByHand], Callable[[], AbstractContextManager[None]]]] = {
    "all": (ByHand, nullcontext),
    "rows": (ByHand, every_row),
    "vocabulary": (WholeVocabulary, nullcontext),
    "one pass": (TwoPasses, nullcontext),
    "one map": (ByHand, two_maps),
    "neighbours": (ByHand, each_alone),
}


def compare(stage: Stage, rounds: int) -> dict[str, float]:
    """Milliseconds of the step with every saving, and what the step without one takes of it."""

    def stepper(made: type[ByHand], around: Callable[[], AbstractContextManager[None]]) -> Callable[[], None]:
        step = made(stage)

        def run() -> None:
            with around():
                step()

        return run

    seconds = taking_turns({name: stepper(*way) for name, way in WITHOUT.items()}, rounds, warm_up=2)
    best = seconds.pop("all")
    return {"ms": 1e3 * best} | {f"without {name}": spent / best for name, spent in seconds.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["ROSITA6", "TinyBERT4", "tiny"])
    parser.add_argument("--tokens", type=int, nargs="+", default=[12, 16, 128])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for tokens in given.tokens:
            for (model, name), stage in cases(tokens, given.batch, 60 * given.batch, Path(place), given.models).items():
                if name != TEACHER:
                    rows.append({"model": model, "stage": name, "tokens": tokens, **compare(stage, given.rounds)})
    report("savings", rows)


if __name__ == "__main__":
    main()
