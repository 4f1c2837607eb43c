"""Cores, the threads that are to share them, and how fast they multiply."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

from hskd_lightning.doctor.finding import Finding, note, ok

SIDE = 512
"""Rows and columns of the matrices that are multiplied: 0.27 GFLOP a product."""
SECONDS = 0.3
"""About how long they are."""
SLOW = 5.0
"""GFLOP/s a thread below which a processor is not itself: vector units give ten times as much."""


def cores() -> Iterator[Finding]:
    """The cores that this process may use, of those of the machine."""
    mine, all_of_them = own_cores(), os.cpu_count() or 1
    share = "" if mine == all_of_them else f" of {all_of_them}: a container's, a batch system's or an affinity's share"
    yield ok(f"{mine}{share}")


def own_cores(physical: bool = False) -> int:
    """As joblib counts them, which knows of a container's share; `physical`: two threads of one core count once."""
    from joblib import cpu_count  # here, as below: what cannot be imported is that check's finding

    counted: int = cpu_count(only_physical_cores=physical)
    return counted


def threads(asked: int | None) -> Iterator[Finding]:
    """The threads of a cell that runs by itself.

    Args:
        asked: the key `threads`; None: as many as torch takes by itself.
    """
    import torch

    count, mine, least = asked or torch.get_num_threads(), own_cores(), own_cores(physical=True)
    set_by = (
        "" if asked or "OMP_NUM_THREADS" not in os.environ else f", OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"
    )
    said = f"{count} for a cell by itself{set_by}"
    if count > mine:
        yield note(f"{said}: more than the {mine} cores, they wait for one another", f"write threads={mine}")
    elif count < least:
        yield note(
            f"{said}: {least - count} of {least} cores stay idle", f"unset OMP_NUM_THREADS, or write threads={least}"
        )
    else:
        yield ok(said)


def jobs(asked: int | None) -> Iterator[Finding]:
    """The cells of a sweep at a time, and the threads of all of them together.

    Raises:
        ConfigError: HSKD_JOBS is no number of processes.
    """
    from hskd_lightning.study.sweep.at_once import JOBS, asked_jobs

    mine, each, at_once = own_cores(), asked or 1, asked_jobs()
    if at_once is None:
        yield ok(f"{JOBS} is not set: a sweep runs a cell a GPU, or {max(1, mine // each)} at a time")
    elif at_once > 1 and at_once * each > mine:
        said = f"{JOBS}={at_once} cells of {each} threads are {at_once * each} threads on {mine} cores"
        yield note(said, f"unset {JOBS}, or set it to {max(1, mine // each)}; on a GPU several cells share a core well")
    else:
        yield ok(f"{JOBS}={at_once}: {at_once} at a time" if at_once > 1 else f"{JOBS}=1: one by one, all cores each")


def products() -> Iterator[Finding]:
    """What products of float32 matrices come to: the best of some in a fraction of a second."""
    import torch

    speed, count = gflops(), torch.get_num_threads()
    said = f"{speed:,.0f} GFLOP/s in float32 on {count} thread(s)"
    if speed < SLOW * count:
        yield note(
            f"{said}: vector units give ten times as much", "see who else is at work here (top), and the line below"
        )
    else:
        yield ok(said)


def gflops() -> float:
    """The fastest of the products that fit into `SECONDS`, of three at least."""
    import torch

    left, right = torch.ones(SIDE, SIDE), torch.ones(SIDE, SIDE)
    best, count, began = float("inf"), 0, time.perf_counter()
    while count < 3 or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        left @ right
        best, count = min(best, time.perf_counter() - start), count + 1
    return 2 * SIDE**3 / best / 1e9


def units() -> Iterator[Finding]:
    """The library that multiplies, the vector units it may use, and those for bfloat16."""
    import torch

    from hskd_lightning.models.precision import has_bf16_units

    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    vectors = torch.backends.cpu.get_cpu_capability()
    library = blas[1] if blas else "an unknown library"
    if vectors == "DEFAULT":
        yield note(f"{library}, and no vector units that torch uses", "take a processor with AVX2, or NEON")
    else:
        yield ok(f"{library}, {vectors}")
    if has_bf16_units(torch.device("cpu")):
        yield ok("units for bfloat16: trainer.precision=bf16-mixed is to be had without a GPU")
    else:
        yield note("no units for bfloat16 in this processor: without a GPU, trainer.precision=32-true")
