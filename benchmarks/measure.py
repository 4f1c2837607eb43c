"""How a ratio is measured: the candidates take turns, the median of each counts."""

from __future__ import annotations

import functools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"


def taking_turns(candidates: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each candidate; a machine that slows down slows them all."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def report(name: str, rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print the rows as a table and keep them as JSON, with what they were measured on."""
    show(name, rows, title)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine(), "rows": list(rows)}, indent=2) + "\n")


def show(name: str, rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print the rows as a table."""
    table = Table(*rows[0], title=f"{name}: {title}" if title else name, title_justify="left")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=180).print(table)


def machine() -> dict[str, Any]:
    """What decides absolute times."""
    return {
        "processor": processor(),
        "vector unit": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "matmul GFLOP/s": round(matmul_speed("cpu", 1024), 1),
        **_gpu(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """Its model, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


@functools.cache
def matmul_speed(device: str, side: int) -> float:
    """GFLOP/s of a square float32 product, the best of nine."""
    matrix, seconds = torch.randn(side, side, device=device), []
    for _ in range(9):
        started = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # which waits for the device
        seconds.append(time.perf_counter() - started)
    return 2e-9 * side**3 / min(seconds)


def _gpu() -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {"gpu": None}
    return {"gpu": torch.cuda.get_device_name(), "gpu matmul GFLOP/s": round(matmul_speed("cuda", 8192))}
