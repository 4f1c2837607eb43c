"""A model of some of another's blocks: what its configuration can hold, so that it is the same when read from disk."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.models import encoder

State = dict[str, Tensor]


def keep_blocks(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    """A model of these blocks only (0-based), in this order, with the same embeddings and head.

    It is built anew from the shortened configuration, and the weights are put into it. A block moved as it is would
    carry along what its old place gave it: ModernBERT's first block has no norm before its attention, and a file of
    another block in that place is read without its norm.
    """
    made = encoder.build_classifier(_shortened(model, kept)).train(model.training)
    stack = encoder.blocks(model)
    inside = next(f"{name}." for name, module in model.named_modules() if module is stack)
    outside = {name: value for name, value in model.state_dict().items() if not name.startswith(inside)}
    missing, unexpected = made.load_state_dict(outside, strict=False)
    assert not unexpected and all(name.startswith(inside) for name in missing), (missing, unexpected)
    for place, number in zip(encoder.blocks(made), kept, strict=True):
        state = _fitted(stack[number].state_dict(), place.state_dict(), model)
        place.load_state_dict(state, strict=True)
    return made


def _shortened(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedConfig:
    """The configuration of so many blocks. Each keeps its kind of attention (ModernBERT: local or global)."""
    config = copy.deepcopy(model.config)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[number] for number in kept]
    config.num_hidden_layers = len(kept)
    return config


def _fitted(state: State, place: State, model: PreTrainedModel) -> State:
    """A block's weights as its new place can hold them, which differs from its old one in ModernBERT alone."""
    norm = "attn_norm.weight"
    if norm in state and norm not in place:
        return _without_norm(state, model.base_model.embeddings.norm)
    if norm in place and norm not in state:
        # The first block read the embeddings' norm as it is: elsewhere its norm gets that one's scale.
        before = model.base_model.embeddings.norm.state_dict()
        return {**state, **{f"attn_norm.{name}": value for name, value in before.items()}}
    return state


def _without_norm(state: State, before: nn.LayerNorm) -> State:
    """A block's weights for the first place, which has no norm before its attention: the norm goes into the projection.

    There the attention reads what the embeddings' norm put out. Its own norm is a matrix, centring and then its scale,
    but for the division by each token's spread, which is 1 times the embeddings' scale: by its root mean square all
    tokens are divided. Lost is how far a token's spread is from that, and the norm's bias, if it has one.
    """
    projection = state["attn.Wqkv.weight"] * state["attn_norm.weight"] / before.weight.square().mean().sqrt()  # (3D, D)
    centred = projection - projection.mean(dim=1, keepdim=True)
    rest = {name: value for name, value in state.items() if not name.startswith("attn_norm.")}
    return {**rest, "attn.Wqkv.weight": centred.detach()}
