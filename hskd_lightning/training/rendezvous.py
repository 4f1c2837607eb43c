"""How the ranks of a cell find one another: Lightning's Fabric knows torchrun's and SLURM's, the others are started."""

from __future__ import annotations

import atexit
import inspect
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy as FabricDDP
from lightning_fabric.utilities.distributed import _destroy_dist_connection
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from hskd_lightning import ranks
from hskd_lightning.settings.groups import TrainerSettings

LOCAL = ("127.0.0.1", "localhost")
PLACE = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Variables by which a process that is started here knows its place, as Lightning names them."""

_KNOWN = inspect.signature(DistributedDataParallel).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _KNOWN else "broadcast_buffers"
"""What torch calls it to send buffers at every step."""


def start_others(trainer: TrainerSettings, threads: int | None) -> Sequence[subprocess.Popen[bytes]]:
    """Start this machine's other ranks, unless a launcher has. They know their place by their environment."""
    if ranks.launched() is not None or "LOCAL_RANK" in os.environ:
        return ()
    here = LightningEnvironment()
    values = (here.main_address, here.main_port, here.node_rank(), 0, trainer.ranks)
    os.environ.update({name: str(value) for name, value in zip(PLACE, values, strict=True)})
    command = [sys.executable, "-m", "hskd_lightning.follower", dumps([asdict(trainer), threads])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return [
        subprocess.Popen(command, env={**environment, "LOCAL_RANK": str(rank)})
        for rank in range(1, trainer.ranks_per_node)
    ]


def meet(trainer: TrainerSettings, threads: int | None) -> Sequence[Connection]:
    """Rank 0's connections to the others, by rank from 1, once all are there."""
    fabric = join(trainer, threads)
    key, host = secrets.token_bytes(), os.environ["MASTER_ADDR"]
    with Listener((host if host in LOCAL else "", 0), backlog=trainer.ranks, authkey=key) as listener:
        fabric.broadcast((host, listener.address[1], key))  # type: ignore[index]
        came = [listener.accept() for _ in range(1, trainer.ranks)]
    return [connection for _, connection in sorted(((each.recv(), each) for each in came), key=lambda pair: pair[0])]


def greet(trainer: TrainerSettings, threads: int | None) -> Connection:
    """Another rank's connection to rank 0."""
    fabric = join(trainer, threads)
    host, port, key = fabric.broadcast(("", 0, b""))
    connection = Client((host, port), authkey=key)
    connection.send(fabric.global_rank)
    return connection


def join(trainer: TrainerSettings, threads: int | None) -> Fabric:
    """Make this process one of torch.distributed's, on its device and with its threads."""
    fabric = Fabric(
        accelerator=trainer.accelerator,
        devices=_devices(trainer),
        num_nodes=trainer.num_nodes,
        strategy=FabricDDP(cluster_environment=environment()),
    )
    fabric.launch()
    if threads is None and "SLURM_CPUS_PER_TASK" in os.environ:
        threads = int(os.environ["SLURM_CPUS_PER_TASK"])
    if threads is not None:  # otherwise Lightning has divided the machine's cores among its ranks
        torch.set_num_threads(threads)
    return fabric


def leave(well: bool) -> None:
    """Undo `join`, and what `start_others` left in the environment."""
    atexit.unregister(_destroy_dist_connection)  # of Lightning: it would wait for ranks that are gone
    if well:
        torch.distributed.destroy_process_group()
    if ranks.launched() is None:
        for name in PLACE:
            os.environ.pop(name, None)


def environment() -> ClusterEnvironment:
    """What tells a rank its place. SLURM's requeueing is left to whoever submits: a cell resumes by itself."""
    launched = ranks.launched()
    if launched is None:
        return LightningEnvironment()
    if launched.by == "torchrun":
        return TorchElasticEnvironment()
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(launched.size // (launched.nodes or 1)))  # srun -n 8 sets none
    return SLURMEnvironment(auto_requeue=False)


def trainer_options(trainer: TrainerSettings) -> dict[str, Any]:
    """Arguments of a Trainer that trains on all ranks; none where there is one.

    Batches are shared out by us, so no sampler is put in their place; what is selected on is scored whole by each rank.
    """
    if ranks.size() == 1:
        return {}
    buffers: dict[str, Any] = {_BUFFERS: False}  # a model's are constants
    strategy = DDPStrategy(cluster_environment=environment(), **buffers)
    machines = {"devices": _devices(trainer), "num_nodes": trainer.num_nodes}
    return {**machines, "strategy": strategy, "use_distributed_sampler": False}


def _devices(trainer: TrainerSettings) -> Any:
    """As Lightning spells them, for which CPUs have no numbers."""
    return trainer.devices if trainer.device.type == "cuda" else trainer.ranks_per_node


class KeepSignals(Callback):
    """Leaves signals to who had them before Lightning, which answers SIGTERM with a broadcast of its own: it would
    wait for ranks that are busy with another.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        signal.signal(signal.SIGTERM, self.handler)
