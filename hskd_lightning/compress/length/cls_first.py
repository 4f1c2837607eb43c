"""length=cls_first"""

from torch import Tensor

from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.compress.length.base import AttentionRequest, Tokens, left_to_right


class ClsFirst:
    """The paper's "left first": [CLS], then the tokens from left to right.

    The released code counts padding positions too, so a short example spends its budget on [PAD]; ours stops at the
    last real token (`preset.padding=distill` restores theirs).

    Config::

        length:  # python train.py length=cls_first length.keep=10
          name: cls_first
          keep: 10

    Args:
        keep: tokens kept: a count, a share of the real tokens, or null for all.
    """

    attention: AttentionRequest | None = None
    offline = True

    def __init__(self, keep: Spelled = None) -> None:
        self.keep = check_keep("length.keep", keep)

    def eligible(self, tokens: Tokens) -> Tensor:
        return tokens.real

    def score(self, tokens: Tokens) -> Tensor:
        return left_to_right(tokens)
