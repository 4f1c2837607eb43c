"""The learned map from the student's width to the teacher's, before anything has been learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hskd_lightning.training.distiller import learned_map


def drawn(start: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return learned_map(312, 768, start)


def test_our_map_is_torchs_own() -> None:
    torch.manual_seed(0)
    expected = nn.Linear(312, 768)
    assert torch.equal(drawn("torch").weight, expected.weight) and torch.equal(drawn("torch").bias, expected.bias)


@pytest.mark.parametrize("start", ["normal", "checkpoint"])
def test_the_released_codes_map_is_normal_without_a_bias(start: str) -> None:
    found = drawn(start)
    assert found.weight.shape == (768, 312)
    assert found.weight.mean().item() == pytest.approx(0, abs=2e-4)  # 240,000 draws of 0.02: 4e-5 is their error
    assert found.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert found.bias.eq(0).all()


@pytest.mark.parametrize("start", ["torch", "normal"])
def test_the_map_is_the_seeds(start: str) -> None:
    assert torch.equal(drawn(start).weight, drawn(start).weight)
    assert not torch.equal(drawn(start).weight, drawn(start, seed=1).weight)


def test_a_student_as_wide_as_its_teacher_needs_no_map() -> None:
    assert not list(learned_map(768, 768, "normal").parameters())
