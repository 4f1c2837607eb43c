"""length=random"""

import torch
from torch import Tensor

from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.compress.length.base import AttentionRequest, Tokens
from hskd_lightning.hashed_random import of_examples, scramble


class RandomTokens:
    """Tokens drawn at random, the control of every other ranking.

    The draw is a hash of (seed, example id, position), so an example keeps the same tokens in every epoch, in every
    batch, and in the store.

    Config::

        length:  # python train.py length=random length.keep=10
          name: random
          keep: 10
          seed: 0

    Args:
        keep: tokens kept: a count, a share of the real tokens, or null for all.
        seed: another seed, another draw. It is not the run's seed: cells of one study share their tokens.
    """

    attention: AttentionRequest | None = None
    offline = True

    def __init__(self, keep: Spelled = None, seed: int = 0) -> None:
        self.keep = check_keep("length.keep", keep)
        self.seed = seed

    def eligible(self, tokens: Tokens) -> Tensor:
        return tokens.real

    def score(self, tokens: Tokens) -> Tensor:
        position = torch.arange(tokens.real.shape[1], device=tokens.ids.device)
        key = scramble(of_examples(tokens.ids, self.seed)[:, None] + position)  # (B, T)
        return key[:, None]  # (B, 1, T)
