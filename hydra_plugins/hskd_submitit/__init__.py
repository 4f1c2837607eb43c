"""Where Hydra looks for launchers: submitit's two, whose jobs run a cell in each of their tasks.

submitit starts the same call in every task of a job. Here the call has a cell for each; a cell that itself runs on
several devices has all the tasks. See conf/launch/submitit_slurm.yaml.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

POLL = 1.0
"""Seconds between two looks at whether the other tasks have ended."""
RANKS = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE")
"""By which Lightning takes a job's tasks for the ranks of one training."""

with contextlib.suppress(ImportError):  # the extra `slurm` is not installed, and so nobody asks for these
    import submitit
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

    class _CellATask(BaseSubmititLauncher):
        """A launcher whose `launch` packs cells into jobs, and whose call in a task unpacks that task's own."""

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            size = cells_a_job(self.config, self.params)
            cells = [json.dumps(list(overrides)) for overrides in job_overrides]
            return super().launch([cells[at : at + size] for at in range(0, len(cells), size)], initial_job_idx)

        def __call__(self, sweep_overrides: list[str], *arguments: Any) -> JobReturn:
            if cells_a_job(self.config, self.params) == 1:
                return super().__call__(json.loads(sweep_overrides[0]), *arguments)
            environment = submitit.JobEnvironment()
            rank, tasks = environment.global_rank, environment.num_tasks
            for name in RANKS:
                os.environ.pop(name, None)
            own = sweep_overrides[rank : rank + 1]  # none, where the last job has fewer cells than tasks
            result = super().__call__(json.loads(own[0]), *arguments) if own else JobReturn()
            if rank == 0:
                _outlast(environment, tasks)
            return result

    class LocalLauncher(_CellATask):
        """On this machine."""

        _EXECUTOR = "local"

    class SlurmLauncher(_CellATask):
        """On SLURM."""

        _EXECUTOR = "slurm"


def cells_a_job(config: DictConfig, params: dict[str, Any]) -> int:
    """As many as a job has tasks, if each cell is content with one."""
    alone = config.trainer.devices in (1, "1") and OmegaConf.select(config, "trainer.num_nodes", default=1) == 1
    return params["tasks_per_node"] * params["nodes"] if alone else 1


def _outlast(environment: Any, tasks: int) -> None:
    """Wait for the other tasks: a job that is out of time is put back into the queue by its first one alone."""
    folder, job = os.environ["SUBMITIT_FOLDER"], environment.job_id
    ends = [submitit.core.utils.JobPaths(folder, job, task).result_pickle for task in range(1, tasks)]
    while not all(end.exists() for end in ends):
        time.sleep(POLL)
