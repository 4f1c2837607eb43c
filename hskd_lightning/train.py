"""One cell: compose the configuration, run it, return the score.

python train.py depth=uniform length=cls_first width=pca
"""

import hydra
from omegaconf import DictConfig


def run_cell(cfg: DictConfig) -> float | None:
    """The score on dev, for sweepers; None where nothing ran."""
    # Here: --help and shell completion need not wait for torch.
    from hskd_lightning.config import in_multirun
    from hskd_lightning.interrupt import interruptible

    with interruptible(speaks=not in_multirun()):
        from hskd_lightning.failure import printed_once
        from hskd_lightning.pipeline import run

        with printed_once():
            return run(cfg)


main = hydra.main(version_base="1.3", config_path="pkg://hskd_lightning.conf", config_name="train")(run_cell)

if __name__ == "__main__":
    main()
