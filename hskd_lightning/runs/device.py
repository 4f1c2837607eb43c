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
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.precision import check_precision
from hskd_lightning.settings.groups import TrainerSettings

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"


def check_devices(trainer: TrainerSettings) -> None:
    """A cell runs in one process on one device, which must be there and have what `trainer.precision` asks for.

    Under `-m` Lightning would start its child processes by the sweep's own command line; alone, they would wait for the
    cell that their parent holds.

    Raises:
        ConfigError: in under a second, rather than a sweep that starts itself again.
    """
    devices = trainer.devices
    if devices not in (1, "1") and not (isinstance(devices, list) and len(devices) == 1):
        remedy = "set trainer.devices=1; to use several, run several cells at once, each with its own"
        raise ConfigError("trainer.devices", devices, "1: one cell, one device", remedy)
    if trainer.accelerator in ("gpu", "cuda") and torch.cuda.device_count() == 0:
        allowed = "auto or cpu: this machine has no GPU that torch can use"
        raise ConfigError("trainer.accelerator", trainer.accelerator, allowed, "choose trainer=auto or trainer=cpu")
    check_precision(trainer.precision, trainer.device)


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


def gpu_name(device: torch.device) -> str | None:
    """What the GPU is called; None where the device is none."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """The most memory that tensors took of the GPU since `count_gpu_memory`; None where the device is none."""
    return round(torch.cuda.max_memory_allocated(device) / 1e6, 1) if device.type == "cuda" else None


def count_gpu_memory(device: torch.device) -> None:
    """Begin to count anew: a process may run several cells, one after another."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


_LOCKS: list[FileLock] = []
"""Kept for as long as the process lives: a lock that is collected is released."""
