"""What a classifier costs to run: multiply-adds a token, and how long one call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from hskd_lightning.hsk import TokenBatch
from hskd_lightning.models import encoder

BATCHES, LENGTHS = (1, 32), (16, 128)
"""What latency is measured on: examples a call, tokens an example."""
LEAST_CALLS, MOST_CALLS = 20, 200


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a call on one batch."""

    batch: int
    tokens: int
    p50_ms: float
    p95_ms: float
    calls: int


def random_batch(batch: int, tokens: int, vocabulary: int) -> TokenBatch:
    """Made-up token ids without padding."""
    ids = torch.randint(1, vocabulary, (batch, tokens), generator=torch.Generator().manual_seed(0))
    return TokenBatch(
        ids=torch.arange(batch),
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        token_type_ids=torch.zeros_like(ids),
        special=torch.zeros_like(ids, dtype=torch.bool),
        labels=torch.zeros(batch, dtype=torch.int64),
    )


def multiply_adds(model: PreTrainedModel, tokens: int) -> float:
    """Multiply-adds a token in the forward of one example of so many tokens, attention and head included.

    Counted by torch from the matrix products that run; SDPA is made to run as such. The whole model is counted, as
    transformers runs it: a last block that computes [CLS] alone (`encoder.logits`, the ONNX file) costs less.
    """
    batch = random_batch(1, tokens, model.config.vocab_size)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(**encoder.model_inputs(model, batch))
    return counter.get_total_flops() / 2 / tokens


def lengths_within(longest: int) -> list[int]:
    """The lengths to measure that a model can read."""
    return sorted({min(length, longest) for length in LENGTHS})


@torch.inference_mode()
def latencies(
    predict: Callable[[TokenBatch], Tensor], vocabulary: int, lengths: Sequence[int], seconds: float
) -> list[Latency]:
    """Time single calls, one after another, on every size of batch.

    Args:
        predict: batch -> logits.
        lengths: tokens an example.
        seconds: about how long to measure each size; 20 calls are made whatever they take.
    """
    measured = []
    for size in BATCHES:
        for tokens in lengths:
            batch = random_batch(size, tokens, vocabulary)
            taken = _time(lambda batch=batch: predict(batch), seconds)  # type: ignore[misc]
            twentieths = statistics.quantiles(taken, n=20, method="inclusive")
            measured.append(Latency(size, tokens, twentieths[9] * 1e3, twentieths[18] * 1e3, len(taken)))
    return measured


def _time(call: Callable[[], object], seconds: float) -> list[float]:
    call()  # warm up
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < LEAST_CALLS or (len(taken) < MOST_CALLS and time.perf_counter() < end):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken
