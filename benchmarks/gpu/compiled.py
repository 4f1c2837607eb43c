"""Part `compile`: a step whose student is compiled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from benchmarks.gpu.setup import Row, Setup, attempt
from benchmarks.gpu.stages import milliseconds
from benchmarks.steps import ByHand, Stage, synchronize
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import HIDDEN

WAYS = (("whole", "default"), ("blocks", "default"), ("whole", "reduce-overhead"), ("blocks", "reduce-overhead"))
"""What is compiled, and in which mode."""
WARM_UP = 3


def on_one_batch(step: ByHand) -> Callable[[], None]:
    """Forward, loss, backward and update on one batch that is on the device already."""
    batch = next(step.batches).to(step.module.device)

    def run() -> None:
        step.loss(batch).backward()
        step.update()

    return run


def compiled(setup: Setup) -> Iterator[Row]:
    """The hidden stage's shortest step, its student compiled whole or block by block."""
    student, tokens = setup.students[-1], setup.tokens[0]
    stage = setup.stage(student, HIDDEN, tokens)
    eager = on_one_batch(ByHand(stage))
    for what, mode in WAYS[1:2] if setup.smoke else WAYS:
        case: Row = {"student": student, "stage": HIDDEN, "tokens": tokens, "compiled": what, "mode": mode}
        yield case | attempt(f"{what}, {mode}", partial(_compile, setup, stage, eager, what, mode))
        torch._dynamo.reset()


def _compile(setup: Setup, stage: Stage, eager: Callable[[], None], what: str, mode: str) -> Row:
    step = ByHand(stage)
    model = step.module.model
    for part in [model.base_model] if what == "whole" else encoder.blocks(model):
        part.compile(mode=mode, backend="eager" if setup.smoke else "inductor")
    run = on_one_batch(step)
    started = time.perf_counter()
    for _ in range(WARM_UP):
        run()
    synchronize()
    first = time.perf_counter() - started
    spent = milliseconds(setup, {"eager": eager, "compiled": run})
    speeds = {f"{way}, ms": took for way, took in spent.items()}
    return {"first steps, s": first, **speeds, "times faster": spent["eager"] / spent["compiled"]}
