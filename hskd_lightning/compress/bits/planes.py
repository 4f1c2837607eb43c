"""bits=planes"""

from __future__ import annotations

import heapq

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Fitted, Layout, check_budget, check_finite
from hskd_lightning.compress.bits.plane_code import LEVELS, NODES, PlaneCode, rank_in_unit
from hskd_lightning.compress.bits.trees import split_trees


class Planes:
    """Embedded scalar quantisation: bits go where they tell most, the next one to whichever value it helps most.

    A unit's values are halved where that leaves the least squared error, and the halves again: the tree of its
    quantiser, whose nth bit says which half of a half a value is in. All units' bits are put in the order in which
    each removes the most error (reverse water-filling, greedy), and a token keeps the first `keep` of them. So any
    smaller budget is a prefix, across values and precision at once; where units have an order, as width=pca's, width
    needs no choice of its own: width.keep=1.0 gives it all. Ours: the paper keeps whole floats.

    Config::

        bits:  # python train.py bits=planes bits.keep=256
          name: planes
          keep: 256

    Args:
        keep: bits a token, up to 6 for each of its values.
    """

    dtype = torch.uint8
    element_bits = None
    needs_sample = True
    nested = True

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def columns(self, units: int) -> int:
        return -(-check_budget(self.keep, LEVELS * units, "bits") // 8)

    def layout(self, pairs: int, units: int) -> Layout:
        return {"tree": (torch.float32, (pairs, units, NODES)), "order": (torch.int16, (pairs, self.keep))}

    def fit(self, sample: Tensor) -> dict[str, Tensor]:
        check_finite(sample)
        trees, errors = zip(*(split_trees(values, LEVELS) for values in sample), strict=True)
        order = torch.stack([_greedy(of_pair, self.keep) for of_pair in errors])
        return {"tree": torch.stack(trees).float(), "order": order.to(torch.int16)}

    def code(self, fitted: Fitted, units: int) -> PlaneCode:
        return PlaneCode(fitted["tree"], fitted["order"][:, : self.keep].long())

    def fault(self, fitted: Fitted) -> str | None:
        tree, order = fitted["tree"], fitted["order"].long()
        if not bool(tree.isfinite().all()):
            return "a tree whose means are not finite"
        if bool((order < 0).any() or (order >= tree.shape[1]).any()) or int(rank_in_unit(order).max()) >= LEVELS:
            return "an order of bits that its units do not have"
        return None

    def check_ready(self) -> None:
        return None


def _greedy(errors: Tensor, keep: int) -> Tensor:
    """(LEVELS + 1, W) errors of each unit by its bits -> (keep,) the unit that each next bit goes to."""
    gains = (errors[:-1] - errors[1:]).T.tolist()  # of each unit, bit by bit
    waiting = [(-first, unit, 0) for unit, (first, *_) in enumerate(gains)]
    heapq.heapify(waiting)
    order = []
    for _ in range(keep):
        _, unit, level = heapq.heappop(waiting)
        order.append(unit)
        if level + 1 < LEVELS:
            heapq.heappush(waiting, (-gains[unit][level + 1], unit, level + 1))
    return torch.tensor(order)
