"""Length: which tokens each strategy keeps, by hand, and what never happens to padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.compress.depth.uniform import UniformLayers
from hskd_lightning.compress.keep import Count, Share
from hskd_lightning.compress.length.all import AllTokens
from hskd_lightning.compress.length.attention import AttentionTokens
from hskd_lightning.compress.length.attention_no_sep import AttentionWithoutSep
from hskd_lightning.compress.length.attention_received import AttentionReceived
from hskd_lightning.compress.length.base import AttentionRequest, Tokens, kept_counts, select_tokens
from hskd_lightning.compress.length.cls_first import ClsFirst
from hskd_lightning.compress.length.random import RandomTokens
from hskd_lightning.compress.width.codes import EveryUnit
from hskd_lightning.hsk import LayerMap, TokenBatch, TokenSelection
from tests.helpers import refusal

PAD, BELOW = -1e4 + 1, -1e4 - 1  # attention scores of padding whose raw score is 1, or -1


def rows(*lengths: int, width: int | None = None) -> Tensor:
    """(B, T) bool, true on the first n positions of each row."""
    return torch.arange(width or max(lengths)) < torch.tensor(lengths)[:, None]


def marks(width: int, *positions: tuple[int, ...]) -> Tensor:
    """(B, T) bool, true on the given positions of each row."""
    special = torch.zeros(len(positions), width, dtype=torch.bool)
    for row, columns in enumerate(positions):
        special[row, list(columns)] = True
    return special


def plain(*lengths: int, width: int | None = None, ids: list[int] | None = None) -> Tokens:
    """Examples without special tokens and without attention."""
    real = rows(*lengths, width=width)
    return Tokens(torch.tensor(ids or list(range(len(lengths)))), real, torch.zeros_like(real), None)


def one(scores: list[float], special: tuple[int, ...] = (), length: int | None = None) -> Tokens:
    """One example, one layer pair."""
    real = rows(length or len(scores), width=len(scores))
    return Tokens(torch.tensor([0]), real, marks(len(scores), special), torch.tensor([[scores]]))


def kept(selection: TokenSelection, pair: int = 0) -> list[list[int]]:
    """The valid positions of each example."""
    return [
        positions[valid].tolist()
        for positions, valid in zip(selection.positions[:, pair], selection.valid[:, pair], strict=True)
    ]


# Every strategy, by hand.


def test_all_keeps_every_real_token_from_left_to_right() -> None:
    assert kept(select_tokens(AllTokens(), plain(3, 2), 1)) == [[0, 1, 2], [0, 1]]


def test_cls_first_keeps_the_left() -> None:
    assert kept(select_tokens(ClsFirst(keep=2), plain(4, 3), 1)) == [[0, 1], [0, 1]]


def test_attention_keeps_the_highest_scores_best_first() -> None:
    assert kept(select_tokens(AttentionTokens(keep=3), one([1.0, 4.0, 2.0, 3.0]), 1)) == [[1, 3, 2]]


def test_attention_scores_below_zero_are_scores() -> None:
    assert kept(select_tokens(AttentionTokens(keep=2), one([-9.0, -1.0, -5.0]), 1)) == [[1, 2]]


def test_attention_received_keeps_the_highest_probabilities() -> None:
    assert kept(select_tokens(AttentionReceived(keep=2), one([0.2, 0.1, 0.7]), 1)) == [[2, 0]]


def test_each_pair_keeps_its_own_tokens() -> None:
    attention = torch.tensor([[[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]])  # (1, 2, 3)
    tokens = plain(3)._replace(attention=attention)
    selection = select_tokens(AttentionTokens(keep=2), tokens, 2)
    assert (kept(selection, 0), kept(selection, 1)) == ([[0, 1]], [[2, 1]])


def test_one_score_serves_all_pairs() -> None:
    selection = select_tokens(ClsFirst(keep=2), plain(3), 3)
    assert selection.positions.tolist() == [[[0, 1], [0, 1], [0, 1]]]


def test_ties_keep_the_left_token() -> None:
    assert kept(select_tokens(AttentionTokens(keep=2), one([1.0, 2.0, 2.0, 2.0]), 1)) == [[1, 2]]


def test_without_sep_leaves_the_separator_out() -> None:
    tokens = one([1.0, 2.0, 3.0, 9.0], special=(0, 3))
    assert kept(select_tokens(AttentionWithoutSep(keep=3), tokens, 1)) == [[2, 1, 0]]


def test_without_sep_leaves_both_separators_of_a_pair_out() -> None:
    tokens = one([5.0, 1.0, 9.0, 2.0, 9.0], special=(0, 2, 4))
    assert kept(select_tokens(AttentionWithoutSep(keep=4), tokens, 1)) == [[0, 3, 1]]


def test_without_sep_counts_separators_in_each_example() -> None:
    tokens = Tokens(
        ids=torch.tensor([0, 1]),
        real=rows(5, 3, width=5),
        special=marks(5, (0, 2, 4), (0, 2)),
        attention=torch.tensor([[[1.0, 2.0, 9.0, 3.0, 9.0]], [[1.0, 2.0, 9.0, PAD, PAD]]]),
    )
    assert kept(select_tokens(AttentionWithoutSep(keep=4), tokens, 1)) == [[3, 1, 0], [1, 0]]


def test_pin_cls_keeps_cls_first_whatever_its_score() -> None:
    tokens = one([-5.0, 1.0, 2.0, 9.0], special=(0, 3))
    assert kept(select_tokens(AttentionWithoutSep(keep=2, pin_cls=True), tokens, 1)) == [[0, 2]]


def test_without_pin_a_low_cls_is_dropped() -> None:
    tokens = one([-5.0, 1.0, 2.0, 9.0], special=(0, 3))
    assert kept(select_tokens(AttentionWithoutSep(keep=2), tokens, 1)) == [[2, 1]]


def test_pin_cls_leaves_the_teachers_scores_alone() -> None:
    tokens = one([-5.0, 1.0, 2.0, 9.0], special=(0, 3))
    select_tokens(AttentionWithoutSep(keep=2, pin_cls=True), tokens, 1)
    assert tokens.attention is not None and tokens.attention[0, 0, 0] == -5.0


def test_without_sep_leaves_the_batchs_mask_alone() -> None:
    tokens = one([1.0, 2.0, 9.0], special=(0, 2))
    select_tokens(AttentionWithoutSep(keep=2), tokens, 1)
    assert tokens.special.tolist() == [[True, False, True]]


def test_an_example_of_special_tokens_alone_keeps_cls() -> None:
    assert kept(select_tokens(AttentionWithoutSep(keep=2), one([1.0, 9.0], special=(0, 1)), 1)) == [[0]]


# How many.


def test_keep_one() -> None:
    assert select_tokens(ClsFirst(keep=1), plain(4, 2), 1).positions.tolist() == [[[0]], [[0]]]


def test_a_short_example_keeps_what_it_has() -> None:
    selection = select_tokens(ClsFirst(keep=3), plain(4, 2), 1)
    assert selection.valid.tolist() == [[[True, True, True]], [[True, True, False]]]
    assert kept(selection) == [[0, 1, 2], [0, 1]]


def test_a_batch_of_short_examples_is_as_narrow_as_its_richest() -> None:
    assert select_tokens(ClsFirst(keep=9), plain(3, 2), 1).positions.shape == (2, 1, 3)


def test_positions_that_are_not_there_are_zero() -> None:
    assert select_tokens(ClsFirst(keep=3), plain(3, 1), 1).positions[1, 0].tolist() == [0, 0, 0]


def test_a_share_is_of_the_examples_own_tokens() -> None:
    assert kept(select_tokens(ClsFirst(keep=0.5), plain(8, 4, 2), 1)) == [[0, 1, 2, 3], [0, 1], [0]]


def test_a_share_is_of_the_real_tokens_separators_included() -> None:
    tokens = one([1.0, 2.0, 3.0, 9.0], special=(0, 3))
    assert kept(select_tokens(AttentionWithoutSep(keep=0.5), tokens, 1)) == [[2, 1]]  # 2 of 4, not 2 of 3


def test_a_share_of_one_without_sep_keeps_all_but_separators() -> None:
    tokens = one([1.0, 2.0, 3.0, 9.0], special=(0, 3))
    assert kept(select_tokens(AttentionWithoutSep(keep=1.0), tokens, 1)) == [[2, 1, 0]]


def test_the_smallest_share_keeps_one_token() -> None:
    assert kept(select_tokens(ClsFirst(keep=0.01), plain(5, 1), 1)) == [[0], [0]]


def test_counts_by_hand() -> None:
    real = rows(5, 3, 1)
    assert kept_counts(None, real, real).tolist() == [5, 3, 1]
    assert kept_counts(Count(2), real, real).tolist() == [2, 2, 1]
    assert kept_counts(Share(0.4), real, real).tolist() == [2, 1, 1]
    assert kept_counts(None, real, real & ~marks(5, (4,), (2,), ())).tolist() == [4, 2, 1]


# Padding.


def test_padding_is_never_selected_even_where_it_scores_high() -> None:
    tokens = one([1.0, 2.0, 99.0, 99.0], length=2)
    assert kept(select_tokens(AttentionTokens(keep=4), tokens, 1)) == [[1, 0]]


def test_wider_padding_selects_the_same() -> None:
    narrow = select_tokens(ClsFirst(keep=3), plain(4, 2), 1)
    wide = select_tokens(ClsFirst(keep=3), plain(4, 2, width=9), 1)
    assert narrow.positions.tolist() == wide.positions.tolist()
    assert narrow.valid.tolist() == wide.valid.tolist()


def batch(real: Tensor, special: Tensor) -> TokenBatch:
    """A batch of which only the masks matter."""
    zeros = torch.zeros_like(real, dtype=torch.int64)
    ids = torch.arange(len(real))
    return TokenBatch(ids, zeros, real.long(), zeros, special, torch.zeros(len(real), dtype=torch.int64))


def released(strategy: object, padding: str, tokens: TokenBatch, attention: Tensor | None) -> TokenSelection:
    """What a compression to one layer selects."""
    compression = Compression(LayerMap(((1, 1),)), strategy, EveryUnit(), padding=padding)
    return compression.compress([torch.zeros(*tokens.input_ids.shape, 2)], tokens, attention).tokens


def test_padding_ignored_stops_cls_first_at_the_last_real_token() -> None:
    tokens = batch(rows(2, width=4), marks(4, (0, 1)))
    assert kept(released(ClsFirst(keep=3), "ignore", tokens, None)) == [[0, 1]]


def test_padding_distilled_spends_cls_firsts_budget_on_padding() -> None:
    tokens = batch(rows(2, width=4), marks(4, (0, 1)))
    assert kept(released(ClsFirst(keep=3), "distill", tokens, None)) == [[0, 1, 2]]


FIRST_ROW = batch(rows(4, 3, width=5), marks(5, (0, 3), (0, 2)))
FIRST_ROW_SCORES = torch.tensor([[[1.0, 2.0, 3.0, 9.0, PAD]], [[1.0, 2.0, 9.0, PAD, PAD]]])


def test_first_row_fills_a_short_example_from_padding() -> None:
    strategy = AttentionWithoutSep(keep=4, separators="first_row")
    assert kept(released(strategy, "distill", FIRST_ROW, FIRST_ROW_SCORES)) == [[2, 1, 0, 4], [1, 0, 3, 4]]


def test_first_row_takes_separators_after_padding_of_positive_score() -> None:
    strategy = AttentionWithoutSep(keep=5, separators="first_row")
    selected = released(strategy, "distill", FIRST_ROW, FIRST_ROW_SCORES)
    assert kept(selected) == [[2, 1, 0, 4, 3], [1, 0, 3, 4, 2]]


def test_first_row_takes_padding_of_positive_score_then_separators_then_the_rest_of_padding() -> None:
    short = batch(rows(3, width=5), marks(5, (0, 2)))
    strategy = AttentionWithoutSep(keep=5, separators="first_row")
    scores = torch.tensor([[[1.0, 2.0, 9.0, BELOW, PAD]]])
    assert kept(released(strategy, "distill", short, scores)) == [[1, 0, 4, 2, 3]]


def test_first_row_removes_as_many_separators_as_the_first_row_has() -> None:
    pair_second = batch(rows(3, 5), marks(5, (0, 2), (0, 2, 4)))
    scores = torch.tensor([[[1.0, 2.0, 9.0, PAD, PAD]], [[1.0, 2.0, 8.0, 3.0, 9.0]]])
    strategy = AttentionWithoutSep(keep=2, separators="first_row")
    assert kept(released(strategy, "distill", pair_second, scores)) == [[1, 0], [4, 3]]


def test_first_row_without_padding_fills_from_separators() -> None:
    strategy = AttentionWithoutSep(keep=4, separators="first_row")
    assert kept(released(strategy, "ignore", FIRST_ROW, FIRST_ROW_SCORES)) == [[2, 1, 0, 3], [1, 0, 2]]


def test_first_row_cannot_be_stored() -> None:
    assert AttentionWithoutSep(separators="first_row").offline is False
    assert AttentionWithoutSep().offline is True


# Whose attention.


@pytest.mark.parametrize(("blocks", "expected"), [(4, (0, 2, 5, 8, 11)), (6, (0, 1, 3, 5, 7, 9, 11))])
def test_uniform_attention_blocks_are_the_released_codes(blocks: int, expected: tuple) -> None:
    asked = AttentionRequest("cls_row", "uniform")
    assert asked.blocks(UniformLayers().layer_map(12, blocks), 12, blocks) == expected


def test_uniform_attention_ignores_the_depth_map() -> None:
    asked = AttentionRequest("cls_row", "uniform")
    assert asked.blocks(UniformLayers(top=8, keep=2).layer_map(12, 4), 12, 4) == (8, 11)


def test_mapped_attention_is_of_the_block_that_made_the_state() -> None:
    asked = AttentionRequest("cls_row", "mapped")
    assert asked.blocks(UniformLayers(top=8).layer_map(12, 4), 12, 4) == (0, 1, 3, 5, 7)  # states 0,2,4,6,8


def test_gathering_takes_the_same_positions_of_each_state() -> None:
    selection = TokenSelection(torch.tensor([[[2, 0], [1, 1]]]), torch.ones(1, 2, 2, dtype=torch.bool))
    low, high = torch.tensor([[[0.0], [1.0], [2.0]]]), torch.tensor([[[10.0], [11.0], [12.0]]])
    assert selection.gather([low, high]).squeeze(-1).tolist() == [[[2.0, 0.0], [11.0, 11.0]]]


# Random tokens.


def test_random_draws_an_example_alike_in_every_batch() -> None:
    alone = kept(select_tokens(RandomTokens(keep=4), plain(9, ids=[7]), 1))
    among = kept(select_tokens(RandomTokens(keep=4), plain(3, 9, 12, ids=[1, 7, 2]), 1))
    assert alone[0] == among[1]


def test_random_draws_alike_whatever_the_padding() -> None:
    strategy = RandomTokens(keep=4)
    assert kept(select_tokens(strategy, plain(9), 1)) == kept(select_tokens(strategy, plain(9, width=30), 1))


def test_random_another_seed_draws_others() -> None:
    drawn = [kept(select_tokens(RandomTokens(keep=5, seed=seed), plain(50), 1))[0] for seed in range(3)]
    assert len({tuple(positions) for positions in drawn}) == 3


def test_random_another_example_draws_others() -> None:
    drawn = kept(select_tokens(RandomTokens(keep=5), plain(50, 50, 50), 1))
    assert len({tuple(positions) for positions in drawn}) == 3


def test_random_next_seed_is_not_the_next_example() -> None:
    first = kept(select_tokens(RandomTokens(keep=5, seed=1), plain(50, ids=[4]), 1))
    next_one = kept(select_tokens(RandomTokens(keep=5, seed=0), plain(50, ids=[5]), 1))
    assert first != next_one


def test_random_draws_each_position_equally_often() -> None:
    drawn = select_tokens(RandomTokens(keep=1), plain(*[10] * 5000), 1).positions
    share = torch.bincount(drawn.flatten(), minlength=10) / 5000
    assert 0.08 < share.min() and share.max() < 0.12  # a tenth; one standard deviation is 0.004


def test_random_draws_each_pair_of_positions_equally_often() -> None:
    first, second = select_tokens(RandomTokens(keep=2), plain(*[5] * 5000), 1).positions[:, 0].unbind(1)
    share = torch.bincount(first * 5 + second, minlength=25) / 5000
    assert 0.035 < share[share > 0].min() and share.max() < 0.065 and (share > 0).sum() == 20  # a 20th


def test_random_huge_example_ids_do_not_overflow() -> None:
    drawn = kept(select_tokens(RandomTokens(keep=3), plain(9, 9, ids=[2**62, 2**40 + 1]), 1))
    assert all(len(set(positions)) == 3 for positions in drawn)


def test_random_keeps_a_prefix() -> None:
    few, many = (kept(select_tokens(RandomTokens(keep=keep), plain(9), 1))[0] for keep in (2, 6))
    assert few == many[:2]


# Wrong options.


@pytest.mark.parametrize("keep", [0, -3, 1.5, True, "all"])
@pytest.mark.parametrize("strategy", [ClsFirst, AttentionTokens, AttentionReceived, AttentionWithoutSep, RandomTokens])
def test_keep_out_of_range(strategy: type, keep: object) -> None:
    with refusal("length.keep", "a whole number from 1, a share like 0.25"):
        strategy(keep=keep)


@pytest.mark.parametrize("strategy", [AttentionTokens, AttentionReceived, AttentionWithoutSep])
def test_unknown_attention_from(strategy: type) -> None:
    with refusal("length.attention_from", "write length.attention_from=mapped"):
        strategy(attention_from="last")


def test_unknown_separators() -> None:
    with refusal("length.separators", "per_example, first_row"):
        AttentionWithoutSep(separators="none")
