"""Parts `graphs` and `compile`: a step of a fixed shape without the host's work between its kernels."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.gpu.setup import Row, Setup, attempt
from benchmarks.gpu.stages import milliseconds
from benchmarks.steps import ByHand, Stage, synchronize
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import HIDDEN

MODES = ("default", "reduce-overhead")
WARM_UP = 3


def on_one_batch(step: ByHand, capturable: bool = False) -> Callable[[], None]:
    """Forward, loss, backward and update on one batch that is on the device already.

    Args:
        step: of a stage.
        capturable: keep the optimiser's count of steps on the device, as a graph needs it.
    """
    batch = next(step.batches).to(step.module.device)
    if capturable:
        step.optimizer = torch.optim.AdamW(step.module.parameters(), lr=5e-5, fused=True, capturable=True)

    def run() -> None:
        step.loss(batch).backward()
        step.update()

    return run


def graphs(setup: Setup) -> list[Row]:
    """Eager, and replayed from a CUDA graph: the same work on the same batch."""

    def measure(student: str, name: str, tokens: int) -> Row:
        stage = setup.stage(student, name, tokens)
        eager = on_one_batch(ByHand(stage), torch.cuda.is_available())
        replay = capture(on_one_batch(ByHand(stage), torch.cuda.is_available()))
        spent = milliseconds(setup, {"eager": eager, "graph": replay})
        return {**{f"{way}, ms": took for way, took in spent.items()}, "times faster": spent["eager"] / spent["graph"]}

    return setup.each(measure)


def capture(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a graph; where there is no GPU, the step."""
    if not torch.cuda.is_available():
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], None] = graph.replay
    return replay


def compiled(setup: Setup) -> list[Row]:
    """The hidden stage's shortest step, its student compiled whole or block by block."""
    student, tokens = setup.students[-1], setup.tokens[0]
    stage = setup.stage(student, HIDDEN, tokens)
    eager = on_one_batch(ByHand(stage))
    rows = []
    for mode in MODES:
        for what in ("whole", "blocks"):
            case: Row = {"student": student, "stage": HIDDEN, "tokens": tokens, "compiled": what, "mode": mode}
            measured = attempt(
                f"{what}, {mode}", lambda what=what, mode=mode: _compile(setup, stage, eager, what, mode)
            )  # type: ignore[misc]
            rows.append({**case, **measured})
            torch._dynamo.reset()
    return rows


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
