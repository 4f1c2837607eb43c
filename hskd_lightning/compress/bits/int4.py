"""bits=int4"""

import torch

from hskd_lightning.compress.bits.steps import HalfByteCode, Steps


class Int4(Steps):
    """Four bits a value, two values a byte: whole numbers of steps, of another size for each unit.

    Steps cover the part of a unit's range that leaves the least squared error over a sample of the teacher's values;
    what lies beyond is cut off.

    Config::

        bits:  # python train.py bits=int4
          name: int4
    """

    dtype = torch.uint8
    element_bits = 4
    most = 7
    made = HalfByteCode

    def columns(self, units: int) -> int:
        return -(-units // 2)
