"""One cell: python train.py depth=uniform length=cls_first width=pca. See `hskd_lightning.train`."""

from hskd_lightning.train import main

if __name__ == "__main__":
    main()
