"""One tiny random model of each supported architecture, and a padded batch for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder
from tests.models.tiny_models import CONFIGS


@pytest.fixture(params=encoder.SUPPORTED)
def kind(request: pytest.FixtureRequest) -> str:
    """Each supported architecture in turn."""
    return request.param


@pytest.fixture
def tiny() -> Callable[..., PreTrainedModel]:
    """Build a classifier of this kind, in eval mode, with the same weights every time."""

    def built(kind: str, **more: object) -> PreTrainedModel:
        torch.manual_seed(0)
        return encoder.build_classifier(CONFIGS[kind](**more)).eval()

    return built


@pytest.fixture
def batch() -> TokenBatch:
    """Three examples of 7, 4 and 5 tokens; [CLS] is 2, [SEP] 3, padding 0."""
    lengths = torch.tensor([7, 4, 5])
    real = torch.arange(7) < lengths[:, None]
    input_ids = torch.randint(5, 100, real.shape, generator=torch.Generator().manual_seed(1))
    input_ids[:, 0] = 2
    input_ids[torch.arange(3), lengths - 1] = 3
    input_ids = input_ids.masked_fill(~real, 0)
    types = torch.zeros_like(input_ids)
    types[:, 3:] = 1
    special = (input_ids == 2) | (input_ids == 3)
    labels = torch.tensor([0, 1, 0])
    return TokenBatch(torch.arange(3), input_ids, real.long(), types * real, special, labels)
