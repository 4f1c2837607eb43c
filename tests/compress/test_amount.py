"""One number becomes three `keep`s, and what is kept is counted, by hand."""

from __future__ import annotations

import re

import pytest
import torch

from hskd_lightning.compress.amount import measure, spread_amount
from hskd_lightning.compress.bits.base import BitsStrategy
from hskd_lightning.compress.bits.fp16 import Fp16
from hskd_lightning.compress.compression import HskPlan, Shape
from hskd_lightning.compress.depth.all import AllLayers
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.keep import Count, Keep, Share, Spelled
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.length.cls_first import ClsFirst
from hskd_lightning.compress.paths import Room
from hskd_lightning.compress.width.all import AllUnits
from hskd_lightning.compress.width.magnitude_mask import MagnitudeMask
from hskd_lightning.compress.width.pca import Pca
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import KnowledgeAmount, TokenBatch

SHAPE = Shape(teacher_blocks=4, teacher_width=8, student_blocks=2)  # full HSK: 3 pairs x tokens x 8


def batch(lengths: list[int], separators: bool = False) -> TokenBatch:
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    special = torch.zeros_like(real)
    if separators:
        special[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = True
    zeros = torch.zeros_like(real, dtype=torch.int64)
    labels = torch.zeros(len(lengths), dtype=torch.int64)
    return TokenBatch(torch.arange(len(lengths)), zeros, real.long(), zeros, special, labels)


def amount(depth, length, width, *batches: TokenBatch, bits: BitsStrategy | None = None) -> KnowledgeAmount:
    return measure(HskPlan.resolve(SHAPE, depth, length, width, bits=bits), batches or [batch([6, 4])])


# hsk.amount


def room(given: dict[str, Spelled], offered: int, pairs: int) -> Room:
    """With 100 units."""
    return Room(given, offered, pairs, units=100)


def part(keep: Keep) -> float:
    assert isinstance(keep, Share)
    return keep.part


def test_three_axes_share_the_amount_equally() -> None:
    keeps = spread_amount(0.125, room({"depth": None, "length": None, "width": None}, 4, 4))
    assert keeps["depth"] == Count(2)
    assert part(keeps["length"]) == part(keeps["width"]) == pytest.approx(0.5)


def test_two_axes_share_the_amount_equally() -> None:
    keeps = spread_amount(0.25, room({"length": None, "width": None}, 5, 5))
    assert list(keeps) == ["length", "width"]
    assert part(keeps["length"]) == part(keeps["width"]) == pytest.approx(0.5)


@pytest.mark.parametrize("axis", ["length", "width"])
def test_one_axis_takes_it_all(axis: str) -> None:
    assert part(spread_amount(0.3, room({axis: None}, 5, 5))[axis]) == pytest.approx(0.3)


def test_depth_alone_is_rounded_to_pairs() -> None:
    assert spread_amount(0.3, room({"depth": None}, 5, 5)) == {"depth": Count(2)}  # 1.5 rounds to the even 2


def test_no_axis_with_a_keep() -> None:
    assert spread_amount(0.3, room({}, 5, 5)) == {}


def test_length_and_width_make_up_for_depths_rounding() -> None:
    keeps = spread_amount(0.1, room({"depth": None, "length": None, "width": None}, 5, 5))
    assert keeps["depth"] == Count(2)  # 0.1 ** (1/3) * 5 = 2.32
    assert part(keeps["length"]) == part(keeps["width"]) == pytest.approx(0.5)  # (0.1 * 5 / 2) ** 0.5
    assert 2 / 5 * part(keeps["length"]) * part(keeps["width"]) == pytest.approx(0.1)


def test_depth_keeps_at_least_one_pair() -> None:
    keeps = spread_amount(0.001, room({"depth": None, "length": None, "width": None}, 5, 5))
    assert keeps["depth"] == Count(1)
    assert part(keeps["length"]) == pytest.approx(0.005**0.5)


def test_depth_that_offers_fewer_pairs_leaves_more_to_the_others() -> None:
    keeps = spread_amount(0.5, room({"depth": None, "length": None}, 1, 4))
    assert keeps == {"depth": Count(1), "length": None}  # 0.5 * 4 / 1 = 2, and a share ends at 1


def test_a_keep_given_by_hand_wins_and_leaves_the_others() -> None:
    alone = spread_amount(0.125, room({"depth": None, "length": None, "width": None}, 4, 4))
    given = spread_amount(0.125, room({"depth": None, "length": 3, "width": None}, 4, 4))
    assert given == {**alone, "length": Count(3)}


def test_a_depth_keep_given_by_hand_leaves_the_others() -> None:
    alone = spread_amount(0.125, room({"depth": None, "length": None, "width": None}, 4, 4))
    given = spread_amount(0.125, room({"depth": 1, "length": None, "width": None}, 4, 4))
    assert given == {**alone, "depth": Count(1)}


def test_amount_one_keeps_everything() -> None:
    keeps = spread_amount(1.0, room({"depth": None, "length": None, "width": None}, 5, 5))
    assert keeps == {"depth": Count(5), "length": None, "width": None}


def test_amount_one_as_a_whole_number_is_the_same() -> None:
    keeps = spread_amount(1, room({"depth": None, "length": None, "width": None}, 5, 5))
    assert keeps == {"depth": Count(5), "length": None, "width": None}


def test_all_of_an_axis_asked_for_by_hand_is_not_left_to_the_amount() -> None:
    alone = spread_amount(0.25, room({"length": None, "width": None}, 5, 5))
    assert spread_amount(0.25, room({"length": 1.0, "width": None}, 5, 5)) == {**alone, "length": None}


@pytest.mark.parametrize("wrong", [0, 0.0, 1.5, -1, True, float("nan")])
def test_amount_out_of_range(wrong: object) -> None:
    expected = f"`hsk.amount` = {wrong!r} cannot be used.\n  allowed: a share above 0 and up to 1"
    with pytest.raises(ConfigError, match=re.escape(expected)):
        spread_amount(wrong, room({"length": None}, 5, 5))


# measure: examples of 6 and 4 tokens, D = 8.


def test_full_hsk_is_all_of_it() -> None:
    full = amount(AllLayers(), AllTokens(), AllUnits())
    assert full.scalars == full.full_scalars == 120.0  # 3 pairs x (6 + 4) / 2 tokens x 8 units
    assert full.fraction == 1.0


def test_full_hsk_by_keeps_is_all_of_it() -> None:
    assert amount(UniformLayers(keep=3), ClsFirst(keep=1.0), Pca(keep=8)).fraction == 1.0


def test_full_hsk_weighs_its_values_and_their_positions() -> None:
    assert amount(AllLayers(), AllTokens(), AllUnits()).bytes == 510.0  # 120 x 4, and 3 pairs x 5 tokens x 2


def test_scalars_by_hand() -> None:
    kept = amount(UniformLayers(keep=1), ClsFirst(keep=5), Pca(keep=2))
    assert kept.scalars == 9.0  # 1 pair x (5 + 4) / 2 tokens x 2
    assert kept.fraction == 9 / 120


def test_positions_weigh_two_bytes_a_token_and_pair() -> None:
    kept = amount(UniformLayers(keep=2), ClsFirst(keep=5), Pca(keep=2))
    assert kept.bytes == 90.0  # 2 pairs x 4.5 tokens x (2 x 4 + 2)


def test_positions_weigh_as_much_where_every_token_is_kept() -> None:
    kept = amount(UniformLayers(keep=1), ClsFirst(keep=6), Pca(keep=2))
    assert kept.bytes == 50.0  # 1 pair x 5 tokens x (2 x 4 + 2)


def test_masks_weigh_a_bit_a_unit() -> None:
    kept = amount(UniformLayers(keep=1), AllTokens(), MagnitudeMask(keep=2))
    assert kept.bytes == 55.0  # 5 tokens x (2 x 4 + 8 / 8 + 2)


def test_half_precision_values_weigh_two_bytes() -> None:
    kept = amount(UniformLayers(keep=1), ClsFirst(keep=5), MagnitudeMask(keep=2), bits=Fp16())
    assert kept.bytes == 31.5  # 4.5 tokens x (2 x 2 + 8 / 8 + 2)


def test_separators_are_not_kept() -> None:
    kept = amount(AllLayers(), AttentionWithoutSep(), AllUnits(), batch([6, 4], separators=True))
    assert kept.fraction == 0.8  # (5 + 3) / (6 + 4)
    assert kept.bytes == 3 * 4 * (8 * 4 + 2)


def test_a_share_of_tokens_is_taken_example_by_example() -> None:
    kept = amount(UniformLayers(keep=1), ClsFirst(keep=0.5), AllUnits())
    assert kept.scalars == 20.0  # (3 + 2) / 2 tokens x 8


def test_batches_do_not_matter() -> None:
    strategies = UniformLayers(keep=1), ClsFirst(keep=5), Pca(keep=2)
    assert amount(*strategies, batch([6]), batch([4])) == amount(*strategies, batch([4, 6]))


def test_padding_never_counts() -> None:
    narrow = amount(AllLayers(), ClsFirst(keep=5), AllUnits(), batch([4, 4]))
    wide = amount(AllLayers(), ClsFirst(keep=5), AllUnits(), batch([4, 4, 9]), batch([4, 4, 9]))
    assert narrow.scalars == 3 * 4 * 8
    assert wide.scalars == 3 * (4 + 4 + 5) / 3 * 8


def test_figures_for_result_json() -> None:
    found = KnowledgeAmount(scalars=30.0, bytes=130.0, full_scalars=120.0, token_bits=64, shared_bytes=2.5)
    assert found.flat() == {
        "knowledge_scalars": 30.0,
        "knowledge_bytes": 130.0,
        "knowledge_full_scalars": 120.0,
        "knowledge_token_bits": 64,
        "knowledge_shared_bytes": 2.5,
        "knowledge_fraction": 0.25,
    }
