"""length=attention"""

from torch import Tensor

from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.compress.length.base import AttentionFrom, AttentionRequest, Tokens, request


class AttentionTokens:
    """The paper's "attention": the tokens to which the teacher's [CLS] attends most.

    A position's score is the [CLS] row of the attention scores before the softmax, mean over heads.

    Config::

        length:  # python train.py length=attention length.keep=10
          name: attention
          keep: 10
          attention_from: uniform  # or mapped

    Args:
        keep: tokens kept: a count, a share of the real tokens, or null for all.
        attention_from: whose attention ranks a layer's tokens, see `AttentionRequest.blocks`.
    """

    offline = True

    def __init__(self, keep: Spelled = None, attention_from: AttentionFrom = "uniform") -> None:
        self.keep = check_keep("length.keep", keep)
        self.attention: AttentionRequest | None = request("cls_row", attention_from)

    def eligible(self, tokens: Tokens) -> Tensor:
        return tokens.real

    def score(self, tokens: Tokens) -> Tensor:
        assert tokens.attention is not None
        return tokens.attention
