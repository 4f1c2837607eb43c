"""The least time a step can take: its multiply-adds over the speed of matrix products of the model's own shapes."""

from __future__ import annotations

import statistics
import time
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig, PreTrainedModel

from benchmarks.models import device
from benchmarks.steps import ByHand, Stage, synchronize
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.store_source import StoreSource
from hskd_lightning.models import encoder
from hskd_lightning.settings.stages import HIDDEN

Product = tuple[int, int, int]
"""(M, K, N): rows, what is summed over, columns."""
LEAST = 1e-2
"""Seconds that one measurement of a product takes at least."""


def whole_model(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of this shape, run as transformers runs it: every row in every block, pooler and head."""
    return encoder.build_classifier(config).to(device())


def forward_work(config: PreTrainedConfig, examples: int, tokens: int) -> float:
    """Multiply-adds of a forward of so many examples, without padding. Embedding look-ups cost none."""
    ids = torch.ones(1, tokens, dtype=torch.int64, device=device())
    model = whole_model(config)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return examples * counter.get_total_flops() / 2


def step_work(stage: Stage, batch: TokenBatch) -> float:
    """Multiply-adds of a step in which every block computes every row: three forwards, and three of the learned map."""
    work = 3 * forward_work(stage.config, *batch.input_ids.shape)
    if stage.name == HIDDEN and stage.config.hidden_size != stage.teacher_width:
        assert isinstance(stage.source, StoreSource)
        kept = stage.source.read_hidden(batch.ids).tokens.positions.numel()
        work += 3 * kept * stage.config.hidden_size * stage.teacher_width
    return work


def work_done(step: ByHand, batch: TokenBatch) -> float:
    """Multiply-adds that forward, loss and backward of this batch really make."""
    batch = batch.to(device())
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        step.loss(batch).backward()
    step.optimizer.zero_grad()
    return counter.get_total_flops() / 2


class Products:
    """The matrix products of a model's linear layers on one batch, each timed again at every `measure`.

    Args:
        config: of the model.
        batch: of this many examples and tokens.
    """

    def __init__(self, config: PreTrainedConfig, batch: TokenBatch) -> None:
        self.shapes = linear_shapes(config, *batch.input_ids.shape)
        self.seconds: dict[Product, list[float]] = {shape: [] for shape in self.shapes}
        self._operands = {
            (rows, inner, outer): (
                torch.randn(rows, inner, device=device()),
                torch.randn(outer, inner, device=device()),
            )
            for rows, inner, outer in self.shapes
        }

    def measure(self) -> None:
        """Time each shape."""
        for shape, (left, right) in self._operands.items():
            self.seconds[shape].append(seconds_of(left, right))

    @property
    def peak(self) -> float:
        """Multiply-adds a second, each shape weighted by its work: by the medians, as steps are measured, for a machine
        that others use too is now fast and now slow.
        """
        work = {shape: count * rows_cost(shape) for shape, count in self.shapes.items()}
        spent = {shape: statistics.median(seconds) for shape, seconds in self.seconds.items()}
        return sum(work.values()) / sum(count * spent[shape] for shape, count in self.shapes.items())


def rows_cost(shape: Product) -> int:
    """Multiply-adds of an (M, K) by (K, N) product."""
    rows, inner, outer = shape
    return rows * inner * outer


def linear_shapes(config: PreTrainedConfig, examples: int, tokens: int) -> Counter[Product]:
    """(M, K, N) of the linear layers' products in a forward, and how many there are of each."""
    shapes: Counter[Product] = Counter()
    model = whole_model(config)

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        shapes[(inputs[0].shape[:-1].numel(), layer.in_features, layer.out_features)] += 1  # type: ignore[index]

    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(note)
    ids = torch.ones(examples, tokens, dtype=torch.int64, device=device())
    with torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return shapes


def seconds_of(left: Tensor, right: Tensor) -> float:
    """Seconds of left (M, K) by right (N, K) transposed: the mean of so many calls in a row that a clock sees them."""
    calls = 1
    while True:
        synchronize()
        started = time.perf_counter()
        for _ in range(calls):
            torch.mm(left, right.t())
        synchronize()
        spent = time.perf_counter() - started
        if spent >= LEAST:
            return spent / calls
        calls *= 2
