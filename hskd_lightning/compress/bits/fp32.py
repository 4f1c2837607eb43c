"""bits=fp32"""

import torch

from hskd_lightning.compress.bits.floats import Floats


class Fp32(Floats):
    """IEEE single precision: the values as the teacher's pass leaves them.

    Config::

        bits:  # python train.py bits=fp32
          name: fp32
    """

    dtype = torch.float32
