"""length=all"""

from torch import Tensor

from hskd_lightning.compress.keep import Keep
from hskd_lightning.compress.length.base import AttentionRequest, Tokens, left_to_right


class AllTokens:
    """Every real token: full length.

    Config::

        length:  # python train.py length=all
          name: all
    """

    keep: Keep = None
    attention: AttentionRequest | None = None
    offline = True

    def eligible(self, tokens: Tokens) -> Tensor:
        return tokens.real

    def score(self, tokens: Tokens) -> Tensor:
        return left_to_right(tokens)
