"""Run an encoder no further than what is read of it.

Blocks above the highest state that is asked for do not run. The block that makes this state, or the one below the
classification head, computes only the tokens that are looked at: keys and values are every token's, but queries, output
projection, normalisation and feed-forward run for those alone. Both leave out work that nobody reads, forward and
backward: results and gradients are the whole model's, up to the order of sums.

With dropout on, fewer random numbers are drawn: a step's draw is another than the whole model's, its distribution the
same.

The families below are taken apart so, whose blocks are BERT's by another name. Any other model runs as transformers
has it; `knows` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenSelection

Inputs = Mapping[str, Tensor]
"""What the model's own forward takes: `encoder.model_inputs`."""


class Family(NamedTuple):
    """How models of one kind are taken apart."""

    block_rows: Callable[[Any, Tensor, Tensor, Tensor], Tensor]
    """(block, rows, hidden, mask): what the block makes of (B, K, D) rows, which attend to (B, T, D) -> (B, K, D)."""
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
    return _up_to(model, inputs, _mask(model, inputs), wanted)


def kept_states(model: PreTrainedModel, inputs: Inputs, wanted: Sequence[int], tokens: TokenSelection) -> Tensor:
    """The kept tokens of the P wanted states -> (B, P, K, D); of the highest, no other tokens are computed."""
    top = max(wanted)
    read = [tokens.positions[:, pair] for pair, state in enumerate(wanted) if state == top]
    positions = torch.cat(read, dim=1)  # (B, R): K for each pair that reads the highest state
    if top == 0 or positions.shape[1] >= inputs["input_ids"].shape[1]:
        states = hidden_states(model, inputs, wanted)
        return tokens.gather([states[state] for state in wanted])
    mask = _mask(model, inputs)
    states = _up_to(model, inputs, mask, {*wanted, top - 1} - {top})
    rows = states[top - 1].take_along_dim(positions[..., None], dim=1)  # (B, R, D)
    made = iter(_block_rows(model, top, rows, states[top - 1], mask).split(tokens.positions.shape[2], dim=1))
    kept = [next(made) if state == top else tokens.of_pair(states[state], pair) for pair, state in enumerate(wanted)]
    return torch.stack(kept, dim=1)  # (B, P, K, D)


def states_and_logits(
    model: PreTrainedModel, inputs: Inputs, wanted: Collection[int]
) -> tuple[dict[int, Tensor], Tensor]:
    """The wanted hidden states, each (B, T, D), and (B, C) logits.

    Unless the highest state is wanted too, the last block computes [CLS] alone.
    """
    top, mask = len(_blocks(model)), _mask(model, inputs)
    if top in wanted:
        states = _up_to(model, inputs, mask, wanted)
        cls = states[top]
    else:
        states = _up_to(model, inputs, mask, {*wanted, top - 1})
        cls = _block_rows(model, top, states[top - 1][:, :1], states[top - 1], mask)  # (B, 1, D)
    return states, _family(model).head(model, cls)


def _up_to(model: PreTrainedModel, inputs: Inputs, mask: Tensor, wanted: Collection[int]) -> dict[int, Tensor]:
    """The wanted hidden states; no block above the highest of them runs."""
    state, found = _embed(model, inputs), {}
    for number, block in enumerate(_blocks(model)):
        if number in wanted:
            found[number] = state
        if number >= max(wanted):
            return found
        state = block(state, mask)
    return {**found, len(_blocks(model)): state}


def _embed(model: PreTrainedModel, inputs: Inputs) -> Tensor:
    body = model.base_model
    state: Tensor = body.embeddings(**{name: ids for name, ids in inputs.items() if name != "attention_mask"})
    project = getattr(body, "embeddings_project", None)  # ELECTRA's, where its embeddings are narrower
    return state if project is None else project(state)


def _mask(model: PreTrainedModel, inputs: Inputs) -> Tensor:
    """(B, 1, 1, T): what every head and query may attend to.

    Given (B, T), transformers would look whether there is any padding at all, and a GPU would wait for the answer.
    """
    real = inputs["attention_mask"].bool()[:, None, None]  # (B, 1, 1, T)
    if model.config._attn_implementation == "sdpa":
        return real
    lowest = torch.finfo(model.dtype).min  # eager attention adds its mask
    return torch.zeros_like(real, dtype=model.dtype).masked_fill(~real, lowest)


def _block_rows(model: PreTrainedModel, number: int, rows: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
    """Rows (B, K, D) of state `number`, by its block, of the same rows and all (B, T, D) of the state below."""
    return _family(model).block_rows(_blocks(model)[number - 1], rows, hidden, mask)


def _family(model: PreTrainedModel) -> Family:
    return FAMILIES[type(model).__name__]


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    body = model.base_model
    blocks: nn.ModuleList = (body.transformer if hasattr(body, "transformer") else body.encoder).layer
    return blocks


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Attention of (B, K, D) queries to (B, T, D) keys and values, its heads side by side -> (B, K, D)."""
    size = attention.attention_head_size
    query, key, value = (part.unflatten(-1, (-1, size)).transpose(1, 2) for part in (query, key, value))  # (B, H, ., .)
    dropout = attention.dropout.p if attention.training else 0.0
    context = F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=attention.scaling)
    return context.transpose(1, 2).flatten(2)


def _bert_rows(block: Any, rows: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
    attention = block.attention.self
    context = _attend(attention, attention.query(rows), attention.key(hidden), attention.value(hidden), mask)
    made: Tensor = block.feed_forward_chunk(block.attention.output(context, rows))
    return made


def _distilbert_rows(block: Any, rows: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
    attention = block.attention
    context = _attend(attention, attention.q_lin(rows), attention.k_lin(hidden), attention.v_lin(hidden), mask)
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
