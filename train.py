"""One cell: compose the configuration, run it, return the score.

python train.py depth=uniform length=cls_first width=pca
"""

import sys

import hydra
from omegaconf import DictConfig

from hskd_lightning.errors import ConfigError, TrainingError


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """The score on dev, for sweepers; None where nothing ran."""
    from hskd_lightning.config import in_multirun  # here: --help and shell completion need not wait for torch
    from hskd_lightning.pipeline import run

    try:
        return run(cfg)
    except (ConfigError, TrainingError) as error:
        if in_multirun():
            raise  # the sweep's other cells go on
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
