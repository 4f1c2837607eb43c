"""What SLURM, torchrun and Ray gave this process, against what a cell would take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from hskd_lightning import ranks
from hskd_lightning.doctor.finding import Finding, note, ok, red
from hskd_lightning.doctor.network import within
from hskd_lightning.doctor.processor import own_cores
from hskd_lightning.runs import routes
from hskd_lightning.settings.groups import TrainerSettings

JOB, GPUS, CPUS = "SLURM_JOB_ID", "SLURM_GPUS_ON_NODE", "SLURM_CPUS_PER_TASK"
CORES = "srun --cpus-per-task={0}, or SRUN_CPUS_PER_TASK={0}: srun does not take it over from sbatch"
RAY_PORT = 6379
BY_ITSELF = ("auto", "local")
"""Values of RAY_ADDRESS that name no machine."""


def processes(trainer: TrainerSettings) -> Iterator[Finding]:
    """Whether the processes of a cell are there, and its devices.

    Raises:
        ConfigError: they are not, as a cell would say it.
    """
    from hskd_lightning.runs.device import check_devices

    check_devices(trainer)
    launched = ranks.launched()
    if launched is None:
        yield ok(f"{trainer.ranks} of a cell on {trainer.device.type}, and no launcher")
    elif trainer.ranks == 1:
        said = f"{launched.size} by {launched.by}, where a cell takes one: they share out a store's shards"
        yield note(said, f"trainer.devices={launched.size} makes them one cell's")
    else:
        yield ok(f"{launched.size} by {launched.by}, as many as the cell's")


def slurm(threads: int | None) -> Iterator[Finding]:
    """Whether what SLURM says was allocated is what this process finds.

    Args:
        threads: the key of that name.
    """
    if JOB not in os.environ:
        yield ok(f"none: {JOB} is not set")
        return
    found = [*_slurm_gpus(), *_slurm_cores(threads)]
    yield from found or [ok(f"job {os.environ[JOB]}: its GPUs and cores are there")]


def _slurm_gpus() -> Iterator[Finding]:
    import torch

    said = os.environ.get(GPUS)
    if said is None:
        return
    given, found = int(said.rpartition(":")[2]), torch.cuda.device_count()  # 4, or gpu:a100:4
    if found == 0 < given:
        yield red(f"{GPUS}={said}, and torch finds none: cells would run on the CPU", "see the lines of GPUs above")
    elif found < given:
        why = "each task has to see all GPUs of its node: --gpus-per-node, not --gpus-per-task"
        yield note(f"{GPUS}={said}, and torch finds {found}", why)
    elif found > given:
        yield note(
            f"{GPUS}={said}, and torch finds {found}: others' too", "ask SLURM by --gpus-per-node, and start by srun"
        )


def _slurm_cores(threads: int | None) -> Iterator[Finding]:
    import torch

    if CPUS not in os.environ:
        return
    given, mine, count = int(os.environ[CPUS]), own_cores(), threads or torch.get_num_threads()
    if mine < given:
        yield note(f"{CPUS}={given}, and this process may use {mine}", CORES.format(given))
    if count > given:
        yield note(f"{CPUS}={given}, and a cell has {count} threads", f"write threads={given}")


def ray() -> Iterator[Finding]:
    """Whether anybody is at RAY_ADDRESS, which launch=ray_cluster joins."""
    address = os.environ.get("RAY_ADDRESS", "")
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if not address or address in BY_ITSELF:
        yield ok("RAY_ADDRESS names no machine: launch=ray starts Ray here")
    elif _listens(place.hostname or "", place.port or RAY_PORT):
        yield ok(f"RAY_ADDRESS={address} takes connections")
    else:
        remedy = "ray start --head there, or unset RAY_ADDRESS; the other launchers need none"
        yield note(f"RAY_ADDRESS={address} takes no connections: launch=ray_cluster would fail", remedy)


def _listens(host: str, port: int) -> bool:
    try:
        return within(routes.PATIENCE, lambda: routes.connects(host, port))
    except TimeoutError:
        return False
