"""How a split becomes shards, and rows become one index."""

from __future__ import annotations

import torch

from hskd_lightning.knowledge.shards import flat_index, layer_key, partition, shares


def test_shards_are_neighbours_of_about_so_many_tokens() -> None:
    lengths = torch.tensor([4, 4, 4, 4, 4])
    assert [rows.tolist() for rows in partition(lengths, 8)] == [[0, 1], [2, 3], [4]]


def test_an_example_larger_than_a_shard_has_one_to_itself() -> None:
    assert [rows.tolist() for rows in partition(torch.tensor([2, 30, 2]), 8)] == [[0, 1], [2]]
    assert [rows.tolist() for rows in partition(torch.tensor([8, 30, 2]), 8)] == [[0], [1], [2]]


def test_one_shard_where_all_fits() -> None:
    assert [rows.tolist() for rows in partition(torch.tensor([3, 3]), 65_536)] == [[0, 1]]


def test_a_layer_is_called_by_its_state_and_the_block_that_ranks_it() -> None:
    assert layer_key((8, None)) == "8"
    assert layer_key((8, 5)) == "8@5"


def test_ragged_rows_become_one_index() -> None:
    source, rank = flat_index(torch.tensor([10, 0, 50]), torch.tensor([2, 0, 3]))
    assert source.tolist() == [10, 11, 50, 51, 52]
    assert rank.tolist() == [0, 1, 0, 1, 2]


def test_the_parts_of_many_builders_are_all_shards_once() -> None:
    parts = [list(shares(10, (number, 3))) for number in (1, 2, 3)]
    assert parts == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
