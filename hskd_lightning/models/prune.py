"""Structured pruning of a fine-tuned BERT into a ROSITA student (arXiv 2103.11367; Liu et al. 2021, students).

importance -> blocks -> the word embedding's factors -> heads and neurons of each kept block
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenBatch
from hskd_lightning.losses import label_loss
from hskd_lightning.models import encoder
from hskd_lightning.models.rosita import FactorisedEmbedding, RositaConfig, RositaForSequenceClassification

Importance = Literal["taylor", "magnitude", "random"]
KINDS: tuple[Importance, ...] = get_args(Importance)
Batches = Callable[[], Iterable[TokenBatch]]


class BlockScores(NamedTuple):
    """How much each part of a block matters."""

    heads: Tensor  # (H,)
    neurons: Tensor  # (F,)


@dataclass(frozen=True)
class Weighing:
    """How heads and neurons are weighed.

    Args:
        kind: taylor, |W * sum over batches |dL/dW|| of one pass over the training split without an update: each
            batch counts by the size of its gradient, which its size and its examples decide; magnitude, |W|; random,
            a draw: the two controls.
        dropout: taylor with the teacher's dropout on, as in the released code.
    """

    kind: Importance
    dropout: bool = False

    @property
    def drawn(self) -> bool:
        """Whether the importance depends on a seed."""
        return self.kind == "random" or (self.kind == "taylor" and self.dropout)


def importance(model: PreTrainedModel, weighing: Weighing, batches: Batches, seed: int) -> list[BlockScores]:
    """Scores of every block's heads and neurons.

    A head's score is the sum of the attention-output weights' over its own columns; a neuron's that of its row in
    the first and its column in the second matrix of the feed-forward.

    Args:
        batches: the training split as it is trained on, for taylor.
        seed: of whatever is drawn.
    """
    watched = [_watched(block) for block in encoder.blocks(model)]
    if weighing.kind == "taylor":
        torch.manual_seed(seed)  # for dropout
        gradients = _gradients(model, [weight for block in watched for weight in block], batches, weighing.dropout)
        scores = [(weight * gradients[weight]).abs() for block in watched for weight in block]
    elif weighing.kind == "magnitude":
        scores = [weight.detach().abs() for block in watched for weight in block]
    else:
        generator = torch.Generator().manual_seed(seed)
        scores = [torch.rand(weight.shape, generator=generator) for block in watched for weight in block]
    heads = model.config.num_attention_heads
    grouped = [scores[first : first + 3] for first in range(0, len(scores), 3)]
    return [
        BlockScores(mixed.sum(dim=0).unflatten(0, (heads, -1)).sum(dim=1), into.sum(dim=1) + out.sum(dim=0))
        for mixed, into, out in grouped
    ]


def _watched(block: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Attention output (D, D), feed-forward in (F, D) and out (D, F)."""
    return block.attention.output.dense.weight, block.intermediate.dense.weight, block.output.dense.weight


def _gradients(
    model: PreTrainedModel, weights: Sequence[Tensor], batches: Batches, dropout: bool
) -> dict[Tensor, Tensor]:
    """The sum over batches of the absolute gradient of the loss, without an update.

    Absolute by batch, so that what pulls one batch one way and the next the other way counts as pulling twice.
    """
    model.train(dropout).requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    total = {weight: torch.zeros_like(weight) for weight in weights}
    for batch in batches():
        batch = batch.to(model.device)
        loss = label_loss(encoder.logits(model, batch), batch.labels)
        for weight, gradient in zip(weights, torch.autograd.grad(loss, list(weights)), strict=True):
            total[weight] += gradient.abs()
    for weight in weights:
        weight.requires_grad_(False)
    return total


def prune(
    teacher: PreTrainedModel, config: RositaConfig, blocks: Sequence[int], scores: Sequence[BlockScores]
) -> RositaForSequenceClassification:
    """The student that is left of the teacher: these blocks (0-based), their best heads and neurons, in their order.

    With everything kept it computes what the teacher does.
    """
    student = RositaForSequenceClassification(config).to(teacher.dtype)
    with torch.no_grad():
        _copy(student.bert.pooler, teacher.bert.pooler)
        _copy(student.classifier, teacher.classifier)
        _embed(student, teacher, config)
        for made, number in zip(student.bert.encoder.layer, blocks, strict=True):
            block_scores = scores[number]
            heads = _best(block_scores.heads, config.num_attention_heads)
            columns = (heads[:, None] * config.head_size + torch.arange(config.head_size)).flatten()
            _prune_block(
                made, teacher.bert.encoder.layer[number], columns, _best(block_scores.neurons, config.intermediate_size)
            )
    return student


def _best(scores: Tensor, count: int) -> Tensor:
    """The indices of the largest scores, ascending; of equals the first."""
    return scores.cpu().argsort(descending=True, stable=True)[:count].sort().values


def _prune_block(made: torch.nn.Module, block: torch.nn.Module, columns: Tensor, neurons: Tensor) -> None:
    made.load_state_dict(
        {name: _cut(name, value, columns, neurons) for name, value in block.state_dict().items()}, strict=True
    )


def _cut(name: str, value: Tensor, columns: Tensor, neurons: Tensor) -> Tensor:
    """A block's parameter with only the kept heads' columns and the kept neurons."""
    if name.startswith("attention.self."):
        return value[columns]
    if name == "attention.output.dense.weight":
        return value[:, columns]
    if name.startswith("intermediate.dense."):
        return value[neurons]
    return value[:, neurons] if name == "output.dense.weight" else value


def _embed(student: RositaForSequenceClassification, teacher: PreTrainedModel, config: RositaConfig) -> None:
    """The teacher's embeddings, the word embedding as its best product of rank r."""
    made, original = student.bert.embeddings, teacher.bert.embeddings
    for name in ("position_embeddings", "token_type_embeddings", "LayerNorm"):
        _copy(getattr(made, name), getattr(original, name))
    if not isinstance(made.word_embeddings, FactorisedEmbedding):
        _copy(made.word_embeddings, original.word_embeddings)
        return
    factors, widen = factorise(original.word_embeddings.weight, config.embedding_rank or 0)
    made.word_embeddings.factors.weight.copy_(factors)
    made.word_embeddings.widen.weight.copy_(widen)


def factorise(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The truncated SVD of (V, D) as U_r S_r (V, r) and V_r (D, r).

    By the eigenvectors of the (D, D) Gram matrix, in float64: the rows may be many.
    """
    exact = matrix.double()
    _, directions = torch.linalg.eigh(exact.T @ exact)  # ascending
    leading = directions.flip(-1)[:, :rank]  # (D, r)
    return (exact @ leading).to(matrix), leading.to(matrix)


def _copy(made: torch.nn.Module, original: torch.nn.Module) -> None:
    made.load_state_dict(original.state_dict(), strict=True)
