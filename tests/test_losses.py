"""The losses by hand, and that padding moves neither them nor their gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, PreTrainedModel

from hskd_lightning.compress.compression import Compression, HskPlan, Shape
from hskd_lightning.compress.depth.all import AllLayers
from hskd_lightning.compress.length.cls_first import ClsFirst
from hskd_lightning.compress.length.random import RandomTokens
from hskd_lightning.compress.width.magnitude_mask import MagnitudeMask
from hskd_lightning.compress.width.random_mask import RandomMask
from hskd_lightning.data.loader import collate
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import HiddenTarget, TokenBatch, TokenSelection
from hskd_lightning.losses import hidden_losses, label_loss, score_loss, soft_cross_entropy
from hskd_lightning.models import encoder


def target(values: Tensor, valid: list | None = None, units: list | None = None) -> HiddenTarget:
    """A target (B, P, K, W); all tokens and all units count unless said otherwise."""
    shape = values.shape[:-1]
    mask = torch.ones(shape, dtype=torch.bool) if valid is None else torch.tensor(valid)
    which = None if units is None else torch.tensor(units)
    return HiddenTarget(values, TokenSelection(torch.zeros(shape, dtype=torch.int64), mask), which)


# Hidden stage.

TWO_TOKENS = torch.tensor([[[[1.0, 1.0], [2.0, 4.0]]]])  # (1, 1, 2, 2)


def test_hidden_loss_is_the_mean_square() -> None:
    assert hidden_losses(TWO_TOKENS, target(torch.zeros(1, 1, 2, 2))).tolist() == [5.5]  # (1+1+4+16) / 4


def test_hidden_loss_has_one_number_a_pair() -> None:
    student = torch.tensor([[[[1.0, 1.0]], [[2.0, 4.0]]]])  # (1, 2, 1, 2)
    assert hidden_losses(student, target(torch.zeros(1, 2, 1, 2))).tolist() == [1.0, 10.0]


def test_tokens_that_are_not_there_do_not_count() -> None:
    assert hidden_losses(TWO_TOKENS, target(torch.zeros(1, 1, 2, 2), [[[True, False]]])).tolist() == [1.0]


def test_the_mean_runs_over_tokens_not_over_examples() -> None:
    student = torch.tensor([[[[3.0], [3.0]]], [[[6.0], [99.0]]]])  # (2, 1, 2, 1)
    valid = [[[True, True]], [[True, False]]]
    assert hidden_losses(student, target(torch.zeros(2, 1, 2, 1), valid)).tolist() == [18.0]  # (9+9+36) / 3


def test_units_that_do_not_count_are_left_out() -> None:
    units = [[[[True, False], [False, True]]]]
    assert hidden_losses(TWO_TOKENS, target(torch.zeros(1, 1, 2, 2), None, units)).tolist() == [8.5]  # (1+16) / 2


def test_units_of_a_token_that_is_not_there_do_not_count() -> None:
    units = [[[[True, False], [True, True]]]]
    found = hidden_losses(TWO_TOKENS, target(torch.zeros(1, 1, 2, 2), [[[True, False]]], units))
    assert found.tolist() == [1.0]


def test_a_pair_without_tokens_costs_nothing() -> None:
    assert hidden_losses(TWO_TOKENS, target(torch.zeros(1, 1, 2, 2), [[[False, False]]])).tolist() == [0.0]


def test_tokens_that_are_not_there_get_no_gradient() -> None:
    student = TWO_TOKENS.clone().requires_grad_()
    hidden_losses(student, target(torch.zeros(1, 1, 2, 2), [[[True, False]]])).sum().backward()
    assert student.grad is not None
    assert student.grad.tolist() == [[[[1.0, 1.0], [0.0, 0.0]]]]  # 2 x 1 / 2


def test_half_precision_states_are_compared_in_float32() -> None:
    student = torch.full((1, 1, 1, 2), 300.0, dtype=torch.float16)  # 300^2 is beyond float16
    found = hidden_losses(student, target(torch.zeros(1, 1, 1, 2, dtype=torch.float16)))
    assert found.dtype == torch.float32
    assert found.tolist() == [90000.0]


# Padding, through a real model, collate and compression.


def random_split() -> TokenSplit:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([7, 3, 5])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    flat = int(lengths.sum())
    return TokenSplit(
        ids=torch.arange(3),
        labels=torch.zeros(3, dtype=torch.int64),
        offsets=offsets,
        input_ids=torch.randint(5, 50, (flat,), generator=generator, dtype=torch.int32),
        token_type_ids=torch.zeros(flat, dtype=torch.int8),
        special=torch.zeros(flat, dtype=torch.bool),
    )


def tiny_bert(seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.2,
    )
    return encoder.build_classifier(config).eval()


def compression(length, width) -> Compression:
    return HskPlan.resolve(Shape(2, 16, 2), AllLayers(), length, width).unfitted


def loss_and_gradients(kept: Compression, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
    teacher, student = tiny_bert(0), tiny_bert(1)
    with torch.no_grad():
        aim = kept.compress(encoder.hidden_states(teacher, batch, (0, 1, 2)), batch, None)
    view = kept.view(encoder.kept_states(student, batch, (0, 1, 2), aim.tokens), torch.nn.Identity())
    loss = hidden_losses(view, aim).sum()
    loss.backward()
    gradients = {name: p.grad for name, p in student.named_parameters() if p.grad is not None}
    return loss.detach(), gradients


@pytest.mark.parametrize(
    ("length", "width"),
    [
        pytest.param(ClsFirst(), RandomMask(), id="everything"),
        pytest.param(RandomTokens(keep=0.5), RandomMask(keep=5), id="tokens and units"),
        pytest.param(ClsFirst(keep=4), MagnitudeMask(keep=5, scope="batch"), id="largest of the batch"),
    ],
)
def test_padding_moves_neither_loss_nor_gradients(length, width) -> None:
    rows = torch.arange(3)
    kept = compression(length, width)
    narrow, gradients = loss_and_gradients(kept, collate(random_split(), rows, pad_id=0))
    wide, wide_gradients = loss_and_gradients(kept, collate(random_split(), rows, pad_id=0, pad_to=20))
    torch.testing.assert_close(wide, narrow, rtol=1e-6, atol=1e-6)
    assert len(gradients) > 20 and gradients.keys() == wide_gradients.keys()
    torch.testing.assert_close(wide_gradients, gradients, rtol=1e-5, atol=1e-6)


def test_padding_distilled_does_move_the_loss() -> None:
    rows = torch.arange(3)
    kept = Compression(AllLayers().layer_map(2, 2), ClsFirst(), RandomMask().fit(16, None), padding="distill")
    narrow, _ = loss_and_gradients(kept, collate(random_split(), rows, pad_id=0))
    wide, _ = loss_and_gradients(kept, collate(random_split(), rows, pad_id=0, pad_to=20))
    assert abs(wide - narrow) > 1e-3


# Prediction stage.


def random_logits(seed: int) -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))


def test_soft_cross_entropy_of_two_undecided_models() -> None:
    assert soft_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2)).item() == pytest.approx(math.log(2))


def test_soft_cross_entropy_by_hand() -> None:
    teacher = torch.tensor([[math.log(3.0), 0.0]])  # 3/4, 1/4
    student = torch.tensor([[0.0, math.log(3.0)]])  # 1/4, 3/4
    expected = 0.75 * math.log(4) + 0.25 * math.log(4 / 3)
    assert soft_cross_entropy(student, teacher).item() == pytest.approx(expected)


def test_soft_cross_entropy_is_torchs_with_probabilities() -> None:
    student, teacher = random_logits(0), random_logits(1)
    expected = F.cross_entropy(student, teacher.softmax(dim=-1))
    torch.testing.assert_close(soft_cross_entropy(student, teacher), expected)


def test_soft_cross_entropy_with_temperature_is_torchs_times_its_square() -> None:
    student, teacher = random_logits(0), random_logits(1)
    expected = 9 * F.cross_entropy(student / 3, (teacher / 3).softmax(dim=-1))
    torch.testing.assert_close(soft_cross_entropy(student, teacher, temperature=3.0), expected)


def gradient_size(temperature: float, mean_over: str = "examples") -> float:
    student, teacher = random_logits(0).requires_grad_(), random_logits(1)
    soft_cross_entropy(student, teacher, temperature, mean_over).backward()
    assert student.grad is not None
    return student.grad.norm().item()


def test_gradients_keep_their_size_at_high_temperatures() -> None:
    assert gradient_size(100.0) == pytest.approx(gradient_size(10.0), rel=0.1)


def test_without_the_square_gradients_would_vanish() -> None:
    assert gradient_size(100.0, "elements") == pytest.approx(gradient_size(10.0, "elements") / 100, rel=0.1)


def test_elements_also_averages_over_classes() -> None:
    student, teacher = random_logits(0), random_logits(1)
    elements = soft_cross_entropy(student, teacher, mean_over="elements")
    torch.testing.assert_close(elements, soft_cross_entropy(student, teacher) / 3)


def test_elements_leaves_the_temperatures_square_out() -> None:
    undecided = soft_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2), 5.0, "elements")
    assert undecided.item() == pytest.approx(math.log(2) / 2)


# Scores and gold labels.


def test_score_loss_is_the_mean_square() -> None:
    assert score_loss(torch.tensor([[1.0], [2.0]]), torch.tensor([3.0, 2.0])).item() == 2.0  # (4 + 0) / 2


def test_score_loss_of_one_example() -> None:
    assert score_loss(torch.tensor([[1.0]]), torch.tensor([3.0])).item() == 4.0


def test_label_loss_of_classes_is_cross_entropy() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]])
    assert label_loss(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))


def test_label_loss_of_scores_is_squared_error() -> None:
    assert label_loss(torch.tensor([[1.0]]), torch.tensor([3.0])).item() == 4.0
