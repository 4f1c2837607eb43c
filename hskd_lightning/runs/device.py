"""What a cell may use of the machine it shares with others: so many threads, one GPU."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import torch
from filelock import FileLock

from hskd_lightning.artifacts import hold, is_held, lock_file, make_writable
from hskd_lightning.config import in_multirun
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.precision import check_precision
from hskd_lightning.settings.groups import TrainerSettings

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
CLAIM = "-claim-"


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


def settle(threads: int | None, trainer: TrainerSettings) -> None:
    """Take the threads that were given; beside other cells on a machine with several GPUs, take one of them.

    What CUDA_VISIBLE_DEVICES names, by a cluster's hand or the user's, is all there is to choose from.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if trainer.devices in (1, "1") and _beside_others() and len(gpus := visible_gpus()) > 1:
        os.environ[VISIBLE] = claim(gpus)


def _beside_others() -> bool:
    """Whether this is a job of `-m`, or of an agent of W&B, which starts each as a run by itself."""
    return in_multirun() or bool(os.environ.get("WANDB_SWEEP_ID"))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them: numbers, or UUIDs."""
    if torch.cuda.device_count() == 0:
        return ()
    named = os.environ.get(VISIBLE)
    return tuple(map(str, range(torch.cuda.device_count())) if named is None else named.replace(" ", "").split(","))


@functools.cache
def claim(gpus: tuple[str, ...]) -> str:
    """The one of these GPUs that fewest of the user's cells on this machine have: until this process ends, or dies."""
    folder = Path(tempfile.gettempdir()) / f"hskd-gpus-{os.getuid()}"  # no other machine's, while runs/ may be shared
    make_writable(folder, "TMPDIR")
    with hold(folder / "claims.lock", "GPUs"):
        gpu = least_claimed(_claims(folder), gpus)
        mine = lock_file(folder / f"{gpu}{CLAIM}{uuid.uuid4().hex}.lock")
        mine.acquire()
    _LOCKS.append(mine)
    log.info("GPU %s of %s", gpu, ",".join(gpus))
    return gpu


def least_claimed(claims: Sequence[str], available: Sequence[str]) -> str:
    """The first of the available GPUs that are named least often among the claims."""
    return min(available, key=claims.count)


def _claims(folder: Path) -> list[str]:
    """The GPU of each living process that claimed one; what dead ones left is removed."""
    claims = []
    for path in folder.glob(f"*{CLAIM}*.lock"):
        if is_held(path):
            claims.append(path.name.partition(CLAIM)[0])
        else:
            path.unlink(missing_ok=True)
    return claims


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
