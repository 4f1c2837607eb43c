"""The selection split and limits: stratified, disjoint, and the same for everybody."""

from __future__ import annotations

import pytest
import torch

from hskd_lightning.data.split import hold_out, limit
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.errors import ConfigError


def split_of(labels: list[int] | list[float]) -> TokenSplit:
    """One-token examples with the ids 0, 1, ..."""
    count = len(labels)
    return TokenSplit(
        ids=torch.arange(count),
        labels=torch.tensor(labels),
        offsets=torch.arange(count + 1),
        input_ids=torch.arange(count, dtype=torch.int32),
        token_type_ids=torch.zeros(count, dtype=torch.int8),
        special=torch.zeros(count, dtype=torch.bool),
    )


UNEVEN = split_of([0] * 80 + [1] * 20)
SCORES = split_of([row / 10 for row in range(50)])


def test_the_slice_has_every_class_by_its_share() -> None:
    _, selection = hold_out(UNEVEN, 0.1)
    assert selection.labels.bincount().tolist() == [8, 2]


def test_slice_and_train_are_the_whole_and_share_nothing() -> None:
    train, selection = hold_out(UNEVEN, 0.1)
    assert sorted(train.ids.tolist() + selection.ids.tolist()) == list(range(100))


def test_both_keep_the_splits_own_order() -> None:
    train, selection = hold_out(UNEVEN, 0.1)
    assert train.ids.tolist() == sorted(train.ids.tolist())
    assert selection.ids.tolist() == sorted(selection.ids.tolist())


def test_share_zero_holds_nothing_out() -> None:
    train, selection = hold_out(UNEVEN, 0.0)
    assert (len(train), len(selection)) == (100, 0)


def test_scores_are_held_out_without_strata() -> None:
    train, selection = hold_out(SCORES, 0.1)
    assert (len(train), len(selection)) == (45, 5)
    assert sorted(train.ids.tolist() + selection.ids.tolist()) == list(range(50))


@pytest.mark.parametrize("split", [split_of([0, 1, 0, 1]), split_of([0.5])], ids=["classes", "a score"])
def test_so_few_examples_that_none_is_held_out(split: TokenSplit) -> None:
    with pytest.raises(ConfigError, match="(?s)`data.selection` = 0.1.*at least 6 examples.*data.selection=0"):
        hold_out(split, 0.1)


def test_the_least_number_of_examples_is_enough() -> None:
    assert len(hold_out(split_of([0] * 6), 0.1).selection) == 1


def test_so_large_a_share_that_nothing_is_left() -> None:
    with pytest.raises(ConfigError, match="(?s)`data.selection` = 0.9.*at least 6 examples"):
        hold_out(split_of([0, 0, 1, 1]), 0.9)


def test_the_same_seed_holds_out_the_same() -> None:
    first, second = (hold_out(UNEVEN, 0.1, seed=4).selection.ids.tolist() for _ in range(2))
    assert first == second


def test_another_seed_holds_out_others() -> None:
    first, second = (hold_out(UNEVEN, 0.1, seed=seed).selection.ids.tolist() for seed in (0, 1))
    assert first != second


def test_a_slice_is_not_the_first_examples() -> None:
    assert hold_out(UNEVEN, 0.1).selection.ids.tolist() != [*range(8), 80, 81]


def test_limit_takes_as_many_in_their_own_order() -> None:
    ids = limit(UNEVEN, 10).ids.tolist()
    assert len(set(ids)) == 10
    assert ids == sorted(ids)


def test_limit_is_seeded() -> None:
    assert limit(UNEVEN, 10, seed=1).ids.tolist() == limit(UNEVEN, 10, seed=1).ids.tolist()
    assert limit(UNEVEN, 10, seed=1).ids.tolist() != limit(UNEVEN, 10, seed=2).ids.tolist()


def test_a_smaller_limit_lies_inside_a_larger_one() -> None:
    assert set(limit(UNEVEN, 10).ids.tolist()) < set(limit(UNEVEN, 30).ids.tolist())


def test_no_limit_is_the_split_itself() -> None:
    assert limit(UNEVEN, None) is UNEVEN


def test_a_limit_above_the_size_is_the_split_itself() -> None:
    assert limit(UNEVEN, 101) is UNEVEN


def test_limit_leaves_the_global_seed_alone() -> None:
    before = torch.get_rng_state()
    limit(UNEVEN, 10)
    hold_out(UNEVEN, 0.1)
    assert torch.equal(torch.get_rng_state(), before)
