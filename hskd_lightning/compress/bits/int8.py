"""bits=int8"""

import torch

from hskd_lightning.compress.bits.steps import StepCode, Steps


class Int8(Steps):
    """Eight bits a value: whole numbers of steps, of another size for each unit.

    Steps cover the part of a unit's range that leaves the least squared error over a sample of the teacher's values;
    what lies beyond is cut off.

    Config::

        bits:  # python train.py bits=int8
          name: int8
    """

    dtype = torch.int8
    element_bits = 8
    most = 127
    made = StepCode

    def columns(self, units: int) -> int:
        return units
