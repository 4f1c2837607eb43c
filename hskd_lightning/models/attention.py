"""What the teacher attends to, without its attention matrices: a block's queries and keys are caught in passing.

The teacher so stays on its fast attention (SDPA), which hands out no scores. Where queries and keys are not all there
is to a score (relative positions, rotary embeddings), the model's own probabilities are read instead; see
`reads_probabilities`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.compress.length.base import MASKED_SCORE
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models.encoder import blocks, skeleton

Statistic = Literal["cls_row", "received"]
QUERY_KEY = (("attention.self.query", "attention.self.key"), ("attention.q_lin", "attention.k_lin"))
"""Where the projections live in a block: BERT, RoBERTa and ELECTRA; DistilBERT."""


class AttentionProbe:
    """Catches queries and keys of some blocks while the model runs inside a `with` block.

    Args:
        model: an encoder whose attention is a plain scaled dot product.
        wanted: the block (0-based) that ranks the tokens of each layer pair; a block may serve several.
        statistic: see `AttentionRequest`.
    """

    def __init__(self, model: PreTrainedModel, wanted: Sequence[int], statistic: Statistic) -> None:
        self.heads = model.config.num_attention_heads
        self.wanted = tuple(wanted)
        self.statistic = statistic
        self._layers = {number: _projections(blocks(model)[number]) for number in set(wanted)}
        self._caught: dict[tuple[int, str], Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> AttentionProbe:
        for number, (query, key) in self._layers.items():
            for name, layer in (("query", query), ("key", key)):
                self._handles.append(layer.register_forward_hook(self._catch(number, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def scores(self, batch: TokenBatch) -> Tensor:
        """(B, P, T): one score a position for each layer pair, from the forward just made."""
        row = cls_row if self.statistic == "cls_row" else received
        by_block = {
            number: row(self._caught[number, "query"], self._caught[number, "key"], batch.real, self.heads)
            for number in self._layers
        }
        self._caught.clear()
        return torch.stack([by_block[number] for number in self.wanted], dim=1)

    def _catch(self, number: int, name: str):  # type: ignore[no-untyped-def]
        only_cls = name == "query" and self.statistic == "cls_row"

        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            self._caught[number, name] = output[:, :1] if only_cls else output

        return hook


def cls_row(query: Tensor, key: Tensor, real: Tensor, heads: int) -> Tensor:
    """[CLS]'s attention scores before the softmax, mean over heads: (B, 1|T, D), (B, T, D) -> (B, T).

    As in the released code, the mask is added to each head's score, so a [PAD] has its raw score less 1e4: below every
    real token, and in an order of its own. That order counts where short examples are filled up
    (`preset.padding=distill`); elsewhere no [PAD] can be kept.
    """
    wide = torch.promote_types(key.dtype, torch.float32)
    query, key = (states.to(wide).unflatten(-1, (heads, -1)) for states in (query[:, :1], key))  # (B, 1|T, H, D/H)
    # No matrix product: one row needs none, and a bfloat16 teacher's autocast would narrow it.
    score = (query * key).sum(dim=-1) / math.sqrt(key.shape[-1])  # (B, T, H)
    return (score + MASKED_SCORE * ~real[..., None]).mean(dim=-1)


def received(query: Tensor, key: Tensor, real: Tensor, heads: int) -> Tensor:
    """The attention probability each position is given, mean over heads and real queries -> (B, T)."""
    query, key = (states.unflatten(-1, (heads, -1)).transpose(1, 2) for states in (query, key))  # (B, H, T, D/H)
    score = (query @ key.transpose(2, 3)).float() / math.sqrt(key.shape[-1])  # (B, H, T, T)
    probability = score.masked_fill(~real[:, None, None], -torch.inf).softmax(dim=-1)
    return mean_over_queries(probability, real)


def mean_over_queries(probability: Tensor, real: Tensor) -> Tensor:
    """(B, H, T, T) -> (B, T): mean over heads and over the query rows of real tokens."""
    rows = real[:, None, :, None].to(probability)  # (B, 1, T, 1)
    return (probability * rows).sum(dim=2).mean(dim=1) / real.sum(dim=1, keepdim=True)


def from_probabilities(
    attentions: Sequence[Tensor], wanted: Sequence[int], statistic: Statistic, batch: TokenBatch
) -> Tensor:
    """(B, P, T) from the blocks' attention probabilities (B, H, T, T).

    The [CLS] row's mean log probability ranks positions as its mean score does: the softmax takes the same constant
    off every position of a head's row. Not so that of a [PAD]: the mask has made its probability 0, and its raw score
    cannot be had from that. Every [PAD] gets the same score here, so with `preset.padding=distill` a short example is
    filled from left to right, and not in the released code's order.
    """
    scores = []
    for number in wanted:
        if statistic == "received":
            scores.append(mean_over_queries(attentions[number].float(), batch.real))
        else:
            row = attentions[number][:, :, 0].float().clamp_min(torch.finfo(torch.float32).tiny).log().mean(1)
            scores.append(row.masked_fill(~batch.real, MASKED_SCORE))
    return torch.stack(scores, dim=1)


def reads_probabilities(model: PreTrainedModel) -> bool:
    """Whether attention must be read as probabilities, with the model on eager attention."""
    return not any(_has(blocks(model)[0], query) for query, _ in QUERY_KEY)


def refuse_dropout(config: PreTrainedConfig) -> None:
    """Refuse a teacher in train mode that ranks tokens by its attention where this is read as probabilities.

    transformers hands them out after their dropout: a tenth of the scores would be 0, whatever the teacher attends to.

    Raises:
        ConfigError: it is read so with a teacher of this configuration.
    """
    if reads_probabilities(skeleton(config)):
        allowed = f"false where the attention of a {config.model_type} ranks tokens: it is to be had after dropout only"
        remedy = "write preset.teacher_dropout=false, or choose length=cls_first or length=random"
        raise ConfigError("preset.teacher_dropout", True, allowed, remedy)


def _has(block: nn.Module, path: str) -> bool:
    try:
        block.get_submodule(path)
    except AttributeError:
        return False
    return True


def _projections(block: nn.Module) -> tuple[nn.Module, nn.Module]:
    query, key = next(paths for paths in QUERY_KEY if _has(block, paths[0]))
    return block.get_submodule(query), block.get_submodule(key)
