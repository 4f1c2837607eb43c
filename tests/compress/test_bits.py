"""Bits: what each strategy makes of values, by hand."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import BitsCode, BitsStrategy
from hskd_lightning.compress.bits.bf16 import Bf16
from hskd_lightning.compress.bits.fp16 import Fp16
from hskd_lightning.compress.bits.fp32 import Fp32
from hskd_lightning.compress.bits.int4 import Int4
from hskd_lightning.compress.bits.int8 import Int8
from hskd_lightning.compress.bits.packing import nibbles, nibbles_at, pack_bits, pack_nibbles, unpack_bits
from hskd_lightning.compress.bits.planes import Planes
from hskd_lightning.compress.bits.residual import Residual
from hskd_lightning.compress.bits.residual_code import ResidualCode
from hskd_lightning.compress.bits.trees import split_trees
from hskd_lightning.compress.compression import Compression
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.width.codes import EveryUnit
from hskd_lightning.hsk import LayerMap, TokenBatch
from tests.helpers import refusal


def fitted(strategy: BitsStrategy, *rows: list[float]) -> BitsCode:
    """Made for these values of one layer pair."""
    sample = torch.tensor([rows])
    return strategy.code(strategy.fit(sample), sample.shape[-1])


def kept(code: BitsCode, *rows: list[float]) -> list[list[float]]:
    """What is left of one example's tokens."""
    return code.decode(code.encode(torch.tensor([[rows]])))[0, 0].tolist()


def drawn(tokens: int, units: int, pairs: int = 1, seed: int = 0) -> Tensor:
    """(P, N, W) with means, and spreads that fall from unit to unit, as components' do."""
    values = torch.randn(pairs, tokens, units, generator=torch.Generator().manual_seed(seed))
    return values * torch.linspace(3, 0.1, units) + 5


def error(strategy: BitsStrategy, sample: Tensor, values: Tensor | None = None) -> float:
    """Share of the variance that is lost."""
    values = sample if values is None else values
    code = strategy.code(strategy.fit(sample), sample.shape[-1])
    back = code.decode(code.encode(values[None]))[0]
    return float((back - values).square().sum() / (values - values.mean(dim=1, keepdim=True)).square().sum())


# Floats.


@pytest.mark.parametrize(("strategy", "back"), [(Fp32, 0.1), (Fp16, 0.0999755859375), (Bf16, 0.10009765625)])
def test_a_tenth_as_each_float_says_it(strategy: type, back: float) -> None:
    assert kept(fitted(strategy(), [0.1]), [0.1]) == [[pytest.approx(back, rel=1e-7)]]


def test_codes_of_a_wider_float_are_rounded_as_the_values_would_have_been() -> None:
    values = torch.randn(1, 1, 50, 3)
    half = Fp16().code({}, 3)
    assert torch.equal(half.decode(Fp32().code({}, 3).encode(values)), half.decode(half.encode(values)))


# Steps.


def test_int8_has_254_steps_from_the_least_to_the_largest() -> None:
    sample = torch.linspace(0, 254, 255)[None, :, None]
    found = Int8().fit(sample)
    assert found["offset"].item() == 127.0
    assert found["scale"].item() == pytest.approx(1.0)
    code = Int8().code(found, 1)
    assert code.encode(torch.tensor([[[[0.0], [127.0], [254.0], [100.4]]]])).flatten().tolist() == [-127, 0, 127, -27]


def test_int4_has_14_steps_and_puts_two_values_in_a_byte() -> None:
    code = fitted(Int4(), [-7.0, -14.0, 0.0], [7.0, 14.0, 0.0])
    codes = code.encode(torch.tensor([[[[-7.0, 6.0, 0.0]]]]))
    assert codes.tolist() == [[[[0b0011_1001, 0]]]]  # -7 is 1001, 3 is 0011
    assert code.decode(codes).flatten().tolist() == [-7.0, 6.0, 0.0]


def test_what_is_far_out_is_cut_off_where_that_makes_the_others_finer() -> None:
    sample = torch.cat(
        [torch.randn(1, 10_000, 1, generator=torch.Generator().manual_seed(0)), torch.full((1, 1, 1), 9.0)], 1
    )
    whole = (sample.amax() - sample.amin()) / 14
    assert Int4().fit(sample)["scale"].item() < 0.7 * whole
    assert kept(Int4().code(Int4().fit(sample), 1), [9.0])[0][0] < 6


@pytest.mark.parametrize("strategy", [Int8(), Int4(), Planes(3)])
def test_a_unit_that_never_moves_comes_back_as_it_was(strategy: BitsStrategy) -> None:
    assert kept(fitted(strategy, [3.5], [3.5], [3.5]), [3.5]) == [[3.5]]


@pytest.mark.parametrize(("strategy", "least"), [(Int8(), 1e-4), (Int4(), 0.03)])
def test_an_outlier_unit_spoils_no_other(strategy: BitsStrategy, least: float) -> None:
    """BERT has units near -10 that vary by 0.5, beside units near 0."""
    values = torch.randn(1, 4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.5, 0.05])
    assert error(strategy, values + torch.tensor([-10.0, 0.0])) < least


# Bits and half bytes in bytes.


@pytest.mark.parametrize("count", [1, 8, 12, 77])
def test_bits_come_back_however_many(count: int) -> None:
    bits = torch.rand(5, count, generator=torch.Generator().manual_seed(count)) < 0.3
    packed = pack_bits(bits)
    assert packed.shape == (5, -(-count // 8))
    assert torch.equal(unpack_bits(packed, count), bits)


def test_the_lowest_bit_is_the_first() -> None:
    assert pack_bits(torch.tensor([[True, *[False] * 7, True]])).tolist() == [[1, 1]]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_half_bytes_come_back_however_many(count: int) -> None:
    elements = torch.arange(-7, -7 + count, dtype=torch.int8).expand(3, -1) + 3
    packed = pack_nibbles(elements)
    assert packed.shape == (3, -(-count // 2))
    assert torch.equal(nibbles(packed, count), elements)
    assert nibbles_at(packed[0], torch.tensor([count - 1, 0])).tolist() == elements[0, [-1, 0]].tolist()


# Trees of halves.


def test_values_are_halved_where_the_gap_is_and_halved_again() -> None:
    means, errors = split_trees(torch.tensor([[0.0], [10.0], [1.0], [11.0]]), 2)
    assert means.tolist() == [[5.5, 0.5, 10.5, 0.0, 1.0, 10.0, 11.0]]
    assert errors.tolist() == [[101.0], [1.0], [0.0]]


def test_the_best_place_to_halve_is_found_among_all() -> None:
    values = drawn(60, 3)[0].exp()
    _, errors = split_trees(values, 1)
    for unit, column in enumerate(values.double().T):
        ordered = column.sort().values
        halves = [(ordered[:cut], ordered[cut:]) for cut in range(1, 60)]
        best = min(sum(float((half - half.mean()).square().sum()) for half in pair) for pair in halves)
        assert float(errors[1, unit]) == pytest.approx(best)


def test_a_half_without_values_takes_the_mean_of_the_whole() -> None:
    means, errors = split_trees(torch.tensor([[2.0], [4.0]]), 2)
    assert means.tolist() == [[3.0, 2.0, 4.0, 2.0, 2.0, 4.0, 4.0]]
    assert errors.tolist() == [[2.0], [0.0], [0.0]]


# Planes.


def test_the_first_bit_goes_to_the_unit_that_it_tells_most_of() -> None:
    code = fitted(Planes(1), [0.0, 1.0], [0.0, 2.0], [9.0, 1.0], [9.0, 2.0])
    assert kept(code, [0.4, 7.0], [8.0, 1.0]) == [[0.0, 1.5], [9.0, 1.5]]


def test_the_next_bit_goes_to_the_next_unit_or_to_the_same() -> None:
    rows = [[0.0, 1.0], [4.0, 1.0], [100.0, 1.0], [104.0, 2.0]]
    assert Planes(3).fit(torch.tensor([rows]))["order"].tolist() == [[0, 0, 1]]


def test_a_token_is_a_byte_of_eight_bits() -> None:
    code = fitted(Planes(2), [0.0], [1.0], [10.0], [11.0])
    codes = code.encode(torch.tensor([[[[0.2], [0.9], [9.0], [30.0]]]]))
    assert codes.flatten().tolist() == [0b00, 0b10, 0b01, 0b11]  # the first bit is the lowest, and the upper half
    assert code.decode(codes).flatten().tolist() == [0.0, 1.0, 10.0, 11.0]


def test_the_largest_budget_says_all_levels_of_all_units() -> None:
    sample = drawn(4000, 5)
    assert error(Planes(30), sample) < 2e-3
    with refusal("bits.keep", "from 1 up to 30"):
        Planes(31).columns(5)


def test_bits_told_by_value_lose_what_the_theory_says() -> None:
    """A bit of a normal value takes its error to 1 - 2/pi of its variance, and a second to 0.1175 (Max, 1960)."""
    values = torch.randn(1, 40_000, 1, generator=torch.Generator().manual_seed(0))
    assert error(Planes(1), values) == pytest.approx(0.3634, abs=0.01)
    assert error(Planes(2), values) == pytest.approx(0.1175, abs=0.01)


# Residual.


def test_a_token_is_the_nearest_sum() -> None:
    """By hand, with codebooks of two vectors each among 254 that are far away."""
    books = torch.full((1, 4, 256, 2), 1e3)
    for book, vectors in enumerate([[[0, 0], [10, 0]], [[0, 0], [0, 10]], [[0, 0], [1, 1]], [[0, 0], [-2, 0]]]):
        books[0, book, :2] = torch.tensor(vectors, dtype=torch.float32)
    code = ResidualCode(books, 4)
    codes = code.encode(torch.tensor([[[[9.0, 11.0], [0.0, 0.0]]]]))
    assert codes.tolist() == [[[[1, 1, 1, 1], [0, 0, 0, 0]]]]
    assert code.decode(codes).tolist() == [[[[9.0, 11.0], [0.0, 0.0]]]]


def test_more_than_one_sum_is_kept_in_mind() -> None:
    """The nearest first vector is the wrong one: 4 is nearer to 3, but 0 + 4.2 is nearer than 3 + 0.4."""
    books = torch.full((1, 4, 256, 1), 1e3)
    for book, vectors in enumerate([[3.0, 0.0], [0.4, 4.1], [0.0, 0.0], [0.0, 0.0]]):
        books[0, book, :2, 0] = torch.tensor(vectors)
    assert kept(ResidualCode(books, 4), [4.0])[0][0] == pytest.approx(4.1)


def test_clusters_are_said_by_a_byte() -> None:
    pytest.importorskip("faiss")
    centres = 10 * torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    sample = centres.repeat(5, 1)[None]
    assert error(Residual(1), sample) < 0.01


def test_fewer_tokens_than_codes_are_refused() -> None:
    pytest.importorskip("faiss")
    with refusal("bits", "256 tokens to fit on"):
        Residual(1).fit(torch.zeros(1, 255, 3))


@pytest.mark.parametrize("keep", [0, 65, 1.5, True, None])
def test_bytes_that_no_token_has_are_refused(keep: object) -> None:
    with refusal("bits.keep", "a whole number of bytes a token, from 1 up to 64"):
        Residual(keep)  # type: ignore[arg-type]


def test_a_missing_faiss_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with refusal("bits", "an installed faiss"):
        Residual(4).check_ready()


@pytest.mark.parametrize("strategy", [Int8(), Int4(), Planes(2), Residual(4)])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_sample_that_is_not_finite_is_refused(strategy: BitsStrategy, value: float) -> None:
    if isinstance(strategy, Residual):
        pytest.importorskip("faiss")
    sample = drawn(300, 3)
    sample[0, 7, 1] = value
    with refusal("teacher", "finite values"):
        strategy.fit(sample)


# The rate of both, side by side.


def test_what_repeats_is_said_in_fewer_bits_by_vectors_than_by_values() -> None:
    pytest.importorskip("faiss")
    words = torch.randn(400, 16, generator=torch.Generator().manual_seed(1))
    tokens = words[torch.randint(400, (4000,), generator=torch.Generator().manual_seed(2))]
    sample = (tokens + 0.1 * torch.randn(4000, 16, generator=torch.Generator().manual_seed(3)))[None]
    for keep in (2, 4):
        assert error(Residual(keep), sample) < 0.5 * error(Planes(8 * keep), sample)


def test_errors_fall_with_every_budget() -> None:
    sample = drawn(3000, 6)
    errors = [error(Planes(keep), sample) for keep in range(1, 37, 5)]
    assert all(more < less for less, more in itertools.pairwise(errors))


# With a teacher in the loop.


@pytest.mark.parametrize("strategy", [Fp16(), Int8(), Planes(4), Residual(2)], ids=lambda each: type(each).__name__)
def test_what_is_no_number_is_not_taught_as_one(strategy: BitsStrategy) -> None:
    if isinstance(strategy, Residual):
        pytest.importorskip("faiss")
    code = strategy.code(strategy.fit(drawn(300, 3)), 3)
    compression = Compression(LayerMap(((1, 1),)), AllTokens(), EveryUnit(), bits=code)
    nothing = torch.zeros(1, 4, dtype=torch.int64)
    one = torch.zeros(1, dtype=torch.int64)
    batch = TokenBatch(one, nothing, nothing + 1, nothing, nothing.bool(), one)
    states = drawn(4, 3)  # (1, T, D)
    states[0, 2, 1] = float("nan")
    taught = compression.compress([states], batch, None).values  # (1, 1, T, D)
    assert taught.isnan().any(dim=-1).tolist() == [[[False, False, True, False]]]


def test_codebooks_that_fp16_does_not_hold_are_refused() -> None:
    pytest.importorskip("faiss")
    with refusal("bits", "values of up to 65,504"):
        Residual(1).fit(1e6 * drawn(300, 3))


def test_planes_are_the_same_after_a_token_by_itself() -> None:
    """A batch of one example of one token: what is decoded must not be written into the code."""
    code, values = Planes(keep=6).code(Planes(keep=6).fit(drawn(50, 2)), 2), drawn(1, 2)[None]  # (1, 1, 1, 2)
    first = code.decode(code.encode(values))
    assert torch.equal(code.decode(code.encode(values)), first)
