"""What bits=residual turns into: codebooks, and the search for the sum of their vectors that is nearest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

CODES = 256
"""Vectors of a codebook: a byte tells them apart."""
BEAM = 4
"""Sums that are kept in mind while the nearest is searched for."""
DECIDED = 4
"""Codebooks after which the nearest sum is taken for good."""
ROWS = 4096
"""Tokens that are searched for together: bounds memory."""


class ResidualCode:
    """A byte for each codebook; a token's values are the sum of the vectors that its bytes name.

    Args:
        codebooks: (P, M, CODES, W), M a multiple of `DECIDED`.
        keep: bytes kept.
    """

    def __init__(self, codebooks: Tensor, keep: int) -> None:
        self.codebooks = codebooks
        self.keep = keep
        pairs, books = codebooks.shape[:2]
        rows = torch.arange(pairs * books, device=codebooks.device) * CODES
        self.first = rows.view(pairs, 1, books)[..., :keep]  # (P, 1, keep) each codebook's in the table of all

    def encode(self, values: Tensor) -> Tensor:
        batch, pairs, tokens, units = values.shape
        by_pair = values.transpose(0, 1).reshape(pairs, -1, units)
        codes = [
            torch.cat([searched(part, books)[:, : self.keep] for part in rows.split(ROWS)])
            for rows, books in zip(by_pair, self.codebooks, strict=True)
        ]
        return torch.stack(codes).to(torch.uint8).unflatten(1, (batch, tokens)).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        rows = (codes.long() + self.first).flatten()  # (B * P * K * keep,)
        bags = torch.arange(0, len(rows), self.keep, device=rows.device)
        summed = embedding_bag(rows, self.codebooks.flatten(0, 2), bags, mode="sum")
        return summed.unflatten(0, codes.shape[:3])

    def to(self, device: torch.device) -> ResidualCode:
        return ResidualCode(self.codebooks.to(device), self.keep)


def searched(values: Tensor, codebooks: Tensor) -> Tensor:
    """(N, W) values and (M, CODES, W) codebooks -> (N, M) codes of the sums nearest to them, `DECIDED` by `DECIDED`."""
    left, codes = values, []
    for books in codebooks.split(DECIDED):
        found = _beam(left, books)
        left = left - said(books, found)
        codes.append(found)
    return torch.cat(codes, dim=1)


def said(codebooks: Tensor, codes: Tensor) -> Tensor:
    """(M, CODES, W) codebooks and (N, M) codes -> (N, W) the sums."""
    return sum((book[column] for book, column in zip(codebooks, codes.T, strict=True)), torch.zeros(()))


def _beam(values: Tensor, books: Tensor) -> Tensor:
    """(N, W) values and (m, CODES, W) codebooks -> (N, m) codes, by the `BEAM` nearest sums of each stage."""
    left, error = values[:, None], values.square().sum(dim=1, keepdim=True)  # (N, b, W), (N, b)
    codes = torch.zeros(*error.shape, 0, dtype=torch.int64, device=values.device)
    every = torch.arange(len(values), device=values.device)[:, None]
    for book in books:
        farther = book.square().sum(dim=1) - 2 * left @ book.T  # (N, b, CODES) what a vector adds to the error
        errors = (error[..., None] + farther).flatten(1)
        error, best = errors.topk(min(BEAM, errors.shape[1]), largest=False)  # (N, BEAM)
        parent, code = best // CODES, best % CODES
        left = left[every, parent] - book[code]
        codes = torch.cat([codes[every, parent], code[..., None]], dim=-1)
    return codes[:, 0]
