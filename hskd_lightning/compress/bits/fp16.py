"""bits=fp16"""

import torch

from hskd_lightning.compress.bits.floats import Floats


class Fp16(Floats):
    """IEEE half precision: eleven bits of each value, and magnitudes up to 65,504.

    Config::

        bits:  # python train.py bits=fp16
          name: fp16
    """

    dtype = torch.float16
