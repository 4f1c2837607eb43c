"""One cell: compose the configuration, run it, return the score.

python train.py depth=uniform length=cls_first width=pca
"""

import logging
import sys

import hydra
from omegaconf import DictConfig

log = logging.getLogger("hskd_lightning")


def run_cell(cfg: DictConfig) -> float | None:
    """The score on dev, for sweepers; None where nothing ran."""
    # Here: --help and shell completion need not wait for torch.
    from hskd_lightning.config import in_multirun
    from hskd_lightning.errors import ConfigError, TrainingError
    from hskd_lightning.pipeline import run

    try:
        return run(cfg)
    except (ConfigError, TrainingError) as error:
        if not in_multirun():
            sys.exit(f"\n{error}\n")
        log.error("%s", error)  # now: Hydra itself tells only when the sweep ends
        raise  # the sweep's other cells go on


main = hydra.main(version_base="1.3", config_path="pkg://hskd_lightning.conf", config_name="train")(run_cell)

if __name__ == "__main__":
    main()
