"""Batches: an order that depends on (seed, epoch) alone, every example once, and going on in mid-epoch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from hskd_lightning.data.loader import (
    BucketedBatches,
    Collate,
    ResumableLoader,
    ahead,
    collate,
    eval_loader,
    train_loader,
)
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.hsk import TokenBatch


def split_of(lengths: list[int]) -> TokenSplit:
    """Example i has the id 100 + i, and its tokens are 10 i, 10 i + 1, ..."""
    flat = [10 * row + column for row, length in enumerate(lengths) for column in range(length)]
    return TokenSplit(
        ids=torch.arange(len(lengths)) + 100,
        labels=torch.arange(len(lengths)) % 2,
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        input_ids=torch.tensor(flat, dtype=torch.int32),
        token_type_ids=torch.tensor(flat).remainder(2).to(torch.int8),
        special=torch.tensor([value % 10 == 0 for value in flat]),
    )


def lengths_of(count: int) -> Tensor:
    return torch.randint(1, 30, (count,), generator=torch.Generator().manual_seed(5))


def epoch_of(batches: BucketedBatches, epoch: int) -> list[list[int]]:
    batches.epoch = epoch
    return list(batches)


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


# collate


def test_collate_by_hand() -> None:
    batch = collate(split_of([2, 3, 1]), torch.tensor([1, 2]), pad_id=99)
    assert batch.ids.tolist() == [101, 102]
    assert batch.input_ids.tolist() == [[10, 11, 12], [20, 99, 99]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.token_type_ids.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch.special.tolist() == [[True, False, False], [True, False, False]]
    assert batch.labels.tolist() == [1, 0]


def test_collate_in_the_order_of_its_rows() -> None:
    batch = collate(split_of([2, 3, 1]), torch.tensor([2, 0]), pad_id=0)
    assert batch.input_ids.tolist() == [[20, 0], [0, 1]]


def test_collate_pads_to_a_given_length() -> None:
    batch = collate(split_of([2, 1]), torch.tensor([0, 1]), pad_id=7, pad_to=4)
    assert batch.input_ids.tolist() == [[0, 1, 7, 7], [10, 7, 7, 7]]


def test_collate_types_are_what_models_take() -> None:
    batch = collate(split_of([2, 1]), torch.tensor([0, 1]), pad_id=0)
    assert [tensor.dtype for tensor in batch[:6]] == [torch.int64] * 4 + [torch.bool, torch.int64]


# The order.


def test_every_example_once_an_epoch() -> None:
    batches = BucketedBatches(lengths_of(503), batch_size=8, seed=0)
    for epoch in range(3):
        assert sorted(flat(epoch_of(batches, epoch))) == list(range(503))


def test_as_many_batches_as_promised() -> None:
    batches = BucketedBatches(lengths_of(503), batch_size=8, seed=0)
    assert len(list(batches)) == len(batches) == 63  # 62 of 8, and one of 7


def test_only_the_last_batch_is_smaller() -> None:
    sizes = [len(batch) for batch in BucketedBatches(lengths_of(503), batch_size=8, seed=0)]
    assert sizes == [8] * 62 + [7]


def test_drop_last_leaves_the_smaller_batch_out() -> None:
    batches = BucketedBatches(lengths_of(503), batch_size=8, seed=0, drop_last=True)
    assert [len(batch) for batch in batches] == [8] * 62
    assert len(batches) == 62
    assert len(set(flat(list(batches)))) == 496


def test_drop_last_keeps_a_lone_batch() -> None:
    batches = BucketedBatches(lengths_of(5), batch_size=8, seed=0, drop_last=True)
    assert [sorted(batch) for batch in batches] == [[0, 1, 2, 3, 4]]
    assert len(batches) == 1


def test_drop_last_drops_each_example_some_time() -> None:
    # Cut off after sorting, the remainder would be the longest examples every time: 16 to 19 were never seen.
    batches = BucketedBatches(torch.arange(1, 21), batch_size=8, seed=0, drop_last=True)
    seen = {row for epoch in range(50) for row in flat(epoch_of(batches, epoch))}
    assert seen == set(range(20))


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first, second = (BucketedBatches(lengths_of(100), batch_size=8, seed=3) for _ in range(2))
    epoch_of(second, 0)  # a history that must not matter
    torch.manual_seed(1)
    assert epoch_of(first, 2) == epoch_of(second, 2)


def test_another_epoch_another_order() -> None:
    batches = BucketedBatches(lengths_of(100), batch_size=8, seed=3)
    assert epoch_of(batches, 0) != epoch_of(batches, 1)


def test_another_seed_another_order() -> None:
    orders = [epoch_of(BucketedBatches(lengths_of(100), batch_size=8, seed=seed), 0) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_next_seed_is_not_the_next_epoch() -> None:
    zero, one = (BucketedBatches(lengths_of(100), batch_size=8, seed=seed) for seed in (0, 1))
    assert epoch_of(zero, 1) != epoch_of(one, 0)


def test_a_batch_is_of_like_lengths() -> None:
    lengths = lengths_of(4000)
    batches = list(BucketedBatches(lengths, batch_size=8, seed=0))
    spread = [int(lengths[batch].max() - lengths[batch].min()) for batch in batches]
    assert sum(spread) / len(spread) < 2  # of 1 to 29 tokens


def test_batches_do_not_go_from_short_to_long() -> None:
    lengths = lengths_of(400)
    means = torch.stack([lengths[batch].float().mean() for batch in BucketedBatches(lengths, 8, seed=0)])
    assert not torch.equal(means, means.sort().values)


# Going on in mid-epoch.


def loader_of(seed: int = 0, workers: int = 0, count: int = 20) -> ResumableLoader:
    split = split_of(lengths_of(count).tolist())
    return train_loader(Collate(split, pad_id=0), BucketedBatches(split.lengths, 4, seed), workers=workers)


def ids(batches: list[TokenBatch]) -> list[list[int]]:
    return [batch.ids.tolist() for batch in batches]


def test_epochs_follow_one_another() -> None:
    loader = loader_of()
    first, second = ids(list(loader)), ids(list(loader))
    assert first != second
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(100, 120))


def test_a_resumed_loader_goes_on_with_the_very_next_batch() -> None:
    whole = loader_of()
    first, second = ids(list(whole)), ids(list(whole))
    stopped = loader_of()
    running = iter(stopped)
    seen = ids([next(running) for _ in range(2)])
    resumed = loader_of()
    resumed.load_state_dict(stopped.state_dict())
    assert seen + ids(list(resumed)) == first
    assert ids(list(resumed)) == second


def test_a_loader_resumed_in_its_second_epoch() -> None:
    whole = loader_of()
    list(whole)
    second, third = ids(list(whole)), ids(list(whole))
    resumed = loader_of()
    resumed.load_state_dict({"epoch": 1, "position": 3})
    assert ids(list(resumed)) == second[3:]
    assert ids(list(resumed)) == third


def test_a_loader_resumed_at_an_epochs_end_starts_the_next() -> None:
    whole = loader_of()
    list(whole)
    resumed = loader_of()
    resumed.load_state_dict(whole.state_dict())
    assert ids(list(resumed)) == ids(list(whole))


def test_state_is_what_has_been_handed_out() -> None:
    loader = loader_of()
    assert loader.state_dict() == {"epoch": 0, "position": 0}
    next(iter(loader))
    assert loader.state_dict() == {"epoch": 0, "position": 1}
    list(loader)
    assert loader.state_dict() == {"epoch": 0, "position": 5}


def test_length_is_of_a_whole_epoch_even_when_resumed() -> None:
    loader = loader_of()
    loader.load_state_dict({"epoch": 0, "position": 3})
    assert len(loader) == 5


def test_workers_give_the_same_batches() -> None:
    alone, helped = loader_of(), loader_of(workers=2)
    for _ in range(2):
        for own, other in zip(alone, helped, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(own[:6], other[:6], strict=True))


def test_workers_do_not_run_ahead_of_the_state() -> None:
    loader = loader_of(workers=2)
    running = iter(loader)
    next(running)
    assert loader.state_dict() == {"epoch": 0, "position": 1}


# Evaluation.


def test_evaluation_sees_every_example_once_shortest_first() -> None:
    split = split_of([3, 1, 2, 5, 4])
    batches = list(eval_loader(Collate(split, pad_id=0), batch_size=2))
    assert ids(batches) == [[101, 102], [100, 104], [103]]
    assert [batch.input_ids.shape for batch in batches] == [(2, 2), (2, 4), (1, 5)]


def test_evaluation_pads_to_a_given_length() -> None:
    (batch,) = eval_loader(Collate(split_of([3, 1]), pad_id=0, pad_to=6), batch_size=2)
    assert batch.input_ids.shape == (2, 6)


def test_a_length_is_made_a_multiple_by_padding_alone() -> None:
    split, rows = split_of([3, 9]), torch.tensor([0, 1])
    narrow, wide = collate(split, rows, pad_id=7), collate(split, rows, pad_id=7, multiple=8)
    assert wide.input_ids.shape == (2, 16)
    assert torch.equal(wide.input_ids[:, :9], narrow.input_ids) and wide.input_ids[:, 9:].eq(7).all()
    assert torch.equal(wide.real[:, :9], narrow.real) and not wide.real[:, 9:].any()


def test_a_length_that_is_a_multiple_stays_as_it_is() -> None:
    assert collate(split_of([8]), torch.tensor([0]), pad_id=0, multiple=8).input_ids.shape == (1, 8)


# Batches that are made ahead, for a device.


def made_ahead(split: TokenSplit) -> ResumableLoader:
    return train_loader(Collate(split, pad_id=0), BucketedBatches(split.lengths, 4, seed=0), device=torch.device("cpu"))


def test_batches_made_ahead_are_the_same_in_the_same_order() -> None:
    split = split_of([5, 3, 2, 7, 4, 6, 3, 2, 9, 1])
    plain = train_loader(Collate(split, pad_id=0), BucketedBatches(split.lengths, 4, seed=0))
    for one, other in zip(plain, made_ahead(split), strict=True):
        assert torch.equal(one.ids, other.ids) and torch.equal(one.input_ids, other.input_ids)


def test_a_batch_that_is_made_but_not_used_is_not_counted() -> None:
    loader = made_ahead(split_of([5, 3, 2, 7, 4, 6, 3, 2, 9, 1]))
    batches = iter(loader)
    next(batches)
    assert loader.state_dict() == {"epoch": 0, "position": 1}


def test_what_goes_wrong_ahead_is_raised_where_the_batch_is_used() -> None:
    def making() -> Iterator[TokenBatch]:
        yield collate(split_of([1]), torch.tensor([0]), pad_id=0)
        raise OSError("the disk is gone")

    batches = ahead(making())
    next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
