"""bits=residual"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Fitted, Layout, check_budget, check_finite
from hskd_lightning.compress.bits.residual_code import CODES, DECIDED, ResidualCode, products_of, said, searched
from hskd_lightning.errors import ConfigError

MOST = 64
"""Bytes a token."""
FLOAT = 4
"""Bytes that a value has before."""
LARGEST = torch.finfo(torch.float16).max
ROUNDS = 25
"""Of k-means, for each codebook."""


class Residual:
    """Residual vector quantisation: a token's values are a sum of vectors, of which a byte each names one of 256.

    The first codebook is fitted to the values, the next to what it leaves of them, and so on. Tokens repeat and
    cluster, so few bytes say what would take many bits value by value. A smaller budget is a prefix: fewer bytes are
    the first ones of more. k-means is faiss's (the extra `residual`); who reads a store needs none. Ours: the paper
    keeps whole floats.

    Config::

        bits:  # python train.py bits=residual bits.keep=16
          name: residual
          keep: 16

    Args:
        keep: bytes a token, up to 64, and to 4 for each of its values.
    """

    dtype = torch.uint8
    element_bits = None
    needs_sample = True
    nested = True

    def __init__(self, keep: int) -> None:
        self.keep = check_budget(keep, MOST, "bytes")

    def columns(self, units: int) -> int:
        return check_budget(self.keep, min(MOST, FLOAT * units), "bytes")

    def layout(self, pairs: int, units: int) -> Layout:
        return {"codebooks": (torch.float16, (pairs, self._books, CODES, units))}

    def fit(self, sample: Tensor) -> dict[str, Tensor]:
        self.check_ready()
        check_finite(sample)
        if sample.shape[1] < CODES:
            allowed = (
                f"{CODES} tokens to fit on, as many as a codebook has codes; the training text has {sample.shape[1]}"
            )
            raise ConfigError("bits", "residual", allowed, "take bits=planes, or more text")
        if (most := float(sample.abs().max())) > LARGEST:
            allowed = f"values of up to {LARGEST:,.0f}, as its codebooks are kept in fp16; one is {most:,.0f}"
            raise ConfigError("bits", "residual", allowed, "take bits=planes, or another layer")
        return {"codebooks": torch.stack([self._codebooks(values) for values in sample])}

    def code(self, fitted: Fitted, units: int) -> ResidualCode:
        return ResidualCode(fitted["codebooks"][:, : self._books].float(), self.columns(units))

    def fault(self, fitted: Fitted) -> str | None:
        return None if bool(fitted["codebooks"].isfinite().all()) else "codebooks that are not finite"

    def check_ready(self) -> None:
        if find_spec("faiss") is None:
            remedy = "pip install 'hskd-lightning[residual]', or take bits=planes, which needs nothing"
            raise ConfigError("bits", "residual", "an installed faiss, which fits its codebooks", remedy)

    @property
    def _books(self) -> int:
        """As many as are decided on together, so that fewer bytes are the first of more."""
        return -(-self.keep // DECIDED) * DECIDED

    def _codebooks(self, values: Tensor) -> Tensor:
        """(N, W) values -> (M, CODES, W), each fitted to what the ones before it leave."""
        books: list[Tensor] = []
        for _ in range(self._books // DECIDED):
            together = _fit_together(values)
            values = values - _said(values, together)
            books.append(together)
        return torch.cat(books).half()


def _fit_together(values: Tensor) -> Tensor:
    """(N, W) -> (DECIDED, CODES, W) codebooks, each fitted to what the ones before it leave, as a store keeps them."""
    books = values.new_zeros(0, CODES, values.shape[1])
    for _ in range(DECIDED):
        left = values - _said(values, books) if len(books) else values
        books = torch.cat([books, _centroids(left).half().float()[None]])
    return books


def _said(values: Tensor, books: Tensor) -> Tensor:
    return said(books, searched(values, books, products_of(books)))


def _centroids(values: Tensor) -> Tensor:
    """(N, W) -> (CODES, W)."""
    import faiss  # here: an extra

    found = faiss.Kmeans(values.shape[1], CODES, niter=ROUNDS, seed=0, min_points_per_centroid=1)
    found.train(values.contiguous().numpy())
    return torch.from_numpy(found.centroids)
