"""Part `together`: steps a second of several cells that train at once on one device, each in a process of its own."""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

from benchmarks.gpu.setup import Row, Setup, attempt
from benchmarks.steps import by_trainer
from hskd_lightning import console
from hskd_lightning.settings.stages import HIDDEN

AT_ONCE = (1, 2, 4)
WARM = 8
"""Batches until a cell waits for the others: its graph is recorded by then."""
PATIENCE = 120
"""Seconds that a cell waits for the others' start."""
_start: Barrier


def together(setup: Setup) -> Iterator[Row]:
    """The hidden stage of the paper's larger student, or the tiny one; each number at once in processes of its own."""
    student = setup.students[0]
    for tokens in setup.tokens:
        for at_once in AT_ONCE[:2] if setup.smoke else AT_ONCE:
            case: Row = {"student": student, "tokens": tokens, "at once": at_once}
            yield case | attempt(" ".join(map(str, case.values())), partial(_measure, setup, student, tokens, at_once))


def _measure(setup: Setup, student: str, tokens: int, at_once: int) -> Row:
    """Steps that began while all cells were training, a second."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(at_once)
    with (
        tempfile.TemporaryDirectory(dir=setup.root) as folder,
        ProcessPoolExecutor(at_once, context, _waiting_at, (barrier,)) as pool,
    ):
        cell = partial(_cell, setup.smoke, student, tokens)
        begun = list(pool.map(cell, [Path(folder) / str(number) for number in range(at_once)]))
    first, last = max(times[0] for times in begun), min(times[-1] for times in begun)
    steps = sum(sum(first <= moment < last for moment in times) for times in begun)
    return {"steps/s": steps / (last - first)}


def _waiting_at(barrier: Barrier) -> None:
    global _start
    _start = barrier
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    console.quiet()


def _cell(smoke: bool, student: str, tokens: int, folder: Path) -> list[float]:
    """When its steps began, once all cells were there; in between it waits for the device as a cell does."""
    folder.mkdir()
    setup = Setup(folder, smoke)
    begun: list[float] = []
    by_trainer(
        setup.stage(student, HIDDEN, tokens),
        60 if smoke else 600,
        folder / "stage",
        _clock(begun),
        log_every=setup.steps,
    )
    return begun


def _clock(begun: list[float]) -> Callable[[], float]:
    numbers = count()

    def note() -> float:
        number = next(numbers)
        if number == WARM:
            _start.wait(PATIENCE)
        now = time.monotonic()  # the same clock in all processes
        if number > WARM:
            begun.append(now)
        return now

    return note
