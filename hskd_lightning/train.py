"""One cell: compose the configuration, run it, return the score.

python train.py depth=uniform length=cls_first width=pca
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from hskd_lightning import mistakes, usage
from hskd_lightning.config import in_multirun, plain
from hskd_lightning.errors import ConfigError, command
from hskd_lightning.failure import printed_once
from hskd_lightning.finished import finished_score
from hskd_lightning.interrupt import interruptible
from hskd_lightning.study.sweep.at_once import cells_at_once


def run_cell(cfg: DictConfig) -> float | None:
    """The score on dev, for sweepers; None where nothing ran."""
    _stand_where_the_sweep_began()
    with interruptible(speaks=not in_multirun()):
        with printed_once():
            if (score := finished_score(plain(cfg))) is not None:
                return score
            if cfg.explain:
                _explain(cfg)
                return None
            return _run(cfg)


def _explain(cfg: DictConfig) -> None:
    from hskd_lightning.explain import explain  # here: --help and a finished cell need not wait for torch

    explain(cfg)


def _run(cfg: DictConfig) -> float | None:
    from hskd_lightning.pipeline import run  # here: nor need explain=true wait for Lightning

    return run(cfg)


def _stand_where_the_sweep_began() -> None:
    """A cluster's worker starts elsewhere, and the user's relative paths are meant from where he typed them."""
    if in_multirun() and Path(began := HydraConfig.get().runtime.cwd).is_dir():
        os.chdir(began)


run_by_hydra = hydra.main(version_base="1.3", config_path="pkg://hskd_lightning.conf", config_name="train")(run_cell)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the arguments ask for, else the process's own; a user's mistake ends in its message and exit code 1."""
    if arguments is not None:
        sys.argv[1:] = arguments  # where Hydra looks for them
    OmegaConf.register_new_resolver("hskd.command", command, replace=True)
    OmegaConf.register_new_resolver("hskd.groups", usage.describe_groups, replace=True)
    OmegaConf.register_new_resolver("hskd.cells_at_once", cells_at_once, replace=True)
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(usage.train_help())
        return
    try:
        with mistakes.explained(sys.argv[1:]), mistakes.raised_by_hydra():
            run_by_hydra()
    except ConfigError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
