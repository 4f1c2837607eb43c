"""The parts of controls, on numbers that one can check by eye."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.errors import ConfigError
from hskd_lightning.hashed_random import normal, scramble
from hskd_lightning.hsk import HiddenTarget, TokenSelection
from hskd_lightning.knowledge.control.constant import Constant
from hskd_lightning.knowledge.control.moments import TargetMoments, measure_targets
from hskd_lightning.knowledge.control.random import Noise, standard_normal
from hskd_lightning.knowledge.control.shuffled import Partners, block_sizes, derangement, with_values_of


def split_of(ids: list[int], lengths: list[int]) -> TokenSplit:
    """Of tokens that nobody looks at."""
    nothing = torch.zeros(sum(lengths), dtype=torch.int32)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    return TokenSplit(torch.tensor(ids), torch.zeros(len(ids)), offsets, nothing, nothing, nothing)


def target_of(values: Tensor, valid: Tensor | None = None, units: Tensor | None = None) -> HiddenTarget:
    """(B, P, K, W) values at positions 0, 1, ..."""
    places = values.shape[:3]
    positions = torch.arange(places[2]).expand(places)
    valid = torch.ones(places, dtype=torch.bool) if valid is None else valid
    return HiddenTarget(values, TokenSelection(positions, valid), units)


# Shuffled: partners.


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nobody_is_its_own_partner_and_everybody_is_somebodys(count: int, seed: int) -> None:
    ids = torch.arange(count) * 3 + 5
    lengths = 4 + scramble(ids) % 5
    partners = derangement(ids, lengths, seed)
    assert (partners != torch.arange(count)).all()
    assert partners.sort().values.tolist() == list(range(count))


def test_partners_have_as_many_tokens() -> None:
    lengths = torch.tensor([5, 7, 5, 7, 7, 5, 9, 9])
    partners = derangement(torch.arange(8), lengths, seed=0)
    assert torch.equal(lengths[partners], lengths)


def test_a_lone_example_finds_the_nearest_and_the_rest_hardly_notice() -> None:
    lengths = torch.tensor([5] * 10 + [6] + [20] * 10)
    partners = derangement(torch.arange(21), lengths, seed=0)
    assert lengths[partners[10]] == 5
    assert Counter((lengths - lengths[partners]).abs().tolist()) == {0: 19, 1: 2}


def test_two_of_very_unlike_length_have_but_each_other() -> None:
    assert derangement(torch.tensor([8, 9]), torch.tensor([3, 50]), seed=0).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([4, 4, 5, 5], [2, 2]),
        ([4, 5, 5], [3]),  # the first joins the next
        ([4, 4, 5], [3]),  # the last the one before
        ([4, 4, 5, 9, 9], [3, 2]),  # the nearer
        ([4, 4, 8, 9, 9], [2, 3]),
        ([4, 4, 6, 8, 8], [2, 3]),  # as near: the longer
        ([1, 9, 10, 99], [4]),
        ([1, 2, 50, 51], [2, 2]),
    ],
)
def test_blocks_are_runs_of_one_length(lengths: list[int], sizes: list[int]) -> None:
    assert block_sizes(torch.tensor(lengths)) == sizes


def test_another_seed_draws_other_partners() -> None:
    ids, lengths = torch.arange(50), torch.full((50,), 8)
    one, other = (derangement(ids, lengths, seed) for seed in (0, 1))
    assert (one != other).sum() > 30


def test_partners_depend_on_ids_not_on_the_order_of_examples() -> None:
    ids, lengths = torch.arange(40), 5 + torch.arange(40) % 4
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    straight = ids[derangement(ids, lengths, seed=0)]
    mixed = ids[order][derangement(ids[order], lengths[order], seed=0)]
    assert torch.equal(mixed[order.argsort()], straight)


def test_splits_are_shuffled_each_within_itself() -> None:
    splits = [split_of([9, 4, 2], [5, 5, 5]), split_of([7, 1], [5, 5])]
    partners = Partners.drawn(splits, seed=0)
    assert partners.of(torch.tensor([7, 1])).tolist() == [1, 7]
    assert set(partners.of(torch.tensor([2, 4, 9])).tolist()) == {2, 4, 9}


def test_an_example_alone_in_its_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="(?s)`control` = 'shuffled'.*at least 2 examples.*data.selection=0.0"):
        Partners.drawn([split_of([1, 2], [5, 5]), split_of([3], [5])], seed=0)


# Shuffled: states.


def test_the_partners_tokens_stand_rank_by_rank_at_ones_own_places() -> None:
    own = target_of(torch.zeros(1, 1, 3, 2))
    other = target_of(torch.arange(6.0).view(1, 1, 3, 2))
    swapped = with_values_of(own, other)
    assert torch.equal(swapped.values, other.values)
    assert swapped.tokens is own.tokens


def test_who_keeps_more_than_its_partner_begins_again_with_the_best() -> None:
    own = target_of(torch.zeros(2, 1, 5, 1))
    valid = torch.tensor([[[True, True, False]], [[True, True, True]]])
    other = target_of(torch.tensor([[[[1.0], [2.0], [-9.0]]], [[[3.0], [4.0], [5.0]]]]), valid)
    assert with_values_of(own, other).values[..., 0].tolist() == [[[1, 2, 1, 2, 1]], [[3, 4, 5, 3, 4]]]


def test_who_keeps_less_takes_the_best() -> None:
    own, other = target_of(torch.zeros(1, 1, 2, 1)), target_of(torch.tensor([[[[1.0], [2.0], [3.0]]]]))
    assert with_values_of(own, other).values.flatten().tolist() == [1, 2]


def test_values_bring_their_masks() -> None:
    masks = torch.tensor([[[[True, False], [False, True]]]])
    own = target_of(torch.zeros(1, 1, 3, 2), units=torch.ones(1, 1, 3, 2, dtype=torch.bool))
    swapped = with_values_of(own, target_of(masks.float(), units=masks))
    assert swapped.units is not None
    assert swapped.units.tolist() == [[[[True, False], [False, True], [True, False]]]]


# Moments.


def test_moments_are_of_kept_tokens_over_all_batches() -> None:
    valid = torch.tensor([[[True, True]], [[True, False]]])
    first = target_of(torch.tensor([[[[1.0], [3.0]]], [[[5.0], [99.0]]]]), valid)
    second = target_of(torch.tensor([[[[7.0]]]]))
    mean, deviation = measure_targets([first, second])
    assert mean.tolist() == [[4.0]]  # of 1, 3, 5, 7
    assert deviation.item() == pytest.approx(5**0.5)


def test_moments_are_of_units_that_count() -> None:
    values = torch.tensor([[[[2.0, 0.0, 0.0], [4.0, 6.0, 0.0]]]])
    mean, deviation = measure_targets([target_of(values, units=values != 0)])
    assert mean.tolist() == [[3.0, 6.0, 0.0]]
    assert deviation.tolist() == [[1.0, 0.0, 0.0]]


def test_moments_do_not_cancel_where_a_unit_is_far_from_zero() -> None:
    """BERT's outlier units."""
    values = torch.tensor([1000.0, 1000.25]).view(1, 1, 2, 1)
    assert measure_targets([target_of(values)]).deviation.item() == 0.125


# Random and constant.

MOMENTS = TargetMoments(torch.tensor([[0.0, 5.0], [-1.0, 2.0]]), torch.tensor([[1.0, 0.0], [2.0, 0.5]]))


def many(examples: int = 4000) -> tuple[Tensor, HiddenTarget]:
    return torch.arange(examples), target_of(torch.full((examples, 2, 5, 2), 77.0))


def test_noise_has_the_moments_that_it_was_given() -> None:
    """20,000 draws a unit: means within five standard errors, 5 / sqrt(20,000) = 0.035 deviations."""
    ids, target = many()
    drawn = Noise(MOMENTS, seed=0)(ids, target)
    mean, deviation = measure_targets([drawn])
    assert ((mean - MOMENTS.mean).abs() <= 0.035 * MOMENTS.deviation).all()
    torch.testing.assert_close(deviation, MOMENTS.deviation, rtol=0.025, atol=0)


def test_noise_is_normal() -> None:
    draws = normal(scramble(torch.arange(100_000))).double()
    assert draws.mean().abs() < 0.016
    assert draws.var() == pytest.approx(1, abs=0.023)
    assert draws.pow(4).mean() == pytest.approx(3, abs=0.16)
    assert torch.isfinite(normal(torch.tensor([0, 2**31 - 1]))).all()


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_neighbours_draws_have_nothing_to_do_with_each_other(axis: int) -> None:
    """Of example, layer pair, position and unit: correlation within five standard errors of 0."""
    positions = torch.arange(12).expand(50, 4, 12)
    drawn = standard_normal(torch.arange(50), positions, 16, seed=0)
    one, next_one = drawn.narrow(axis, 0, drawn.shape[axis] - 1), drawn.narrow(axis, 1, drawn.shape[axis] - 1)
    assert (one * next_one).mean().abs() < 5 / one.numel() ** 0.5


def test_noise_belongs_to_example_and_position_wherever_they_stand() -> None:
    positions = torch.tensor([[[3, 8]], [[8, 3]]])
    drawn = standard_normal(torch.tensor([6, 4]), positions, 3, seed=0)
    alone = standard_normal(torch.tensor([4]), torch.tensor([[[3]]]), 3, seed=0)
    assert torch.equal(drawn[1, 0, 1], alone[0, 0, 0])
    assert not torch.equal(drawn[0, 0, 0], alone[0, 0, 0])


def test_fewer_units_are_the_first_of_more() -> None:
    ids, positions = torch.arange(3), torch.arange(4).expand(3, 2, 4)
    few, more = (standard_normal(ids, positions, units, seed=0) for units in (2, 6))
    assert torch.equal(few, more[..., :2])


def test_another_seed_draws_other_noise() -> None:
    ids, target = many(10)
    one, other = (Noise(MOMENTS, seed)(ids, target).values for seed in (0, 1))
    assert (one != other)[..., 0].all()


def test_a_constant_does_not_vary_over_examples() -> None:
    ids, target = many(10)
    constant = Constant(MOMENTS)(ids, target)
    assert constant.values.shape == target.values.shape
    assert constant.values.var(dim=(0, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert torch.equal(constant.values[3, :, 1], MOMENTS.mean)


@pytest.mark.parametrize("change", [Constant(MOMENTS), Noise(MOMENTS, seed=0)])
def test_off_a_tokens_mask_there_is_nothing(change: Constant | Noise) -> None:
    mask = torch.tensor([False, True]).expand(1, 2, 5, 2)
    target = target_of(torch.ones(1, 2, 5, 2), units=mask)
    changed = change(torch.tensor([0]), target)
    assert changed.units is mask
    assert (changed.values[..., 0] == 0).all() and (changed.values[..., 1] != 0).all()
