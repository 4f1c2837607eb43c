"""Where a step's time goes: data, forward, loss, backward, update, what Lightning adds; and the limit.

The limit is the step's multiply-adds over the speed of matrix products of the model's own shapes, measured between the
steps. It is told twice: of a step in which every block computes every row (`whole`), which skipped rows may beat, and
of the multiply-adds that were made (`done`). Parts are timed by hand, one after another; `trainer` is a real Trainer's
step, and `Lightning` what it takes beyond the parts: progress, logging, learning rates, seeding, looking for NaN.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.limit import Products, step_work, work_done
from benchmarks.measure import report
from benchmarks.models import Anyone, pca_setting, sentences, store, student_config, teacher_config, tiny_setting
from benchmarks.steps import PARTS, TEACHER, ByHand, Stage, by_trainer
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.settings.stages import HIDDEN, PREDICTION

MODELS = ("ROSITA6", "TinyBERT4", "tiny")
TEACHERS = {"BERT-base": "BERT-base", "tiny teacher": "tiny"}
COLA = 7_000
"""Word ids are drawn below this number, so that as many are in use as in CoLA: some 6,000 of 30,522."""
LEAST, MOST = 4, 60
"""Steps that a Trainer makes in a row."""


def cases(tokens: int, batch: int, examples: int, root: Path, names: list[str]) -> dict[tuple[str, str], Stage]:
    """(model, stage) -> the stage, on examples of so many tokens."""
    made: dict[tuple[str, str], Stage] = {}
    for name in [name for name in MODELS if name in names]:
        tiny, config = name == "tiny", student_config(name)
        setting = (tiny_setting if tiny else pca_setting)(config.num_hidden_layers)
        width = setting.shape.teacher_width
        split = sentences(examples, tokens, vocabulary=290 if tiny else COLA)
        built = store(setting, split, Anyone(width), root / f"{name}-{tokens}")
        source = StoreSource(built, setting, built.request)
        for stage in (HIDDEN, PREDICTION):
            made[name, stage] = Stage(stage, config, split, source, batch, width)
    for name in [name for name in TEACHERS if name in names]:
        config = teacher_config(TEACHERS[name])
        made[name, TEACHER] = Stage(
            TEACHER, config, sentences(examples, tokens, vocabulary=config.vocab_size), None, batch
        )
    return made


def dissect(stage: Stage, rounds: int, seconds: float, folder: Path) -> dict[str, float]:
    """Milliseconds of each part, of a Trainer's step and of both limits; the three take turns."""
    by_hand = ByHand(stage)
    batch = next(by_hand.batches)
    products = Products(stage.config, batch)
    whole, done = step_work(stage, batch), work_done(by_hand, batch)
    by_hand()
    started = time.perf_counter()
    by_hand()
    step = time.perf_counter() - started
    if step > seconds / 2:
        rounds = 1
    steps = min(MOST, max(LEAST, int(seconds / rounds / step / 2)))
    parts: list[dict[str, float]] = []
    trained: list[float] = []
    for number in range(rounds):
        products.measure()
        parts += [by_hand.parts() for _ in range(max(2, steps - 3))]
        products.measure()
        trained += by_trainer(stage, steps, folder / str(number))
        products.measure()
    medians = {part: 1e3 * statistics.median(row[part] for row in parts) for part in PARTS}
    return medians | _limits(1e3 * _a_step(trained), sum(medians.values()), products.peak, whole, done)


def _a_step(trained: list[float]) -> float:
    """Seconds: on a GPU the host runs ahead and then waits, so that only the mean says how long steps take."""
    return (statistics.mean if torch.cuda.is_available() else statistics.median)(trained)


def _limits(trainer: float, parts: float, peak: float, whole: float, done: float) -> dict[str, float]:
    """The columns behind the parts; `trainer` and `parts` in milliseconds, `peak` in multiply-adds a second."""
    limits = {"whole": 1e3 * whole / peak, "done": 1e3 * done / peak}
    shares = {f"{name}, %": 100 * limit / trainer for name, limit in limits.items()}
    return {"Lightning": trainer - parts, "trainer": trainer, **limits, **shares, "GFLOP/s": 2e-9 * peak}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*MODELS, *TEACHERS], choices=[*MODELS, *TEACHERS])
    parser.add_argument("--stages", nargs="+", default=[TEACHER, HIDDEN, PREDICTION])
    parser.add_argument("--tokens", type=int, nargs="+", default=[12, 16, 128])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20, help="to spend on one row, about")
    parser.add_argument("--name", default="anatomy", help="of the table's file")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for tokens in given.tokens:
            found = cases(tokens, given.batch, MOST * given.batch, Path(place), given.models)
            for number, ((model, name), stage) in enumerate(found.items()):
                if name in given.stages:
                    folder = Path(place) / f"{tokens}-{number}"
                    row = dissect(stage, given.rounds, given.seconds, folder)
                    rows.append({"model": model, "stage": name, "tokens": tokens, **row})
    report(given.name, rows, title="milliseconds a step")


if __name__ == "__main__":
    main()
