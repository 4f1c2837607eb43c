"""bits=bf16"""

import torch

from hskd_lightning.compress.bits.floats import Floats


class Bf16(Floats):
    """bfloat16: eight bits of each value, and magnitudes as large as float32's.

    Config::

        bits:  # python train.py bits=bf16
          name: bf16
    """

    dtype = torch.bfloat16
