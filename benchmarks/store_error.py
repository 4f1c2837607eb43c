"""What a store's bits lose, budget by budget: the share of the variance, beside a store of the same values in fp16."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import torch
from torch import Tensor

from hskd_lightning.knowledge.library import StoredKnowledge, open_store

BATCH = 500


def lost(exact: StoredKnowledge, coded: StoredKnowledge, ids: Tensor) -> list[float]:
    """Of each layer's values of these examples."""
    pairs = [(_kept(exact, part), _kept(coded, part)) for part in ids.split(BATCH)]
    true, said = (torch.cat(parts, dim=1) for parts in zip(*pairs, strict=True))  # (P, N, W)
    spread = (true - true.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
    shares: list[float] = ((said - true).square().sum(dim=(1, 2)) / spread).tolist()
    return shares


def _kept(knowledge: StoredKnowledge, ids: Tensor) -> Tensor:
    """(P, N, W) values of all tokens that are kept of these examples."""
    target = knowledge.hidden(ids)
    return target.values.transpose(0, 1)[:, target.tokens.valid[:, 0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exact", type=Path, help="folder of the store in fp16: of the same layers, tokens and units")
    parser.add_argument("coded", type=Path, help="folder of the other")
    parser.add_argument("--budgets", type=int, nargs="*", default=[], help="of its bits; none: its own")
    parser.add_argument("--examples", type=int, default=2000)
    given = parser.parse_args()
    exact = open_store(given.exact)
    ids = exact.ids[torch.randperm(len(exact.ids), generator=torch.Generator().manual_seed(0))[: given.examples]]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["budget", *(f"lost of state {state}" for state in exact.states)])
    for budget in given.budgets or [None]:
        coded = open_store(given.coded, budget=budget)
        table.writerow([budget, *(f"{share:.4f}" for share in lost(exact, coded, ids))])


if __name__ == "__main__":
    main()
