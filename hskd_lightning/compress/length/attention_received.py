"""length=attention_received"""

from torch import Tensor

from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.compress.length.base import AttentionFrom, AttentionRequest, Tokens, request


class AttentionReceived:
    """The tokens that receive most attention from the whole example, not from [CLS] alone. Not in the paper.

    A position's score is the attention probability it is given, mean over heads and real query positions: the
    significance score of PoWER-BERT (Goyal et al. 2020, arXiv 2001.08950, section 3.2).

    Config::

        length:  # python train.py length=attention_received length.keep=10
          name: attention_received
          keep: 10
          attention_from: uniform  # or mapped

    Args:
        keep: tokens kept: a count, a share of the real tokens, or null for all.
        attention_from: whose attention ranks a layer's tokens, see `AttentionRequest.blocks`.
    """

    offline = True

    def __init__(self, keep: Spelled = None, attention_from: AttentionFrom = "uniform") -> None:
        self.keep = check_keep("length.keep", keep)
        self.attention: AttentionRequest | None = request("received", attention_from)

    def eligible(self, tokens: Tokens) -> Tensor:
        return tokens.real

    def score(self, tokens: Tokens) -> Tensor:
        assert tokens.attention is not None
        return tokens.attention
