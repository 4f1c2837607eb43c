"""Knowledge from a teacher in memory, which runs once more for every batch (`knowledge=online`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression, HskPlan
from hskd_lightning.compress.width.base import Moments
from hskd_lightning.devices import float64, true_places
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.source import DevScores
from hskd_lightning.models.teacher import Teacher


class TeacherSource:
    """Compresses the teacher's states on the fly.

    Args:
        teacher: the fine-tuned teacher.
        plan: what is kept; None for logits only.
        fit: makes the tensors of the plan's fits, called if it has any.
        scores: what the teacher reaches on dev, called if somebody asks.
    """

    origin = None

    def __init__(
        self,
        teacher: Teacher,
        plan: HskPlan | None = None,
        fit: Callable[[], Mapping[str, Tensor]] = dict,
        scores: Callable[[], DevScores] = dict,
    ) -> None:
        self.teacher = teacher
        self.plan = plan
        self.teacher_scores = scores
        self.compression: Compression | None = None
        if plan is not None:
            self.compression = plan.fitted(fit() if plan.is_fitted else {})

    def without_mask(self) -> TeacherSource:
        """The same source, of every unit: what the released code teaches in the very first step."""
        whole = copy.copy(self)
        whole.compression = None if self.compression is None else self.compression.without_mask()
        return whole

    def teacher_weights(self) -> str:
        return self.teacher.digest()

    def hidden(self, batch: TokenBatch) -> HiddenTarget:
        assert self.plan is not None and self.compression is not None
        states, attention = self.teacher.states(
            batch,
            self.plan.layer_map.teacher_states,
            self.plan.length.attention,
            self.plan.attention_blocks,
        )
        # The teacher may run in bfloat16; what is measured against is float32, projections included.
        with torch.autocast(states[0].device.type, enabled=False):
            return self.compression.compress([state.float() for state in states], batch, attention)

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.teacher.logits(batch).clone()  # an inference tensor may not be kept for a backward pass

    def reader(self, hidden: bool) -> None:
        return None

    def to(self, device: torch.device) -> None:
        self.teacher.to(device)
        self.compression = self.compression and self.compression.to(device)


def sampled_states(teacher: Teacher, wanted: tuple[int, ...], batches: Iterable[TokenBatch]) -> Tensor:
    """(P, N, D) float32, on the CPU: the wanted teacher states of all real tokens."""
    parts = []
    for batch in batches:
        batch = batch.to(teacher.model.device)
        states, _ = teacher.states(batch, wanted)
        real = true_places(batch.counted.real, states[0].device)
        parts.append(torch.stack([state[real] for state in states]).float())
    return torch.cat(parts, dim=1).cpu()


def measure_moments(teacher: Teacher, wanted: tuple[int, ...], batches: Iterable[TokenBatch]) -> Moments:
    """Mean and covariance of the wanted teacher states over all real tokens, streamed in float64.

    Two sums would cancel where a unit's mean is large against its spread, as BERT's outlier units are, so values are
    first shifted by the mean of the first batch.
    """
    sums: _Sums | None = None
    for batch in batches:
        batch = batch.to(teacher.model.device)
        states, _ = teacher.states(batch, wanted)
        real = true_places(batch.counted.real, states[0].device)
        kept = torch.stack([float64(state[real]) for state in states])  # (P, N, D)
        if sums is None:
            sums = _Sums(shift=kept.mean(dim=1, keepdim=True))
        sums.add(kept)
    assert sums is not None, "no batch to measure"
    return sums.moments()


class _Sums:
    """Running first and second moments of values shifted by a fixed guess of their mean."""

    def __init__(self, shift: Tensor) -> None:
        self.shift = shift  # (P, 1, D)
        self.count = 0
        self.total = torch.zeros_like(shift[:, 0])  # (P, D)
        self.product = shift.new_zeros(len(shift), shift.shape[-1], shift.shape[-1])  # (P, D, D)

    def add(self, values: Tensor) -> None:
        """Count (P, N, D) values."""
        shifted = values - self.shift
        self.count += values.shape[1]
        self.total += shifted.sum(dim=1)
        for total, state in zip(self.product, shifted, strict=True):
            total += state.T @ state

    def moments(self) -> Moments:
        """Mean and covariance of all that was counted, on the CPU."""
        mean = self.total / self.count
        covariance = self.product / self.count - mean[:, :, None] * mean[:, None, :]
        return Moments((mean + self.shift[:, 0]).cpu(), covariance.cpu())
