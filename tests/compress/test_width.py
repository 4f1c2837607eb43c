"""Width: which units or directions each strategy keeps, by hand, and what the loss makes of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hskd_lightning.compress.width.all import AllUnits
from hskd_lightning.compress.width.base import HiddenValues, Moments, UnitCode
from hskd_lightning.compress.width.codes import EveryUnit, LargestMask, Projection, StaticMask
from hskd_lightning.compress.width.magnitude_mask import MagnitudeMask
from hskd_lightning.compress.width.pca import Pca
from hskd_lightning.compress.width.random_mask import RandomMask
from hskd_lightning.compress.width.random_projection import RandomProjection
from hskd_lightning.compress.width.uniform_mask import UniformMask
from hskd_lightning.compress.width.variance_mask import VarianceMask
from hskd_lightning.hsk import HiddenTarget, TokenSelection
from hskd_lightning.losses import hidden_losses
from tests.helpers import refusal

MASKS = [RandomMask, UniformMask, VarianceMask, MagnitudeMask]


def states(*tokens: list[float]) -> Tensor:
    """One example, one layer pair: (1, 1, K, D)."""
    return torch.tensor([[tokens]])


def all_valid(values: Tensor) -> Tensor:
    return torch.ones(values.shape[:-1], dtype=torch.bool)


def kept(code: UnitCode, teacher: Tensor, valid: Tensor) -> HiddenValues:
    """What a student is compared with, where bits lose nothing."""
    return code.recall(code.encode(teacher), valid, teacher.shape[-1])


def moments(*covariances: list[list[float]], mean: list[list[float]] | None = None) -> Moments:
    covariance = torch.tensor(covariances, dtype=torch.float64)
    centre = torch.zeros(covariance.shape[:2]) if mean is None else torch.tensor(mean)
    return Moments(centre.double(), covariance)


def diagonal(*variances: float) -> list[list[float]]:
    return torch.diag(torch.tensor(variances)).tolist()


def loss(code, student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Tensor:
    """(P,) hidden losses of a student's states against a teacher's, both (B, P, K, D)."""
    valid = all_valid(teacher) if valid is None else valid
    values, units = kept(code, teacher, valid)
    positions = torch.zeros(valid.shape, dtype=torch.int64)
    return hidden_losses(code.view(student), HiddenTarget(values, TokenSelection(positions, valid), units))


def gradient(code, student: Tensor, teacher: Tensor) -> Tensor:
    student = student.clone().requires_grad_()
    loss(code, student, teacher).sum().backward()
    assert student.grad is not None
    return student.grad


# Fixed masks: which units.


def test_uniform_mask_of_ten_units_by_hand() -> None:
    assert UniformMask(keep=0.3).fit(10, None).units.tolist() == [[0, 3, 7]]  # 0, 3.33, 6.67


def test_uniform_mask_of_a_tenth_of_bert() -> None:
    units = UniformMask(keep=0.1).fit(768, None).units
    assert units.tolist() == [list(range(0, 760, 10))]  # int(76.8) = 76 of them


def test_uniform_mask_by_count() -> None:
    assert UniformMask(keep=4).fit(12, None).units.tolist() == [[0, 3, 6, 9]]


def test_uniform_mask_rounds_half_to_even() -> None:
    assert UniformMask(keep=0.4).fit(10, None).units.tolist() == [[0, 2, 5, 8]]  # 0, 2.5, 5, 7.5


def test_uniform_mask_share_that_floats_miss() -> None:
    assert UniformMask(keep=0.29).fit(100, None).units.shape == (1, 29)  # 100 * 0.29 = 28.999999999999996


def test_uniform_mask_smallest_share_keeps_one_unit() -> None:
    assert UniformMask(keep=0.01).fit(10, None).units.tolist() == [[0]]


def test_uniform_mask_without_keep_is_every_unit() -> None:
    assert UniformMask().fit(4, None).units.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("share", [n / 100 for n in range(1, 101)])
def test_uniform_mask_units_differ_and_exist(share: float) -> None:
    (units,) = UniformMask(keep=share).fit(97, None).units.tolist()
    assert len(set(units)) == len(units) and max(units) < 97


def test_random_mask_smaller_lies_inside_larger() -> None:
    small, large = (RandomMask(keep=keep).fit(20, None).units[0].tolist() for keep in (3, 11))
    assert small == large[:3]
    assert len(set(large)) == 11


def test_random_mask_keeps_exactly_the_share() -> None:
    assert RandomMask(keep=0.1).fit(768, None).units.shape == (1, 77)


def test_random_mask_other_seed_other_units() -> None:
    masks = {tuple(RandomMask(keep=5, seed=seed).fit(50, None).units[0].tolist()) for seed in (0, 1, 2)}
    assert len(masks) == 3


def test_random_mask_leaves_the_global_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    RandomMask(keep=5).fit(50, None)
    assert torch.equal(torch.get_rng_state(), before)


def test_variance_mask_takes_the_most_varying_of_each_layer() -> None:
    code = VarianceMask(keep=2).fit(3, moments(diagonal(1, 3, 2), diagonal(9, 4, 5)))
    assert code.units.tolist() == [[1, 2], [0, 2]]


def test_variance_mask_ties_keep_the_lower_unit() -> None:
    assert VarianceMask(keep=2).fit(3, moments(diagonal(1, 1, 1))).units.tolist() == [[0, 1]]


def test_a_layers_own_mask_reads_its_own_units() -> None:
    code = StaticMask(torch.tensor([[0], [2]]), "ignore")
    both = torch.tensor([[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]])  # (1, 2, 1, 3)
    assert code.view(both).tolist() == [[[[1.0]], [[6.0]]]]


# Magnitude: another set for every token.

TINY = states([1.0, -4.0, 2.0], [9.0, -8.0, 7.0])


def counted(code: LargestMask, values: Tensor, valid: Tensor) -> Tensor:
    """Which values reach the loss."""
    _, units = kept(code, values, valid)
    assert units is not None
    return units & valid[..., None]


def test_magnitude_per_token_keeps_the_largest_of_each() -> None:
    heard = counted(MagnitudeMask(keep=1).fit(3, None), TINY, all_valid(TINY))
    assert heard.int().tolist() == [[[[0, 1, 0], [1, 0, 0]]]]


def test_magnitude_keeps_signs_and_zeroes_the_rest() -> None:
    values, _ = kept(MagnitudeMask(keep=2).fit(3, None), TINY, all_valid(TINY))
    assert values.tolist() == [[[[0.0, -4.0, 2.0], [9.0, -8.0, 0.0]]]]


def test_magnitude_per_example_lets_a_large_token_take_more() -> None:
    heard = counted(MagnitudeMask(keep=2, scope="example").fit(3, None), TINY, all_valid(TINY))
    assert heard.int().tolist() == [[[[0, 1, 0], [1, 1, 1]]]]  # 2 units x 2 tokens: 9, 8, 7, 4


def test_magnitude_per_example_does_not_look_at_the_neighbour() -> None:
    two = torch.stack([TINY[0], 100 * TINY[0]])  # (2, 1, 2, 3)
    heard = counted(MagnitudeMask(keep=1, scope="example").fit(3, None), two, all_valid(two))
    assert heard.int().tolist() == [[[[0, 0, 0], [1, 1, 0]]]] * 2


def test_magnitude_per_batch_lets_a_large_neighbour_take_all() -> None:
    two = torch.stack([TINY[0], 100 * TINY[0]])
    heard = counted(MagnitudeMask(keep=1, scope="batch").fit(3, None), two, all_valid(two))
    assert heard.int().tolist() == [[[[0, 0, 0], [0, 0, 0]]], [[[0, 1, 0], [1, 1, 1]]]]  # 900, 800, 700, 400


def test_magnitude_per_batch_keeps_layers_apart() -> None:
    pairs = torch.stack([TINY[0, 0], 100 * TINY[0, 0]])[None]  # (1, 2, 2, 3)
    heard = counted(MagnitudeMask(keep=1, scope="batch").fit(3, None), pairs, all_valid(pairs))
    assert heard.int().tolist() == [[[[0, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0]]]]


@pytest.mark.parametrize("scope", ["token", "example", "batch"])
def test_magnitude_never_counts_a_token_that_is_not_there(scope: str) -> None:
    valid = torch.tensor([[[True, False]]])
    heard = counted(MagnitudeMask(keep=2, scope=scope).fit(3, None), TINY, valid)
    assert heard.int().tolist() == [[[[0, 1, 1], [0, 0, 0]]]]  # 2 units of the one token


@pytest.mark.parametrize("scope", ["example", "batch"])
def test_magnitude_share_of_a_wider_scope(scope: str) -> None:
    heard = counted(MagnitudeMask(keep=0.5, scope=scope).fit(3, None), TINY, all_valid(TINY))
    assert heard.int().tolist() == [[[[0, 0, 0], [1, 1, 1]]]]  # half of 6 values


def test_magnitude_ties_keep_the_lower_unit() -> None:
    level = states([1.0, -1.0, 1.0])
    heard = counted(MagnitudeMask(keep=2).fit(3, None), level, all_valid(level))
    assert heard.int().tolist() == [[[[1, 1, 0]]]]


def test_magnitude_of_a_batch_cannot_be_stored() -> None:
    reaches = ("token", "example", "batch")
    assert tuple(MagnitudeMask(scope=scope).reach for scope in reaches) == reaches


# The released code's numbers: int(n r) of n values, and whatever is as large as the last of them.

TRUNCATING = [RandomMask, VarianceMask, MagnitudeMask]


@pytest.mark.parametrize(("counts", "kept"), [("rounded", 77), ("truncated", 76)])
@pytest.mark.parametrize("strategy", TRUNCATING)
def test_a_tenth_of_berts_units(strategy: type, counts: str, kept: int) -> None:
    assert strategy(keep=0.1, counts=counts).fit(768, Moments.of_nothing(1, 768)).scalars(768) == kept


@pytest.mark.parametrize("strategy", TRUNCATING)
def test_truncated_smallest_share_keeps_one_unit(strategy: type) -> None:
    assert strategy(keep=0.01, counts="truncated").fit(10, Moments.of_nothing(1, 10)).scalars(10) == 1


def test_truncated_share_that_floats_miss_is_the_released_codes() -> None:
    assert RandomMask(keep=0.29, counts="truncated").fit(100, None).units.shape == (1, 28)  # 28.999999999999996


def test_truncated_counts_are_counts() -> None:
    assert RandomMask(keep=3, counts="truncated").fit(10, None).units.shape == (1, 3)


@pytest.mark.parametrize(("counts", "kept"), [("rounded", 2), ("truncated", 1)])
def test_magnitude_share_of_a_batch(counts: str, kept: int) -> None:
    three = states([1.0, 2.0, 3.0])
    code = MagnitudeMask(keep=0.5, scope="batch", counts=counts).fit(3, None)
    assert counted(code, three, all_valid(three)).sum() == kept  # 1.5


def test_magnitude_count_of_a_wider_scope_is_exact() -> None:
    values = torch.arange(55.0).view(1, 1, 5, 11)
    code = MagnitudeMask(keep=3, scope="batch", counts="truncated").fit(11, None)
    assert counted(code, values, all_valid(values)).sum() == 15  # 3 x 5 tokens, though int(3 / 11 * 55) is 14


def ties(keep: float, values: Tensor, valid: Tensor | None = None) -> list:
    code = MagnitudeMask(keep=keep, scope="batch", ties="all").fit(values.shape[-1], None)
    return counted(code, values, all_valid(values) if valid is None else valid).int().tolist()


def test_ties_at_the_threshold_are_all_kept() -> None:
    assert ties(1 / 3, states([5.0, -2.0, 2.0], [1.0, 2.0, 0.0])) == [[[[1, 1, 1], [0, 1, 0]]]]  # 2 of 6, and equals


def test_ties_above_the_threshold_are_no_ties() -> None:
    assert ties(1 / 3, states([5.0, -5.0, 2.0], [1.0, 2.0, 0.0])) == [[[[1, 1, 0], [0, 0, 0]]]]


def test_ties_are_of_each_layer() -> None:
    pairs = torch.tensor([[[[3.0, 3.0, 1.0]], [[9.0, 3.0, 1.0]]]])  # (1, 2, 1, 3)
    assert ties(1, pairs) == [[[[1, 1, 0]], [[1, 0, 0]]]]


def test_a_token_that_is_not_there_ties_with_nothing() -> None:
    level = states([0.0, 0.0], [0.0, 0.0])
    assert ties(1, level, torch.tensor([[[True, False]]])) == [[[[1, 1], [0, 0]]]]


def test_first_of_ties_alone_unless_all_are_asked_for() -> None:
    level = states([2.0, 2.0, 2.0])
    heard = counted(MagnitudeMask(keep=1, scope="batch").fit(3, None), level, all_valid(level))
    assert heard.int().tolist() == [[[[1, 0, 0]]]]


def test_ties_are_not_counted_as_knowledge() -> None:
    assert MagnitudeMask(keep=3, scope="batch", ties="all").fit(8, None).scalars(8) == 3


# Projections.

TILTED = [[2.0, 1.0], [1.0, 2.0]]  # variance 3 along (1, 1), 1 along (1, -1)
ROOT = 0.5**0.5


def test_pca_orders_directions_by_falling_variance() -> None:
    directions = Pca().fit(2, moments(TILTED)).directions[0]
    variances = torch.diag(directions.T @ torch.tensor(TILTED) @ directions)
    torch.testing.assert_close(variances, torch.tensor([3.0, 1.0]))


def test_pca_first_direction_by_hand() -> None:
    directions = Pca(keep=1).fit(2, moments(TILTED)).directions
    torch.testing.assert_close(directions, torch.tensor([[[ROOT], [ROOT]]]))


def test_pca_makes_each_directions_largest_entry_positive() -> None:
    covariance = [[4.0, -3.0, 0.0], [-3.0, 5.0, 0.0], [0.0, 0.0, 1.0]]
    directions = Pca().fit(3, moments(covariance)).directions[0]
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    assert (largest > 0).all()


def test_pca_takes_the_teachers_mean_off_both() -> None:
    code = Pca(keep=1).fit(2, moments(diagonal(4, 1), mean=[[10.0, 20.0]]))
    values, _ = kept(code, states([13.0, 99.0]), torch.ones(1, 1, 1, dtype=torch.bool))
    assert values.tolist() == [[[[3.0]]]]
    assert code.view(states([8.0, -7.0])).tolist() == [[[[-2.0]]]]


def test_pca_gives_each_layer_its_own_basis() -> None:
    code = Pca(keep=1).fit(2, moments(diagonal(4, 1), diagonal(1, 4)))
    both = torch.tensor([[[[1.0, 2.0]], [[1.0, 2.0]]]])  # (1, 2, 1, 2)
    assert code.view(both).tolist() == [[[[1.0]], [[2.0]]]]


def random_moments(pairs: int, units: int) -> Moments:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(pairs, 50, units, generator=generator, dtype=torch.float64)
    mean = values.mean(dim=1)
    centred = values - mean[:, None]
    return Moments(mean, centred.transpose(1, 2) @ centred / 50)


def random_pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator), torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("strategy", [Pca, RandomProjection])
def test_full_width_projection_loss_is_the_plain_loss(strategy: type) -> None:
    student, teacher = random_pair(3, 2, 5, 16)
    code = strategy().fit(16, random_moments(2, 16))
    plain = loss(EveryUnit(), student, teacher)
    torch.testing.assert_close(loss(code, student, teacher), plain, rtol=1e-5, atol=0)


def test_full_width_pca_with_a_mean_far_from_zero_is_the_plain_loss() -> None:
    student, teacher = random_pair(3, 1, 5, 16)
    far = random_moments(1, 16)
    code = Pca().fit(16, Moments(far.mean + 30, far.covariance))
    plain = loss(EveryUnit(), student + 30, teacher + 30)
    torch.testing.assert_close(loss(code, student + 30, teacher + 30), plain, rtol=1e-5, atol=0)


def test_pca_keeping_fewer_is_a_prefix() -> None:
    few, many = (Pca(keep=keep).fit(8, random_moments(2, 8)).directions for keep in (3, 6))
    assert torch.equal(few, many[..., :3])


def test_pca_beats_every_other_basis_in_variance_kept() -> None:
    found = random_moments(1, 16)
    kept = [
        torch.trace(code.directions[0].T @ found.covariance[0].float() @ code.directions[0])
        for code in (Pca(keep=4).fit(16, found), RandomProjection(keep=4).fit(16, None))
    ]
    assert kept[0] > kept[1]


def test_random_projection_is_orthonormal() -> None:
    directions = RandomProjection(keep=5).fit(12, None).directions[0]
    torch.testing.assert_close(directions.T @ directions, torch.eye(5), rtol=0, atol=1e-6)


def test_random_projection_keeping_fewer_is_a_prefix() -> None:
    few, many = (RandomProjection(keep=keep).fit(12, None).directions for keep in (3, 9))
    assert torch.equal(few, many[..., :3])


def test_random_projection_other_seed_other_directions() -> None:
    first, second = (RandomProjection(keep=3, seed=seed).fit(12, None).directions for seed in (0, 1))
    assert not torch.allclose(first, second)


def test_random_projection_loss_is_the_plain_loss_on_average() -> None:
    student, teacher = random_pair(1, 1, 4, 12)
    drawn = [loss(RandomProjection(3, seed).fit(12, None), student, teacher) for seed in range(400)]
    torch.testing.assert_close(torch.stack(drawn).mean(dim=0), loss(EveryUnit(), student, teacher), rtol=0.05, atol=0)


# ignore and zero, through the loss: the teacher says (1, 2), the mask keeps unit 0, the student says (3, 5).

TEACHER, STUDENT = states([1.0, 2.0]), states([3.0, 5.0])


def test_ignore_compares_the_kept_unit_alone() -> None:
    code = StaticMask(torch.tensor([[0]]), "ignore")
    assert loss(code, STUDENT, TEACHER).tolist() == [4.0]  # (3-1)^2


def test_ignore_has_no_gradient_off_the_mask() -> None:
    code = StaticMask(torch.tensor([[0]]), "ignore")
    assert gradient(code, STUDENT, TEACHER).tolist() == [[[[4.0, 0.0]]]]


def test_zero_compares_every_unit() -> None:
    code = StaticMask(torch.tensor([[0]]), "zero")
    assert loss(code, STUDENT, TEACHER).tolist() == [14.5]  # ((3-1)^2 + (5-0)^2) / 2


def test_zero_pulls_the_student_to_zero_off_the_mask() -> None:
    code = StaticMask(torch.tensor([[0]]), "zero")
    assert gradient(code, STUDENT, TEACHER).tolist() == [[[[2.0, 5.0]]]]


def test_magnitude_ignore_compares_the_largest_unit_alone() -> None:
    code = MagnitudeMask(keep=1).fit(2, None)
    assert loss(code, STUDENT, TEACHER).tolist() == [9.0]  # (5-2)^2
    assert gradient(code, STUDENT, TEACHER).tolist() == [[[[0.0, 6.0]]]]


def test_magnitude_zero_pulls_the_student_to_zero_off_the_mask() -> None:
    code = MagnitudeMask(keep=1, masked="zero").fit(2, None)
    assert loss(code, STUDENT, TEACHER).tolist() == [9.0]  # ((3-0)^2 + (5-2)^2) / 2
    assert gradient(code, STUDENT, TEACHER).tolist() == [[[[3.0, 3.0]]]]


def test_all_compares_every_unit() -> None:
    assert loss(AllUnits().fit(2, None), STUDENT, TEACHER).tolist() == [6.5]  # (2^2 + 3^2) / 2


# What is counted.


@pytest.mark.parametrize(
    ("code", "scalars", "bits"),
    [
        pytest.param(EveryUnit(), 8, 0, id="every unit"),
        pytest.param(StaticMask(torch.tensor([[1, 5]]), "ignore"), 2, 0, id="static mask"),
        pytest.param(StaticMask(torch.tensor([[1, 5]]), "zero"), 2, 0, id="static mask, zero"),
        pytest.param(MagnitudeMask(keep=3).fit(8, None), 3, 8, id="magnitude: a bit per unit"),
        pytest.param(MagnitudeMask(keep=3, scope="example").fit(8, None), 3, 8, id="magnitude, example"),
        pytest.param(Projection(torch.zeros(1, 8), torch.zeros(1, 8, 4)), 4, 0, id="projection"),
    ],
)
def test_values_and_mask_bits_per_token(code, scalars: int, bits: int) -> None:
    assert (code.scalars(8), code.mask_bits(8)) == (scalars, bits)


# Wrong options.


@pytest.mark.parametrize("strategy", MASKS)
def test_unknown_masked(strategy: type) -> None:
    with refusal("width.masked", "ignore, zero"):
        strategy(masked="drop")


def test_unknown_scope() -> None:
    with refusal("width.scope", "token, example, batch"):
        MagnitudeMask(scope="layer")


@pytest.mark.parametrize("strategy", TRUNCATING)
def test_unknown_counts(strategy: type) -> None:
    with refusal("width.counts", "rounded, truncated"):
        strategy(counts="floor")


def test_unknown_ties() -> None:
    with refusal("width.ties", "first, all"):
        MagnitudeMask(ties="last")


@pytest.mark.parametrize("scope", ["token", "example"])
def test_all_ties_go_with_the_batchs_threshold_alone(scope: str) -> None:
    with refusal("width.ties", f"first with width.scope={scope}"):
        MagnitudeMask(scope=scope, ties="all")


@pytest.mark.parametrize("strategy", [*MASKS, Pca, RandomProjection])
def test_more_units_than_there_are(strategy: type) -> None:
    with refusal("width.keep", "a whole number from 1 up to 8"):
        strategy(keep=9).fit(8, random_moments(1, 8))


@pytest.mark.parametrize("keep", [0, -1, 1.01, False])
@pytest.mark.parametrize("strategy", [*MASKS, Pca, RandomProjection])
def test_keep_that_never_makes_sense(strategy: type, keep: object) -> None:
    with refusal("width.keep", "write width.keep=1.0 for everything" if keep is not False else "write width.keep=4"):
        strategy(keep=keep)


# The learned map and the view as one.


def test_a_mask_takes_its_own_rows_of_the_learned_map() -> None:
    code = StaticMask(torch.tensor([[2, 0]]), "ignore")
    joined = code.joined(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([0.1, 0.2, 0.3]), rows=1)
    assert joined is not None
    assert joined[0].tolist() == [[[5.0, 1.0], [6.0, 2.0]]]
    assert joined[1].flatten().tolist() == pytest.approx([0.3, 0.1])


@pytest.mark.parametrize(
    ("wide", "narrow", "kept", "rows", "worth_it"),
    [
        (768, 312, 77, 320, True),  # 26 million multiply-adds instead of 96
        (768, 312, 77, 64, False),  # 20.0 instead of 19.1
        (768, 312, 768, 320, True),  # 261 instead of 265
        (768, 312, 768, 300, False),  # 255.9 instead of 248.8
    ],
)
def test_a_projection_and_the_learned_map_are_joined_where_that_is_less_work(
    wide: int, narrow: int, kept: int, rows: int, worth_it: bool
) -> None:
    code = Projection(torch.zeros(1, wide), torch.zeros(1, wide, kept))
    joined = code.joined(torch.zeros(wide, narrow), torch.zeros(wide), rows)
    assert (joined is not None) == worth_it
