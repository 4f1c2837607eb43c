"""Tensors on their way to a device and back: one copy, nothing lost, nobody waiting."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hskd_lightning.compress.counts import counts_kept
from hskd_lightning.compress.keep import Count, Share, count_kept
from hskd_lightning.devices import moved, sent_back, true_places
from hskd_lightning.hsk import TokenBatch
from hskd_lightning.knowledge.shards import pack_bits
from tests.emulated_device import CUDA, OnDevice, emulated


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None


EVERY_DTYPE = [
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float64,
]


def batch_of_two() -> TokenBatch:
    ids = torch.tensor([[3, 4, 5], [6, 7, 0]])
    return TokenBatch(torch.tensor([8, 9]), ids, ids.bool().long(), ids * 0, ids == 3, torch.tensor([0.5, 1.0]))


def test_tensors_of_every_dtype_arrive_by_one_copy_that_does_not_block() -> None:
    parts = tuple(torch.arange(-2, 3).to(dtype) for dtype in EVERY_DTYPE)
    with emulated() as waits:
        there = moved(parts, CUDA)
        assert waits == [] and all(isinstance(part, OnDevice) for part in there)
        bases = {part.untyped_storage()._cdata for part in there}
        back = [part.cpu() for part in there]
    assert [part.dtype for part in back] == EVERY_DTYPE and len(bases) == 1
    assert all(torch.equal(one, other) for one, other in zip(back, parts, strict=True))


def test_nothing_a_scalar_and_a_strided_view_keep_their_shapes() -> None:
    parts = Pair(torch.arange(6).view(2, 3).T, None), (torch.tensor(7), torch.zeros(0, 4))
    with emulated():
        (first, nothing), (scalar, empty) = moved(parts, CUDA)
        assert nothing is None and first.shape == (3, 2) and empty.shape == (0, 4)
        assert first.cpu().tolist() == [[0, 3], [1, 4], [2, 5]] and scalar.item() == 7


def test_a_batch_on_a_device_remembers_itself_on_the_cpu() -> None:
    batch = batch_of_two()
    with emulated():
        there = batch.to("cuda")
        assert there.counted is batch and there.to("cuda").counted is batch
        back = there.to("cpu")
    assert back.host is None and back.counted is back
    assert torch.equal(back.input_ids, batch.input_ids)


def test_a_batch_of_the_cpu_stays_as_it_is() -> None:
    batch = batch_of_two()
    assert all(one is other for one, other in zip(batch.to("cpu"), batch, strict=True))


def test_an_index_by_places_is_one_by_the_mask_and_does_not_wait() -> None:
    mask, values = torch.tensor([[True, False], [True, True]]), torch.tensor([[1, 2], [3, 4]])
    with emulated() as waits:
        there = moved(values, CUDA)
        taken = sent_back(there[true_places(mask, CUDA)])
        assert waits == []
        assert taken.tolist() == values[mask].tolist() == [1, 3, 4]


@pytest.mark.parametrize("units", [1, 8, 13])
def test_bits_are_packed_alike_on_a_device(units: int) -> None:
    mask = torch.rand(5, units, generator=torch.Generator().manual_seed(0)) > 0.5
    with emulated():
        assert torch.equal(pack_bits(moved(mask, CUDA)).cpu(), pack_bits(mask))


@pytest.mark.parametrize("counts", ["rounded", "truncated"])
@pytest.mark.parametrize("keep", [None, Count(7), Share(0.1), Share(0.29), Share(0.5), Share(0.001)])
def test_as_many_are_kept_of_many_totals_as_of_each(keep, counts) -> None:
    totals = torch.arange(1, 400)
    assert counts_kept(keep, totals, counts).tolist() == [count_kept(keep, n, counts) for n in totals.tolist()]


# The emulated device itself.


def test_the_emulated_device_refuses_a_mix() -> None:
    with emulated(), pytest.raises(RuntimeError, match="expected all tensors on one device"):
        torch.ones(2, device="cuda") + torch.ones(2)


@pytest.mark.parametrize(
    "read",
    [
        lambda there: there.sum().item(),
        lambda there: bool(there.any()),
        lambda there: there.tolist(),
        lambda there: there.cpu(),
        lambda there: there.to("cpu"),
        lambda there: there.nonzero(),
        lambda there: there[there > 0],
        lambda there: there[[0, 1]],
        lambda there: there[torch.tensor([1])],
        lambda there: there.masked_select(there > 0),
        lambda there: there.unique(),
        lambda there: there.repeat_interleave(there),
        lambda there: torch.ones(2).to("cuda"),
        lambda there: torch.ones(2).to("cuda", non_blocking=True),  # its memory is not pinned
        lambda there: there.copy_(torch.ones(2)),
        lambda there: torch.tensor([1, 2], device="cuda"),
    ],
)
def test_the_emulated_device_counts_a_wait(read) -> None:
    with emulated() as waits:
        there = torch.arange(2, device="cuda")
        assert waits == []
        read(there)
        assert len(waits) == 1
