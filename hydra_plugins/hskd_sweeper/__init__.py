"""Where Hydra looks for sweepers. `hydra/sweeper=study` (the default here) plans a sweep as a study; see
`hskd_lightning.study.sweep.run`, which this hands everything to: Hydra imports this file at every start.
"""

from __future__ import annotations

from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs the cells of a study that are not done yet; see conf/hydra/sweeper/study.yaml for the arguments."""

    def __init__(self, **settings: Any) -> None:
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Plan, run, and say what came of it.

        Raises:
            SystemExit: a cell failed, or the user asked for what cannot be, with the exit code 1; or it was stopped.
        """
        from hskd_lightning.interrupt import interruptible

        assert self.config is not None and self.launcher is not None
        with interruptible():
            from hskd_lightning.study.sweep.run import run_sweep

            run_sweep(self.config, self.launcher, arguments)
