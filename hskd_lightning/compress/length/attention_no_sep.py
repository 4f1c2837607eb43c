"""length=attention_no_sep"""

from typing import Literal, get_args

import torch
from torch import Tensor

from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.compress.length.base import MASKED_SCORE, AttentionFrom, AttentionRequest, Tokens, request
from hskd_lightning.errors import ConfigError

Separators = Literal["per_example", "first_row"]


class AttentionWithoutSep:
    """The paper's best length strategy: the [CLS] row's attention with the separators left out.

    [SEP] attracts attention but carries little. Every special token but [CLS] is excluded by the tokenizer's own mask,
    in each example; an example shorter than `keep` keeps what it has.

    Where the released code differs: it counts the separators of the batch's first row, gives as many in each row the
    score -1e4, and fills short examples with [PAD] and [SEP]: `separators=first_row`, with `preset.padding=distill`.

    Config::

        length:  # python train.py length=attention_no_sep length.keep=10
          name: attention_no_sep
          keep: 10
          attention_from: uniform  # or mapped
          pin_cls: false
          separators: per_example  # or first_row

    Args:
        keep: tokens kept: a count, a share of the real tokens, or null for all.
        attention_from: whose attention ranks a layer's tokens, see `AttentionRequest.blocks`.
        pin_cls: always keep [CLS], first.
        separators: per_example, or first_row for the released code's way. With first_row an example's selection
            depends on its batch, so no store can hold it.
    """

    def __init__(
        self,
        keep: Spelled = None,
        attention_from: AttentionFrom = "uniform",
        pin_cls: bool = False,
        separators: Separators = "per_example",
    ) -> None:
        if separators not in get_args(Separators):
            allowed = ", ".join(get_args(Separators))
            raise ConfigError("length.separators", separators, allowed, "leave length.separators out")
        self.keep = check_keep("length.keep", keep)
        self.attention: AttentionRequest | None = request("cls_row", attention_from)
        self.pin_cls = pin_cls
        self.separators = separators
        self.offline = separators == "per_example"

    def eligible(self, tokens: Tokens) -> Tensor:
        if self.separators == "first_row":
            return tokens.real  # separators come last, they are not forbidden: short examples fill up with them
        return tokens.real & ~_separators(tokens)

    def score(self, tokens: Tokens) -> Tensor:
        assert tokens.attention is not None
        score = tokens.attention  # (B, P, T)
        if self.separators == "first_row":
            score = score.masked_fill(_as_many_as_first_row(_separators(tokens))[:, None], MASKED_SCORE)
        if self.pin_cls:
            score = score.clone()
            score[..., 0] = torch.inf
        return score


def _separators(tokens: Tokens) -> Tensor:
    """(B, T) bool: real special tokens except the first position, [CLS]."""
    separators = tokens.special & tokens.real
    separators[:, 0] = False
    return separators


def _as_many_as_first_row(separators: Tensor) -> Tensor:
    """(B, T) bool: of each row's separators, only the first n, n being the count in row 0."""
    return separators & (separators.cumsum(dim=1) <= separators[0].sum())
