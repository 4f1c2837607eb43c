"""What bits=residual turns into: codebooks, and the search for the sum of their vectors that is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

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
Products = list[Tensor]
"""Of each book of a group, (books before it, CODES, CODES)."""


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

    @cached_property
    def products(self) -> list[list[Products]]:
        """Of each pair's codebooks. Whoever only decodes makes none."""
        return [products_of(books) for books in self.codebooks]

    def encode(self, values: Tensor) -> Tensor:
        batch, pairs, tokens, units = values.shape
        by_pair = values.transpose(0, 1).reshape(pairs, -1, units)
        coded = zip(by_pair, self.codebooks, self.products, strict=True)
        codes = [searched(rows, books, products)[:, : self.keep] for rows, books, products in coded]
        return torch.stack(codes).to(torch.uint8).unflatten(1, (batch, tokens)).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        rows = (codes.long() + self.first).flatten()  # (B * P * K * keep,)
        bags = torch.arange(0, len(rows), self.keep, device=rows.device)
        summed = embedding_bag(rows, self.codebooks.flatten(0, 2), bags, mode="sum")
        return summed.unflatten(0, codes.shape[:3])

    def to(self, device: torch.device) -> ResidualCode:
        return ResidualCode(self.codebooks.to(device), self.keep)


def products_of(codebooks: Tensor) -> list[Products]:
    """(M, CODES, W) codebooks -> of each that are decided on together, what `searched` looks up of their vectors."""
    return [[2 * books[:stage] @ books[stage].T for stage in range(len(books))] for books in codebooks.split(DECIDED)]


def searched(values: Tensor, codebooks: Tensor, products: Sequence[Products]) -> Tensor:
    """(N, W) values and (M, CODES, W) codebooks -> (N, M) codes of the sums nearest to them, `DECIDED` by `DECIDED`."""
    left, codes = values, []
    for books, known in zip(codebooks.split(DECIDED), products, strict=True):
        found = torch.cat([_beam(rows, books, known) for rows in left.split(ROWS)])
        left = left - said(books, found)
        codes.append(found)
    return torch.cat(codes, dim=1)


def said(codebooks: Tensor, codes: Tensor) -> Tensor:
    """(M, CODES, W) codebooks and (N, M) codes -> (N, W) the sums."""
    return sum((book[column] for book, column in zip(codebooks, codes.T, strict=True)), torch.zeros(()))


def _beam(values: Tensor, books: Tensor, products: Products) -> Tensor:
    """The `BEAM` nearest sums of each stage go on to the next.

    What a vector adds to the error of a sum is |v|^2 - 2 v.x + 2 v.(the sum's own vectors), so the values are looked at
    once, and each sum's vectors in a table.

    Args:
        values: (N, W) x.
        books: (m, CODES, W) v.
        products: twice the products of each book's vectors with those of the books before it.

    Returns:
        (N, m) codes.
    """
    alone = (books.square().sum(-1).flatten() - 2 * values @ books.flatten(0, 1).T).unflatten(1, books.shape[:2])
    error = values.new_zeros(len(values), 1)  # (N, b), less the values' own square
    codes = torch.zeros(len(values), 1, 0, dtype=torch.int64, device=values.device)
    every = torch.arange(len(values), device=values.device)[:, None]
    for stage in range(len(books)):
        errors = error[..., None] + alone[:, None, stage]  # (N, b, CODES)
        for earlier, code in enumerate(codes.unbind(-1)):
            errors += products[stage][earlier, code]
        error, best = errors.flatten(1).topk(min(BEAM, CODES * errors.shape[1]), largest=False)  # (N, BEAM)
        codes = torch.cat([codes[every, best // CODES], best[..., None] % CODES], dim=-1)
    return codes[:, 0]
