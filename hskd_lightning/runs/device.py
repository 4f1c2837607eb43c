"""What a cell may use of the machine it shares with others: so many threads, one GPU."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from hskd_lightning import ranks
from hskd_lightning.artifacts import make_writable
from hskd_lightning.config import in_multirun
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.precision import check_precision
from hskd_lightning.settings.groups import TrainerSettings

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"


def check_devices(trainer: TrainerSettings) -> None:
    """A cell's devices must be there and have what `trainer.precision` asks for, and so must its processes be there,
    where they are not started here.

    Raises:
        ConfigError: in under a second, rather than processes that wait for others which never come.
    """
    if trainer.accelerator in ("gpu", "cuda") and torch.cuda.device_count() == 0:
        allowed = "auto or cpu: this machine has no GPU that torch can use"
        raise ConfigError("trainer.accelerator", trainer.accelerator, allowed, "choose trainer=auto or trainer=cpu")
    _check_number(trainer)
    check_precision(trainer.precision, trainer.device)
    launched = ranks.launched()
    if launched is not None and launched.size != trainer.ranks and not (launched.by == "srun" and trainer.ranks == 1):
        allowed = (
            f"as many on all {trainer.num_nodes} machine(s) as the {launched.size} processes that {launched.by} started"
        )
        remedy = "set trainer.devices to the processes of a machine, and trainer.num_nodes to the machines"
        raise ConfigError("trainer.devices", trainer.devices, allowed, remedy)
    if launched is None and trainer.ranks > 1:
        _check_starting(trainer)


def _check_number(trainer: TrainerSettings) -> None:
    """Refuse what is no number of devices, or more GPUs than there are."""
    devices = trainer.devices
    known = devices in ("auto", -1, "-1") or isinstance(devices, list) or str(devices).isdecimal()
    if not known or trainer.ranks_per_node < 1:
        raise ConfigError(
            "trainer.devices", devices, "a number from 1, -1 for all, or a list: [0, 2]", "set trainer.devices=1"
        )
    there = torch.cuda.device_count()
    if trainer.device.type == "cuda" and trainer.ranks_per_node > there:
        raise ConfigError(
            "trainer.devices", devices, f"at most {there}: the GPUs of this machine", "set trainer.devices=-1"
        )


def _check_starting(trainer: TrainerSettings) -> None:
    """Refuse to start processes where a sweep would do so for each cell, or where nobody starts the other machines'."""
    if in_multirun():
        allowed = "1 in a sweep: one cell, one device, unless its launcher starts a cell's processes"
        remedy = "set trainer.devices=1, and run several cells at once; or take launch=submitit_slurm with"
        remedy += (
            f" hydra.launcher.tasks_per_node={trainer.ranks_per_node} and hydra.launcher.nodes={trainer.num_nodes}"
        )
        raise ConfigError("trainer.devices", trainer.devices, allowed, remedy)
    if trainer.num_nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"} <= os.environ.keys():
        remedy = (
            "start it by torchrun or srun on each; or set MASTER_ADDR, MASTER_PORT and NODE_RANK, and start it there"
        )
        raise ConfigError("trainer.num_nodes", trainer.num_nodes, "1, where nothing says which machine this is", remedy)


def settle(threads: int | None, runs: Path) -> None:
    """Take the threads that were given; in a sweep on a machine with several GPUs, take one of them.

    Where a cluster has already given this process its GPU, that one it is.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if in_multirun() and ranks.launched() is None and VISIBLE not in os.environ and torch.cuda.device_count() > 1:
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
