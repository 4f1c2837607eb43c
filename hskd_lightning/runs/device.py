"""What a cell may use of the machine it shares with others: so many threads, one GPU."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from hskd_lightning.artifacts import make_writable
from hskd_lightning.config import in_multirun

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"


def settle(threads: int | None, runs: Path) -> None:
    """Take the threads that were given; in a sweep on a machine with several GPUs, take one of them.

    Where a cluster has already given this process its GPU, that one it is.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if in_multirun() and VISIBLE not in os.environ and torch.cuda.device_count() > 1:
        os.environ[VISIBLE] = str(claim(runs, torch.cuda.device_count()))


@functools.cache
def claim(runs: Path, available: int) -> int:
    """The first GPU that no other cell on this machine has: held until this process ends, dead or alive.

    With more processes than GPUs the last ones share the last.
    """
    make_writable(runs)
    for number in range(available):
        try:
            _LOCKS.append(FileLock(runs / f".gpu-{number}.lock"))
            _LOCKS[-1].acquire(timeout=0)
        except Timeout:
            continue
        log.info("GPU %d of %d", number, available)
        return number
    return available - 1


_LOCKS: list[FileLock] = []
"""Kept for as long as the process lives: a lock that is collected is released."""
