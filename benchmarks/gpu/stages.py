"""Parts `speed`, `host` and `precision`: what a step of a stage takes."""

from __future__ import annotations

import statistics
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.setup import Row, Setup
from benchmarks.measure import taking_turns
from benchmarks.offline_speedup import limit
from benchmarks.steps import ByHand, Stage, by_trainer, synchronize

WARNED = "synchronizing CUDA operation"
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def repeated(step: Callable[[], object], times: int) -> Callable[[], None]:
    """So many steps in a row, between which nobody waits for the device."""

    def run() -> None:
        for _ in range(times):
            step()

    return run


def milliseconds(setup: Setup, steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Of one step of each, taking turns."""
    rows = {name: repeated(step, setup.repeat) for name, step in steps.items()}
    return {name: 1e3 * spent / setup.repeat for name, spent in taking_turns(rows, setup.rounds).items()}


def trainer_milliseconds(setup: Setup, stage: Stage, **settings: object) -> float:
    """Of a step of a real Trainer."""
    with tempfile.TemporaryDirectory(dir=setup.root) as folder:
        return 1e3 * statistics.mean(by_trainer(stage, 6 * setup.repeat, Path(folder), **settings))  # type: ignore[arg-type]


def speed(setup: Setup) -> list[Row]:
    """Online and offline, by hand and by the Trainer."""

    def measure(student: str, name: str, tokens: int) -> Row:
        online, offline = (setup.stage(student, name, tokens, online) for online in (True, False))
        spent = milliseconds(setup, {"online": ByHand(online), "offline": ByHand(offline)})
        trained = {
            f"{how}, Trainer": trainer_milliseconds(setup, stage)
            for how, stage in (("online", online), ("offline", offline))
        }
        row: Row = {f"{how}, ms": took for how, took in {**spent, **trained}.items()}
        row["times faster"] = trained["online, Trainer"] / trained["offline, Trainer"]
        if not setup.smoke:
            row["limit"] = limit(offline.config, tokens)
        return row

    return setup.each(measure)


def host(setup: Setup) -> list[Row]:
    """What the host does in a step, what the device does, and how often one waits for the other."""

    def measure(student: str, name: str, tokens: int) -> Row:
        stage = setup.stage(student, name, tokens)
        step = ByHand(stage)
        row = {
            "Trainer, ms": trainer_milliseconds(setup, stage),
            "by hand, ms": milliseconds(setup, {"step": step})["step"],
            **device_work(step, setup.repeat),
        }
        return {**row, **waits(setup, stage)}

    return setup.each(measure)


def device_work(step: Callable[[], object], steps: int) -> Row:
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
        "waits by hand": (sum(event.name in WAITS for event in events) - 1) / steps,
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
            counts = by_trainer(stage, 4 * setup.repeat, Path(folder), count)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        places = Counter(_place(warning) for warning in caught if WARNED in str(warning.message))
    for place, times in places.most_common(8):
        print(f"        {times / (4 * setup.repeat):.2f} waits a step at {place}", flush=True)
    return {"waits, Trainer": statistics.median(counts)}


def _place(warning: warnings.WarningMessage) -> str:
    return f"{'/'.join(Path(warning.filename).parts[-3:])}:{warning.lineno}"


def precision(setup: Setup) -> list[Row]:
    """A step by hand in float32, with TF32 products, and in bfloat16."""

    def measure(student: str, name: str, tokens: int) -> Row:
        stage = setup.stage(student, name, tokens)
        plain, half = ByHand(stage), ByHand(stage, autocast=True)
        steps = {
            "float32": in_precision("highest", plain),
            "TF32": in_precision("high", plain),
            "bf16-mixed": in_precision("highest", half),
        }
        return {f"{way}, ms": spent for way, spent in milliseconds(setup, steps).items()}

    try:
        return setup.each(measure)
    finally:
        torch.set_float32_matmul_precision("highest")


def in_precision(products: str, step: Callable[[], object]) -> Callable[[], object]:
    """The step, with float32 matrix products made so."""

    def run() -> object:
        torch.set_float32_matmul_precision(products)
        return step()

    return run
