"""A model of some of another's blocks, in memory and from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.shorten import keep_blocks

Build = Callable[..., PreTrainedModel]
KEPT = [[0, 2], [1, 2], [2, 0], [2], [0, 1, 2]]
NARROW_WINDOW = {"local_attention": 4}
"""ModernBERT with local attention over two tokens either way: seven tokens tell it from global attention."""


def states_of(block: torch.nn.Module) -> dict[str, Tensor]:
    return dict(block.state_dict())


@pytest.mark.parametrize("kept", KEPT)
def test_kept_blocks_have_the_weights_they_had(kind: str, kept: list[int], tiny: Build) -> None:
    model = tiny(kind)
    made = keep_blocks(model, kept)
    assert made.config.num_hidden_layers == len(kept)
    for place, number in zip(encoder.blocks(made), kept, strict=True):
        before, after = states_of(encoder.blocks(model)[number]), states_of(place)
        same = before.keys() & after.keys() - {"attn.Wqkv.weight"}  # ModernBERT's may have taken up a norm
        assert len(same) >= len(after) - 2
        assert all(torch.equal(before[name], after[name]) for name in same)


def test_embeddings_and_head_stay(kind: str, tiny: Build) -> None:
    model = tiny(kind)
    before, after = states_of(model), states_of(keep_blocks(model, [1]))
    outside = [name for name in after if not any(f".{stack}.0." in name for stack in ("layer", "layers"))]
    assert outside and all(torch.equal(before[name], after[name]) for name in outside)


def test_the_longer_model_stays_as_it_was(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    before = encoder.logits(model, batch)
    keep_blocks(model, [2, 0])
    assert model.config.num_hidden_layers == 3
    assert torch.equal(encoder.logits(model, batch), before)


def test_keeping_all_blocks_changes_nothing(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    assert torch.equal(encoder.logits(keep_blocks(model, [0, 1, 2]), batch), encoder.logits(model, batch))


def test_the_first_blocks_give_the_first_states(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    expected = encoder.hidden_states(model, batch, (0, 1))  # the last state may be normalised once more
    states = encoder.hidden_states(keep_blocks(model, [0, 1]), batch, (0, 1, 2))
    assert all(torch.equal(state, other) for state, other in zip(states[:2], expected, strict=True))


@pytest.mark.parametrize("kept", KEPT)
def test_a_shortened_model_is_the_same_from_disk(
    kind: str, kept: list[int], tiny: Build, batch: TokenBatch, tmp_path: Path
) -> None:
    made = keep_blocks(tiny(kind), kept)
    made.save_pretrained(tmp_path)
    loaded = encoder.load_classifier(str(tmp_path)).eval()
    assert loaded.config.num_hidden_layers == len(kept)
    assert torch.equal(encoder.logits(loaded, batch), encoder.logits(made, batch))


# ModernBERT: its first block has no norm before attention, and blocks attend near or far.


def norms_moved(model: PreTrainedModel) -> PreTrainedModel:
    """Norms as training leaves them: no longer 1."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("kept", KEPT)
def test_modernbert_attends_near_and_far_as_its_kept_blocks_did(
    kept: list[int], tiny: Build, batch: TokenBatch, tmp_path: Path
) -> None:
    model = tiny("modernbert", **NARROW_WINDOW)
    kinds = ["full_attention", "sliding_attention", "sliding_attention"]
    assert model.config.layer_types == kinds
    made = keep_blocks(model, kept)
    made.save_pretrained(tmp_path)
    for each in (made, encoder.load_classifier(str(tmp_path)).eval()):
        assert each.config.layer_types == [kinds[number] for number in kept]
        assert [block.attention_type for block in encoder.blocks(each)] == each.config.layer_types
        assert [block.attn.sliding_window for block in encoder.blocks(each)] == [(None, 3, 3)[at] for at in kept]
        assert torch.equal(encoder.logits(each, batch), encoder.logits(made, batch))


def test_modernberts_norm_before_attention_goes_into_the_first_blocks_projection(
    tiny: Build, batch: TokenBatch
) -> None:
    model = norms_moved(tiny("modernbert"))
    block = encoder.blocks(model)[1]
    (embedded,) = encoder.hidden_states(model, batch, (0,))
    folded = encoder.blocks(keep_blocks(model, [1]))[0]
    with torch.no_grad():
        exact, found = block.attn.Wqkv(block.attn_norm(embedded)), folded.attn.Wqkv(embedded)  # (B, T, 3D)
    spread = embedded.std(dim=-1, keepdim=True, correction=0)  # each token's own: what one matrix cannot know
    common = model.model.embeddings.norm.weight.square().mean().sqrt()
    torch.testing.assert_close(found, exact * spread / common, rtol=1e-3, atol=1e-4)


def test_modernberts_norm_of_ones_is_lost_without_loss(tiny: Build, batch: TokenBatch) -> None:
    """The embeddings are normalised already: twice is once."""
    model = tiny("modernbert")
    made = keep_blocks(model, [1, 2])
    encoder.blocks(model)[0].forward = lambda states, **_: states  # the longer model without its first block
    torch.testing.assert_close(encoder.logits(made, batch), encoder.logits(model, batch), rtol=1e-3, atol=1e-3)


def test_modernberts_first_block_elsewhere_gets_the_embeddings_norm(tiny: Build) -> None:
    model = norms_moved(tiny("modernbert"))
    made = encoder.blocks(keep_blocks(model, [2, 0]))[1]
    assert torch.equal(made.attn_norm.weight, model.model.embeddings.norm.weight)
