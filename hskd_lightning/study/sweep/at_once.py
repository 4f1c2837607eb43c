"""How many cells of a sweep run at a time where the user does not say: as many as this machine has cores, or GPUs.

One by one, a small cell leaves most cores idle, and all of them wait for every start and end of a cell.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode
from omegaconf import DictConfig

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.sweep.plan import PlannedCell

log = logging.getLogger(__name__)
JOBS = "HSKD_JOBS"
"""The variable that says how many cells to run at a time."""
PARALLEL = "launch=joblib"
SAID = ("launch=", "hydra/launcher=", "hydra.launcher.")
"""How an override begins that says where cells run."""


def cells_at_once(accelerator: str, threads: int | None) -> int:
    """One cell a GPU where cells use GPUs, else as many as have cores enough; `conf/launch/joblib.yaml` asks.

    Args:
        accelerator: of the trainer.
        threads: of a cell; None: all cores.
    """
    cores = _cores()
    return _gpus(accelerator) or max(1, cores // (threads or cores))


def is_launcher(config: DictConfig, name: str) -> bool:
    """Whether a sweep's launcher is of this class. Hydra imports plugins anew: their classes are no longer the same."""
    return str(config.hydra.launcher._target_).endswith(f".{name}")


def _gpus(accelerator: str) -> int:
    if accelerator == "cpu":
        return 0
    import torch  # here: joblib.yaml is composed by those who run no cell, too

    return torch.cuda.device_count()


def _cores() -> int:
    from joblib import cpu_count  # here, as above; it knows of a container's and of a batch system's share

    cores: int = cpu_count()
    return cores


def several_at_once(
    config: DictConfig, launcher: Launcher, cells: Sequence[PlannedCell], of: int
) -> tuple[DictConfig, Launcher, Sequence[PlannedCell]]:
    """A sweep as `launch=joblib` has it, if the user did not say where it runs, and the machine can run several cells.

    Args:
        config: of the sweep.
        launcher: of the sweep.
        cells: to run now.
        of: how many the sweep has in all. The last that is left of several runs as they did: threads change last bits.

    Returns:
        the sweep's configuration, its launcher, and the cells with the override that makes them the launcher's.

    Raises:
        ConfigError: HSKD_JOBS is no number of processes.
    """
    words = [*config.hydra.overrides.hydra, *config.hydra.overrides.task]
    said = any(word.lstrip("+~").startswith(SAID) for word in words)
    if said or not is_launcher(config, "BasicLauncher") or of < 2:
        return config, launcher, cells
    context, task = launcher.hydra_context, launcher.task_function  # type: ignore[attr-defined]
    loader, name = context.config_loader, config.hydra.job.config_name
    parallel = loader.load_configuration(name, [*words, PARALLEL], run_mode=RunMode.MULTIRUN)
    at_once = _processes(parallel)
    if at_once < 2:
        if JOBS not in os.environ and _gpus(config.trainer.accelerator):
            log.info(
                "sweep: one cell at a time on the GPU; HSKD_JOBS=8 runs eight at once, which small students gain by"
            )
        return config, launcher, cells
    at_once = min(at_once, len(cells))  # no process that would have no cell
    log.info(
        "sweep: %d cells at a time, threads=%d each; HSKD_JOBS=1 runs one by one with all cores, launch=... elsewhere",
        at_once, parallel.threads,
    )  # fmt: skip
    parallel.hydra.launcher.n_jobs = at_once
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=parallel)
    return parallel, launcher, [replace(cell, overrides=(*cell.overrides, PARALLEL)) for cell in cells]


def asked_jobs() -> int | None:
    """The cells at a time that HSKD_JOBS asks for, if it does.

    Raises:
        ConfigError: it is no number of processes.
    """
    asked = os.environ.get(JOBS)
    if asked is not None and not (asked.isdecimal() and int(asked) > 0):
        raise ConfigError(JOBS, asked, "a whole number from 1", f"unset {JOBS} for one cell a core, or one a GPU")
    return None if asked is None else int(asked)


def _processes(config: DictConfig) -> int:
    asked_jobs()
    return int(config.hydra.launcher.n_jobs)
