"""Multiply-adds by hand, and percentiles of calls."""

from __future__ import annotations

import time

import pytest
import torch
from transformers import BertConfig

from hskd_lightning.export import cost
from hskd_lightning.export.cost import latencies, lengths_within, multiply_adds, random_batch
from hskd_lightning.models import encoder
from hskd_lightning.models.rosita import RositaConfig

SIZES = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 3, "intermediate_size": 12, "num_labels": 2}


def test_multiply_adds_of_a_bert() -> None:
    model = encoder.build_classifier(BertConfig(**SIZES, num_attention_heads=2))
    tokens = 10
    block = 4 * 8 * 8 + 2 * 8 * 12 + 2 * tokens * 8  # projections, feed-forward, scores and their use
    head = 8 * 8 + 8 * 2  # pooler and classifier, once an example
    assert multiply_adds(model, tokens) == 3 * block + head / tokens


def test_multiply_adds_of_a_rosita() -> None:
    model = encoder.build_classifier(RositaConfig(**SIZES, num_attention_heads=1, head_size=4, embedding_rank=3))
    tokens = 5
    block = 4 * 8 * 4 + 2 * 8 * 12 + 2 * tokens * 4
    assert multiply_adds(model, tokens) == 3 * block + 3 * 8 + (8 * 8 + 8 * 2) / tokens


@pytest.mark.parametrize(("longest", "lengths"), [(512, [16, 128]), (64, [16, 64]), (12, [12])])
def test_lengths_are_what_the_model_can_read(longest: int, lengths: list[int]) -> None:
    assert lengths_within(longest) == lengths


def test_percentiles_are_of_single_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 calls: one of 100 ms, the others of 2: the median is 2 ms, the 95th percentile lies in between."""
    monkeypatch.setattr(cost, "BATCHES", (1,))
    waits = iter([0.0, *[0.002] * 19, 0.1])  # the first warms up

    def predict(batch: object) -> torch.Tensor:
        time.sleep(next(waits))
        return torch.zeros(1)

    (found,) = latencies(predict, vocabulary=10, lengths=[4], seconds=0.0)
    assert (found.batch, found.tokens, found.calls) == (1, 4, 20)
    assert 2 <= found.p50_ms < 20 and found.p50_ms < found.p95_ms < 100


def test_a_random_batch_has_no_padding() -> None:
    batch = random_batch(3, 5, 10)
    assert batch.input_ids.shape == (3, 5)
    assert batch.real.all() and (batch.input_ids < 10).all()
