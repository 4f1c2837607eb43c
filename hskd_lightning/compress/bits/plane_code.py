"""What bits=planes turns into: trees of means, and the order in which tokens keep their units' bits."""

from __future__ import annotations

import torch
from torch import Tensor

from hskd_lightning.compress.bits.packing import pack_bits, unpack_bits

LEVELS = 6
"""Bits of a value at most: budgets that give the first component a seventh are larger than a float would need."""
NODES = 2 ** (LEVELS + 1) - 1


class PlaneCode:
    """The first bits of a token in an order of its units' bits.

    Args:
        tree: (P, W, NODES) means of each unit's values, halves of halves level after level.
        order: (P, keep) int64 the unit of each bit; a unit's bits come the highest first.
    """

    def __init__(self, tree: Tensor, order: Tensor) -> None:
        self.tree = tree
        self.order = order
        rank = rank_in_unit(order)  # (P, keep)
        depth = torch.zeros(tree.shape[:2], dtype=torch.int64, device=tree.device)
        depth = depth.scatter_reduce(1, order, rank + 1, "amax")  # (P, W) bits of each unit
        self.shift = depth.gather(1, order) - 1 - rank  # of a bit, to its place in its unit's number
        self.drop = LEVELS - 1 - rank  # of a leaf's number, to have the bit last
        units = torch.arange(tree[..., 0].numel(), device=tree.device).view(tree.shape[:2])
        self.root = units * NODES + 2**depth - 1  # (P, W) the first node at its depth, among all nodes
        self.cuts = _cuts(tree)

    def encode(self, values: Tensor) -> Tensor:
        batch, pairs, tokens, units = values.shape
        columns = values.permute(1, 3, 0, 2).reshape(pairs, units, -1).contiguous()  # (P, W, B * K)
        leaf = torch.searchsorted(self.cuts, columns, out_int32=True)
        bits = leaf.gather(1, self.order[..., None].expand(-1, -1, leaf.shape[-1])) >> self.drop[..., None] & 1
        packed = pack_bits(bits.bool().transpose(1, 2).contiguous())  # (P, B * K, C)
        return packed.unflatten(1, (batch, tokens)).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        bits = unpack_bits(codes, self.order.shape[-1]).long() << self.shift[:, None]  # (B, P, K, keep)
        roots = self.root[:, None].expand(*codes.shape[:-1], -1)  # (B, P, K, W)
        nodes = roots.scatter_add(
            -1, self.order[:, None].expand_as(bits), bits
        )  # not in place: of one token it is root
        return self.tree.flatten().index_select(0, nodes.flatten()).view(nodes.shape)

    def to(self, device: torch.device) -> PlaneCode:
        return PlaneCode(self.tree.to(device), self.order.to(device))


def rank_in_unit(order: Tensor) -> Tensor:
    """(P, keep) units -> how often each has come before."""
    by_unit = order.argsort(dim=-1, stable=True)
    sorted_units = order.gather(-1, by_unit)
    place = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    begins = torch.ones_like(sorted_units, dtype=torch.bool)
    begins[:, 1:] = sorted_units[:, 1:] != sorted_units[:, :-1]
    first = torch.where(begins, place, 0).cummax(dim=-1).values  # where each unit's bits begin
    return torch.empty_like(order).scatter_(-1, by_unit, place - first)


def _cuts(tree: Tensor) -> Tensor:
    """(P, W, NODES) -> (P, W, 2 ** LEVELS - 1), ascending: a value belongs to the half whose mean is nearer."""
    places = torch.arange(1, 2**LEVELS)
    low = places & -places  # 2 ** trailing zeros: how large the halves on either side of a cut are
    lower = 2**LEVELS // low - 1 + 2 * (places // (2 * low))  # the node below it
    lower = lower.to(tree.device)
    return ((tree[..., lower] + tree[..., lower + 1]) / 2).cummax(dim=-1).values.contiguous()
