"""Attention caught in passing is the attention that the model computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from hskd_lightning.compress.bits.floats import FloatCode
from hskd_lightning.compress.compression import Compression
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.length.base import MASKED_SCORE
from hskd_lightning.compress.width.codes import EveryUnit
from hskd_lightning.hsk import LayerMap, TokenBatch
from hskd_lightning.models import encoder
from hskd_lightning.models.attention import (
    AttentionProbe,
    cls_row,
    from_probabilities,
    reads_probabilities,
    received,
)

Build = Callable[..., PreTrainedModel]
PROBED = ["bert", "roberta", "electra", "distilbert"]


def eager(model: PreTrainedModel, batch: TokenBatch) -> tuple[Tensor, ...]:
    """transformers' own attention probabilities, (B, H, T, T) of each block."""
    model.set_attn_implementation("eager")
    inputs = encoder.model_inputs(model.base_model, batch)
    return model.base_model(**inputs, output_attentions=True).attentions


def probed(model: PreTrainedModel, batch: TokenBatch, wanted: tuple[int, ...], statistic: str) -> Tensor:
    with torch.no_grad(), AttentionProbe(model, wanted, statistic) as probe:
        encoder.hidden_states(model, batch, (3,))
    return probe.scores(batch)


def centred(scores: Tensor, real: Tensor) -> Tensor:
    """(B, T) scores less their mean over each row's real tokens, 0 on padding."""
    scores = scores.masked_fill(~real, 0.0)
    return (scores - scores.sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)).masked_fill(~real, 0.0)


# By hand: one head of width 4, so scores are divided by 2.


def test_cls_row_by_hand() -> None:
    query = torch.tensor([[[2.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]])
    key = torch.tensor([[[1.0, 5.0, 5.0, 5.0], [3.0, 5.0, 5.0, 5.0]]])
    assert cls_row(query, key, torch.tensor([[True, True]]), heads=1).tolist() == [[1.0, 3.0]]


def test_cls_row_is_the_mean_over_heads() -> None:
    query = torch.tensor([[[2.0, 0.0, 0.0, 4.0]]])  # two heads of width 2: divided by sqrt(2)
    key = torch.tensor([[[1.0, 0.0, 0.0, 1.0], [3.0, 0.0, 0.0, 0.0]]])
    expected = [(2 + 4) / 2 / 2**0.5, (6 + 0) / 2 / 2**0.5]
    found = cls_row(query, key, torch.tensor([[True, True]]), heads=2)
    assert found.tolist() == [pytest.approx(expected)]


def test_cls_row_of_padding_is_the_released_codes() -> None:
    query, key = torch.ones(1, 2, 4), torch.ones(1, 2, 4)
    assert cls_row(query, key, torch.tensor([[True, False]]), heads=1).tolist() == [[2.0, 2.0 + MASKED_SCORE]]


def test_cls_row_ranks_padding_by_its_raw_score() -> None:
    query, key = torch.ones(1, 4, 4), torch.tensor([[[9.0], [-1.0], [1.0], [0.0]]]).expand(-1, -1, 4)
    row = cls_row(query, key, torch.tensor([[True, False, False, False]]), heads=1)
    assert row.tolist() == [[18.0, MASKED_SCORE - 2.0, MASKED_SCORE + 2.0, MASKED_SCORE]]


def test_cls_row_of_a_double_is_a_double() -> None:
    query = key = torch.full((1, 2, 4), 1 / 3, dtype=torch.float64)
    row = cls_row(query, key, torch.tensor([[True, True]]), heads=2)
    assert row.dtype == torch.float64 and row[0, 0].item() == pytest.approx(2 / 9 / 2**0.5, rel=1e-15)


def test_cls_row_is_never_narrower_than_float32() -> None:
    query, key = (torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(seed)).bfloat16() for seed in (0, 1))
    real = torch.ones(1, 5, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        row = cls_row(query, key, real, heads=4)
    assert row.dtype == torch.float32
    torch.testing.assert_close(row.double(), cls_row(query.double(), key.double(), real, heads=4), rtol=1e-5, atol=1e-6)


def test_received_by_hand() -> None:
    # Every score is equal: each of two real queries gives one half to each real position.
    flat = torch.ones(1, 3, 4)
    found = received(flat, flat, torch.tensor([[True, True, False]]), heads=2)
    assert found.tolist() == [[0.5, 0.5, 0.0]]


def test_received_adds_up_to_one() -> None:
    query, key = torch.randn(2, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    torch.testing.assert_close(received(query, key, real, heads=4).sum(dim=1), torch.ones(2))


# Against the models.


PAIRS, BLOCKS = ((2, 2), (3, 3)), (1, 2)
"""(student state, teacher state), and the block whose attention ranks it."""


def released(teacher: PreTrainedModel, student: list[Tensor], batch: TokenBatch, keep: int) -> tuple[Tensor, Tensor]:
    """(B, P, K) positions and the hidden loss by the released code's own rule, its attention_no_sep with [PAD]."""
    states = teacher.bert(batch.input_ids, batch.attention_mask, batch.token_type_ids, output_hidden_states=True)[2]
    positions, loss = [], torch.zeros((), dtype=torch.float64)
    for (_, state), block, own in zip(PAIRS, BLOCKS, student, strict=True):
        attention = teacher.bert.encoder.layer[block].attention.self
        query, key = (
            part(states[block]).view(3, 7, 4, 8).transpose(1, 2) for part in (attention.query, attention.key)
        )  # (B, H, T, D/H)
        score = query @ key.transpose(2, 3) / 8**0.5 + (1 - batch.attention_mask[:, None, None]) * -1e4
        separators = (batch.input_ids == 3).byte()
        score = score.mean(1)[:, 0].scatter(-1, separators.topk(int(separators[0].sum()), dim=1).indices, -1e4)
        kept = score.topk(keep, dim=1).indices
        taken = (each.gather(1, kept[..., None].expand(-1, -1, 32)) for each in (own, states[state]))
        loss = loss + torch.nn.functional.mse_loss(*taken)
        positions.append(kept)
    return torch.stack(positions, dim=1), loss


@pytest.mark.parametrize("keep", [4, 5, 6])
def test_short_examples_are_filled_in_the_released_codes_order(tiny: Build, batch: TokenBatch, keep: int) -> None:
    teacher = tiny("bert").double()
    shape = (3, 7, 32)
    student = [torch.randn(shape, generator=torch.Generator().manual_seed(at), dtype=torch.float64) for at in (1, 2)]
    student = [state.requires_grad_() for state in student]
    length = AttentionWithoutSep(keep=keep, separators="first_row")
    compression = Compression(LayerMap(PAIRS), length, EveryUnit(), "distill", FloatCode(torch.float64))
    with torch.no_grad():
        with AttentionProbe(teacher, BLOCKS, "cls_row") as probe:
            states = encoder.hidden_states(teacher, batch, tuple(state for _, state in PAIRS))
        target = compression.compress(states, batch, probe.scores(batch))
        expected_positions, _ = released(teacher, student, batch, keep)
    seen = compression.view(target.tokens.gather(student), lambda states: states)
    loss = (seen - target.values).square().mean(dim=(0, 2, 3)).sum()
    _, expected = released(teacher, student, batch, keep)
    assert torch.equal(target.tokens.positions, expected_positions)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(torch.autograd.grad(loss, student), torch.autograd.grad(expected, student), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_only_plain_dot_products_are_probed(kind: str, tiny: Build) -> None:
    assert reads_probabilities(tiny(kind)) == (kind not in PROBED)


@pytest.mark.parametrize("kind", PROBED)
def test_cls_row_is_the_models_own_up_to_a_constant(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    scores = probed(model, batch, (0, 1, 2), "cls_row")
    assert scores.shape == (3, 3, 7)
    for block, probability in enumerate(eager(model, batch)):
        own = probability[:, :, 0].clamp_min(1e-38).log().mean(dim=1)  # (B, T)
        torch.testing.assert_close(
            centred(scores[:, block], batch.real), centred(own, batch.real), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", PROBED)
def test_cls_row_of_padding_is_below_every_real_score(kind: str, tiny: Build, batch: TokenBatch) -> None:
    scores = probed(tiny(kind), batch, (1,), "cls_row")[:, 0]
    assert (scores[~batch.real] < scores[batch.real].min() + MASKED_SCORE / 2).all()
    assert len(set(scores[~batch.real].tolist())) > 1


@pytest.mark.parametrize("kind", PROBED)
def test_received_is_the_models_own(kind: str, tiny: Build, batch: TokenBatch) -> None:
    model = tiny(kind)
    scores = probed(model, batch, (0, 1, 2), "received")
    for block, probability in enumerate(eager(model, batch)):
        rows = [probability[row, :, : int(real.sum())].mean(dim=(0, 1)) for row, real in enumerate(batch.real)]
        torch.testing.assert_close(scores[:, block], torch.stack(rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("statistic", ["cls_row", "received"])
@pytest.mark.parametrize("kind", PROBED)
def test_probing_and_reading_probabilities_rank_alike(
    kind: str, statistic: str, tiny: Build, batch: TokenBatch
) -> None:
    model = tiny(kind)
    scores = probed(model, batch, (0, 2), statistic)
    with torch.no_grad():
        read = from_probabilities(eager(model, batch), (0, 2), statistic, batch)
    assert read.shape == scores.shape
    assert torch.equal(scores.argsort(dim=-1, descending=True)[0], read.argsort(dim=-1, descending=True)[0])


def test_a_block_may_serve_several_pairs_in_any_order(tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    scores = probed(model, batch, (2, 0, 2), "cls_row")
    expected = probed(model, batch, (0, 1, 2), "cls_row")
    assert torch.equal(scores, expected[:, [2, 0, 2]])


def test_probing_does_not_change_the_states(tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    (before,) = encoder.hidden_states(model, batch, (3,))
    with AttentionProbe(model, (0, 1), "received"):
        (during,) = encoder.hidden_states(model, batch, (3,))
    assert torch.equal(before, during)


def hooks(model: PreTrainedModel) -> int:
    """Forward hooks within the blocks; transformers has some of its own, once it has recorded states."""
    return sum(len(module._forward_hooks) for module in encoder.blocks(model).modules())


def test_no_hook_stays_behind(tiny: Build, batch: TokenBatch) -> None:
    model = tiny("bert")
    encoder.hidden_states(model, batch, (3,))
    before = hooks(model)
    with AttentionProbe(model, (0, 1, 2), "cls_row"):
        assert hooks(model) == before + 6
    assert hooks(model) == before


def test_no_hook_stays_behind_after_an_error(tiny: Build) -> None:
    model = tiny("bert")
    with pytest.raises(KeyError, match="out of memory, say"), AttentionProbe(model, (0,), "cls_row"):
        raise KeyError("out of memory, say")
    assert hooks(model) == 0
