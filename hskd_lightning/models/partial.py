"""Run an encoder no further than what is read of it.

Blocks above the highest state that is asked for do not run. The block that makes this state, or the one below the
classification head, computes only the tokens that are looked at: keys and values are every token's, but queries, output
projection, normalisation and feed-forward run for those alone. Both leave out work that nobody reads, forward and
backward: results and gradients are the whole model's, up to the order of sums. So they are where short examples share
a call of attention, see `Reach`.

With dropout on, fewer random numbers are drawn: a step's draw is another than the whole model's, its distribution the
same.

The families below are taken apart so, whose blocks are BERT's by another name. Any other model runs as transformers
has it; `knows` tells.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenSelection, tokens_at

Inputs = Mapping[str, Tensor]
"""What the model's own forward takes: `encoder.model_inputs`."""


TOGETHER = 24
"""Tokens: so many examples share a call of attention on a CPU as have no more together, see `Reach`."""


class Reach:
    """What the queries of a batch attend to: the real tokens of their own example.

    torch's attention on a CPU computes each example's heads by calls of their own, which for a few tokens take longer
    than what they compute. So neighbours lie in one sequence there, in which each attends to itself alone: their
    products grow, their number falls by half or more: 6% of TinyBERT4's step at 12 tokens.

    Args:
        real: (B, T) which tokens are no padding.
    """

    def __init__(self, real: Tensor) -> None:
        self.real = real.bool()
        apart = real.device.type != "cpu" or torch.compiler.is_compiling()  # an exported graph is of any shape
        self.together = 1 if apart else _neighbours(*real.shape)
        self._masks: dict[int, Tensor] = {}

    def mask(self, queries: int, together: int) -> Tensor:
        """(B / N, 1, 1 | N * K, N * T) for K queries an example, N examples together: `together`, or 1.

        Given (B, T), transformers would look whether there is any padding at all, and a GPU would wait for the answer.
        """
        if together == 1:
            return self.real[:, None, None]
        if queries not in self._masks:
            own = _own(together, queries, self.real.shape[1])
            self._masks[queries] = (self.real.view(-1, 1, own.shape[1]) & own)[:, None]
        return self._masks[queries]


@functools.lru_cache(maxsize=64)
def _own(examples: int, queries: int, tokens: int) -> Tensor:
    """(N * K, N * T) bool: which queries and keys of examples that lie in one sequence are of the same example."""
    same = torch.eye(examples, dtype=torch.bool)[:, None, :, None]  # (N, 1, N, 1)
    return same.expand(-1, queries, -1, tokens).flatten(2).flatten(0, 1)


def _neighbours(examples: int, tokens: int) -> int:
    """The greatest power of two that divides the examples and leaves at most `TOGETHER` tokens in one sequence."""
    together = 1
    while examples % (2 * together) == 0 and 2 * together * tokens <= TOGETHER:
        together *= 2
    return together


class Family(NamedTuple):
    """How models of one kind are taken apart."""

    block_rows: Callable[[Any, Tensor, Tensor, Reach], Tensor]
    """(block, rows, hidden, reach): what the block makes of (B, K, D) rows, which attend to (B, T, D) -> (B, K, D)."""
    head: Callable[[PreTrainedModel, Tensor], Tensor]
    """(model, top state): (B, C) logits of (B, 1|T, D), of which the first token alone is looked at."""


def knows(model: PreTrainedModel) -> bool:
    """Whether this model can be run in part."""
    config = model.config
    return (
        type(model).__name__ in FAMILIES
        and not getattr(config, "is_decoder", False)
        and config._attn_implementation in ("sdpa", "eager")
    )


def hidden_states(model: PreTrainedModel, inputs: Inputs, wanted: Collection[int]) -> dict[int, Tensor]:
    """The wanted hidden states by their number, each (B, T, D)."""
    return _up_to(model, inputs, Reach(inputs["attention_mask"]), wanted)


def kept_states(model: PreTrainedModel, inputs: Inputs, wanted: Sequence[int], tokens: TokenSelection) -> Tensor:
    """The kept tokens of the P wanted states -> (B, P, K, D); of the highest, no other tokens are computed."""
    top = max(wanted)
    read = [tokens.positions[:, pair] for pair, state in enumerate(wanted) if state == top]
    positions = torch.cat(read, dim=1)  # (B, R): K for each pair that reads the highest state
    if top == 0 or positions.shape[1] >= inputs["input_ids"].shape[1]:
        states = hidden_states(model, inputs, wanted)
        return tokens.gather([states[state] for state in wanted])
    reach = Reach(inputs["attention_mask"])
    states = _up_to(model, inputs, reach, {*wanted, top - 1} - {top})
    rows = tokens_at(states[top - 1], positions)  # (B, R, D)
    made = iter(_block_rows(model, top, rows, states[top - 1], reach).split(tokens.positions.shape[2], dim=1))
    kept = [next(made) if state == top else tokens.of_pair(states[state], pair) for pair, state in enumerate(wanted)]
    return torch.stack(kept, dim=1)  # (B, P, K, D)


def states_and_logits(
    model: PreTrainedModel, inputs: Inputs, wanted: Collection[int]
) -> tuple[dict[int, Tensor], Tensor]:
    """The wanted hidden states, each (B, T, D), and (B, C) logits.

    Unless the highest state is wanted too, the last block computes [CLS] alone.
    """
    top, reach = len(_blocks(model)), Reach(inputs["attention_mask"])
    if top in wanted:
        states = _up_to(model, inputs, reach, wanted)
        cls = states[top]
    else:
        states = _up_to(model, inputs, reach, {*wanted, top - 1})
        cls = _block_rows(model, top, states[top - 1][:, :1], states[top - 1], reach)  # (B, 1, D)
    return states, _family(model).head(model, cls)


def _up_to(model: PreTrainedModel, inputs: Inputs, reach: Reach, wanted: Collection[int]) -> dict[int, Tensor]:
    """The wanted hidden states; no block above the highest of them runs."""
    state, found = _embed(model, inputs), {}
    for number in range(min(max(wanted), len(_blocks(model))) + 1):
        if number > 0:
            state = _block_rows(model, number, state, state, reach)
        if number in wanted:
            found[number] = state
    return found


def _embed(model: PreTrainedModel, inputs: Inputs) -> Tensor:
    body = model.base_model
    state: Tensor = body.embeddings(**{name: ids for name, ids in inputs.items() if name != "attention_mask"})
    project = getattr(body, "embeddings_project", None)  # ELECTRA's, where its embeddings are narrower
    return state if project is None else project(state)


def _block_rows(model: PreTrainedModel, number: int, rows: Tensor, hidden: Tensor, reach: Reach) -> Tensor:
    """Rows (B, K, D) of state `number`, by its block, of the same rows and all (B, T, D) of the state below."""
    return _family(model).block_rows(_blocks(model)[number - 1], rows, hidden, reach)


def _family(model: PreTrainedModel) -> Family:
    return FAMILIES[type(model).__name__]


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    body = model.base_model
    blocks: nn.ModuleList = (body.transformer if hasattr(body, "transformer") else body.encoder).layer
    return blocks


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor, reach: Reach) -> Tensor:
    """Attention of (B, K, D) queries to (B, T, D) keys and values, its heads side by side -> (B, K, D)."""
    dropout = attention.dropout.p if attention.training else 0.0
    together = 1 if dropout > 0 else reach.together  # torch draws for all pairs of tokens, of one example or of two

    def heads(part: Tensor) -> Tensor:  # (B / N, H, N * K or N * T, size)
        size = attention.attention_head_size
        return part.reshape(-1, together * part.shape[1], part.shape[2] // size, size).transpose(1, 2)

    first, second, third, mask = heads(query), heads(key), heads(value), reach.mask(query.shape[1], together)
    context = F.scaled_dot_product_attention(first, second, third, mask, dropout, scale=attention.scaling)
    return context.transpose(1, 2).reshape(query.shape)


def _bert_rows(block: Any, rows: Tensor, hidden: Tensor, reach: Reach) -> Tensor:
    attention = block.attention.self
    context = _attend(attention, attention.query(rows), attention.key(hidden), attention.value(hidden), reach)
    made: Tensor = block.feed_forward_chunk(block.attention.output(context, rows))
    return made


def _distilbert_rows(block: Any, rows: Tensor, hidden: Tensor, reach: Reach) -> Tensor:
    attention = block.attention
    context = _attend(attention, attention.q_lin(rows), attention.k_lin(hidden), attention.v_lin(hidden), reach)
    attended = block.sa_layer_norm(attention.out_lin(context) + rows)
    made: Tensor = block.output_layer_norm(block.ffn(attended) + attended)
    return made


def _pooler_and_classifier(model: PreTrainedModel, state: Tensor) -> Tensor:
    logits: Tensor = model.classifier(model.dropout(model.base_model.pooler(state)))
    return logits


def _classifier(model: PreTrainedModel, state: Tensor) -> Tensor:
    logits: Tensor = model.classifier(state)
    return logits


def _distilbert_head(model: PreTrainedModel, state: Tensor) -> Tensor:
    logits: Tensor = model.classifier(model.dropout(F.relu(model.pre_classifier(state[:, 0]))))
    return logits


FAMILIES = {
    "BertForSequenceClassification": Family(_bert_rows, _pooler_and_classifier),
    "RositaForSequenceClassification": Family(_bert_rows, _pooler_and_classifier),
    "RobertaForSequenceClassification": Family(_bert_rows, _classifier),
    "ElectraForSequenceClassification": Family(_bert_rows, _classifier),
    "DistilBertForSequenceClassification": Family(_distilbert_rows, _distilbert_head),
}
"""By the name of their class, so that none is imported for it."""
