"""Parts `speed`, `host` and `precision`: what a step of a stage takes."""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.setup import Row, Setup, attempt
from benchmarks.measure import taking_turns
from benchmarks.offline_speedup import limit
from benchmarks.steps import TEACHER, ByHand, Stage, by_trainer, synchronize

WARNED = "synchronizing CUDA operation"
PRECISIONS = ("32-true", "tf32", "bf16-mixed")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def repeated(step: Callable[[], object], times: int) -> Callable[[], None]:
    """So many steps in a row, between which nobody waits for the device."""

    def run() -> None:
        for _ in range(times):
            step()

    return run


def milliseconds(setup: Setup, steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Of one step of each, taking turns."""
    counts = {name: _count(setup.seconds / setup.rounds, step) for name, step in steps.items()}
    rows = {name: repeated(step, counts[name]) for name, step in steps.items()}
    return {name: 1e3 * spent / counts[name] for name, spent in taking_turns(rows, setup.rounds).items()}


def _count(seconds: float, step: Callable[[], object]) -> int:
    """How many steps take so long, by the second: the first one warms up."""
    for _ in range(2):
        synchronize()
        started = time.perf_counter()
        step()
    synchronize()
    return max(2, round(seconds / (time.perf_counter() - started)))


def trainer_milliseconds(setup: Setup, stage: Stage, **settings: object) -> float:
    """Of a step of a real Trainer past the first ones: from one look at a loss, when the device is done, to another."""
    every = setup.steps
    with tempfile.TemporaryDirectory(dir=setup.root) as folder:
        took = by_trainer(stage, 3 * every + 2, Path(folder), log_every=every, **settings)
    return 1e3 * statistics.mean(took[every - 1 : 3 * every - 1])


def speed(setup: Setup) -> Iterator[Row]:
    """A Trainer's step with the teacher in the loop, with a store, and with a store and its steps replayed."""

    def measure(student: str, name: str, tokens: int) -> Row:
        stage = setup.stage(student, name, tokens)
        online = trainer_milliseconds(setup, setup.stage(student, name, tokens, online=True))
        launched = trainer_milliseconds(setup, stage, graphs=False)
        replayed = trainer_milliseconds(setup, stage)
        row: Row = {"online, ms": online, "offline, launched, ms": launched, "offline, replayed, ms": replayed}
        row |= {"times by graphs": launched / replayed, "times faster": online / replayed}
        return row if setup.smoke else {**row, "limit": limit(stage.config, tokens)}

    return setup.each(measure)


def host(setup: Setup) -> Iterator[Row]:
    """What a step launched kernel by kernel takes, what the device works in it, and how often the host waits for it."""

    def measure(student: str, name: str, tokens: int) -> Row:
        stage = setup.stage(student, name, tokens)
        step = ByHand(stage)
        took = milliseconds(setup, {"step": step})["step"]
        return {"by hand, ms": took, **device_work(step), **waits(setup, stage)}

    return setup.each(measure)


def device_work(step: Callable[[], object], steps: int = 3) -> Row:
    """Of a step: milliseconds of kernels, kernels, copies, and the host's waits for the device."""
    step()
    synchronize()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities) as seen:
        repeated(step, steps)()
        synchronize()
    events = list(seen.events() or ())
    on_device = [
        event
        for event in events
        if event.device_type == torch.autograd.DeviceType.CUDA
        and not (event.is_user_annotation or event.name.startswith("Optimizer."))  # a span of several kernels
    ]
    copies = [event for event in on_device if event.name.startswith("Memcpy")]
    kernels = [event for event in on_device if not event.name.startswith(("Memcpy", "Memset"))]
    return {
        "device, ms": sum(event.time_range.elapsed_us() for event in on_device) / steps / 1e3,
        "kernels": len(kernels) / steps,
        "copies": len(copies) / steps,
        "of them unpinned": sum("Pageable" in event.name for event in copies) / steps,
        "waits by hand": max(0, sum(event.name in WAITS for event in events) - 1) / steps,  # one is ours, at the end
    }


def waits(setup: Setup, stage: Stage) -> Row:
    """How often the host waits for the device in a Trainer's step, and where in the program."""
    if not torch.cuda.is_available():
        return {}
    with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory(dir=setup.root) as folder:
        warnings.simplefilter("always")

        def count() -> float:
            torch.cuda.set_sync_debug_mode("warn")
            return sum(WARNED in str(warning.message) for warning in caught)

        try:
            counts = by_trainer(stage, 2 * setup.steps, Path(folder), count)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        places = Counter(_place(warning) for warning in caught if WARNED in str(warning.message))
    for place, times in places.most_common(8):
        print(f"        {times / (2 * setup.steps):.2f} waits a step at {place}", flush=True)
    return {"waits, Trainer": statistics.median(counts)}


def _place(warning: warnings.WarningMessage) -> str:
    return f"{'/'.join(Path(warning.filename).parts[-3:])}:{warning.lineno}"


def precision(setup: Setup) -> Iterator[Row]:
    """A Trainer's step in each precision, replayed where it can be; the teacher's fine-tuning too."""

    def measure(stage: Stage) -> Row:
        return {f"{way}, ms": trainer_milliseconds(setup, stage, precision=way) for way in PRECISIONS}

    yield from setup.each(lambda *case: measure(setup.stage(*case)))
    for tokens in setup.tokens:
        case: Row = {"student": "", "stage": TEACHER, "tokens": tokens}
        yield case | attempt(f"{TEACHER} {tokens}", partial(measure, setup.fine_tuning(tokens)))
