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

from hskd_lightning import ranks
from hskd_lightning.artifacts import hold, is_held, lock_file, make_writable
from hskd_lightning.config import in_multirun
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.precision import check_precision
from hskd_lightning.settings.groups import TrainerSettings

log = logging.getLogger(__name__)
VISIBLE = "CUDA_VISIBLE_DEVICES"
CLAIM = "-claim-"


def check_devices(trainer: TrainerSettings) -> None:
    """A cell's devices must be there and have what `trainer.precision` asks for, and so must its processes be there,
    where they are not started here.

    Raises:
        ConfigError: in under a second, rather than processes that wait for others which never come.
    """
    if trainer.accelerator in ("gpu", "cuda") and torch.cuda.device_count() == 0:
        allowed = "auto or cpu: this machine has no GPU that torch can use"
        raise ConfigError("trainer.accelerator", trainer.accelerator, allowed, "choose trainer=auto or trainer=cpu")
    there = torch.cuda.device_count()
    if trainer.device.type == "cuda" and trainer.ranks_per_node > there:
        allowed = f"at most {there}: the GPUs of this machine"
        raise ConfigError("trainer.devices", trainer.devices, allowed, "set trainer.devices=-1 for all of them")
    check_precision(trainer.precision, trainer.device)
    launched = ranks.launched()
    if launched is not None and not (launched.by == "srun" and trainer.ranks == 1):
        _check_launched(trainer, launched)
    if launched is None and trainer.ranks > 1:
        _check_starting(trainer)


def _check_launched(trainer: TrainerSettings, launched: ranks.Launched) -> None:
    """Refuse processes that are more or fewer than the cell's, or on other machines."""
    if (launched.size, launched.nodes or trainer.num_nodes) != (trainer.ranks, trainer.num_nodes):
        machines = f" on {launched.nodes} machine(s)" if launched.nodes else ""
        allowed = (
            f"as many, times trainer.num_nodes, as the {launched.size} processes that {launched.by} started{machines}"
        )
        remedy = "set trainer.devices to the processes of a machine, and trainer.num_nodes to the machines"
        raise ConfigError("trainer.devices", trainer.devices, allowed, remedy)


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


def settle(threads: int | None, trainer: TrainerSettings) -> None:
    """Take the threads that were given; beside other cells on a machine with several GPUs, take one of them.

    What CUDA_VISIBLE_DEVICES names, by a cluster's hand or the user's, is all there is to choose from.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if trainer.devices == trainer.num_nodes == 1 and _beside_others() and len(gpus := visible_gpus()) > 1:
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
    if device.type == "cuda" and torch.cuda.is_initialized():  # else there is nothing to forget, and no one to ask
        torch.cuda.reset_peak_memory_stats(device)


_LOCKS: list[FileLock] = []
"""Kept for as long as the process lives: a lock that is collected is released."""
