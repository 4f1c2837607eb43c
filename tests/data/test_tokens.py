"""Ragged token ids: sliced right, cut right, and the same from disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.tokens import TokenSplit, concatenate, read_tokens, tokenize, tokenize_corpus, write_tokens
from hskd_lightning.data.vocabulary import train_wordpiece

CLASSES = Task("tiny", "accuracy", ("no", "yes"))
SCORE = Task("scores", "pearson_spearman", None)
SINGLE = Examples([7, 8], ["a b c", "a"], None, [1, 0])
PAIR = Examples([7, 8], ["a b c d e", "a"], ["f g", "b"], [1, 0])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """One piece a letter: [PAD] [UNK] [CLS] [SEP] [MASK] are 0 to 4, a is 5, b is 6, and so on."""
    return train_wordpiece(["a b c d e f g"], 19)


def rows(split: TokenSplit) -> list[list[int]]:
    places = zip(split.starts, split.lengths, strict=True)
    return [split.input_ids[start : start + length].tolist() for start, length in places]


def equal(first: TokenSplit, second: TokenSplit) -> bool:
    tensors = [{**vars(split), "begin": split.starts}.values() for split in (first, second)]
    return all(torch.equal(own, other) and own.dtype == other.dtype for own, other in zip(*tensors, strict=True))


def test_single_texts_by_hand(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(SINGLE, tokenizer, max_length=10)
    assert rows(split) == [[2, 5, 6, 7, 3], [2, 5, 3]]
    assert split.special.tolist() == [True, False, False, False, True, True, False, True]
    assert split.token_type_ids.tolist() == [0] * 8
    assert split.offsets.tolist() == [0, 5, 8]
    assert split.lengths.tolist() == [5, 3]
    assert (split.ids.tolist(), split.labels.tolist()) == ([7, 8], [1, 0])


def test_pairs_by_hand(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(PAIR, tokenizer, max_length=20)
    assert rows(split)[1] == [2, 5, 3, 6, 3]
    assert split.token_type_ids[-5:].tolist() == [0, 0, 0, 1, 1]
    assert split.special[-5:].tolist() == [True, False, True, False, True]


def test_a_long_text_is_cut_and_keeps_its_separator(tokenizer: PreTrainedTokenizerBase) -> None:
    assert rows(tokenize(SINGLE, tokenizer, max_length=4)) == [[2, 5, 6, 3], [2, 5, 3]]


def test_the_longer_text_of_a_pair_is_cut_first(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(PAIR, tokenizer, max_length=8)  # 5 + 2 + 3 special = 10: two too many
    assert rows(split)[0] == [2, 5, 6, 7, 3, 10, 11, 3]


def test_a_text_of_exactly_the_length_is_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    assert rows(tokenize(SINGLE, tokenizer, max_length=5))[0] == [2, 5, 6, 7, 3]


def test_an_empty_text_is_its_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    assert rows(tokenize(Examples([0], [""], None, [1]), tokenizer, max_length=5)) == [[2, 3]]


def test_a_split_of_no_examples(tokenizer: PreTrainedTokenizerBase) -> None:
    assert len(tokenize(Examples([], [], None, []), tokenizer, max_length=5)) == 0


def test_scores_are_float32(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(Examples([0], ["a"], None, [2.5]), tokenizer, max_length=5)
    assert split.labels.dtype == torch.float32
    assert split.labels.tolist() == [2.5]


def test_more_examples_than_a_chunk(tokenizer: PreTrainedTokenizerBase) -> None:
    many = Examples(list(range(5000)), ["a", "a b"] * 2500, None, [0] * 5000)
    split = tokenize(many, tokenizer, max_length=5)
    assert split.lengths.tolist() == [3, 4] * 2500


def test_take_in_the_order_asked(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(SINGLE, tokenizer, max_length=10)
    taken = split.take(torch.tensor([1, 0, 1]))
    assert rows(taken) == [[2, 5, 3], [2, 5, 6, 7, 3], [2, 5, 3]]
    assert (taken.ids.tolist(), taken.labels.tolist()) == ([8, 7, 8], [0, 1, 0])
    assert taken.offsets.tolist() == [0, 3, 8, 11]
    assert taken.starts.tolist() == [5, 0, 5]


def test_what_is_taken_shares_its_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(SINGLE, tokenizer, max_length=10)
    for taken in (split.take(torch.tensor([1])), concatenate(split.take(torch.tensor([1])), split)):
        assert taken.input_ids.data_ptr() == split.input_ids.data_ptr()


def test_two_splits_in_one(tokenizer: PreTrainedTokenizerBase) -> None:
    split, other = (tokenize(each, tokenizer, max_length=10) for each in (SINGLE, PAIR))
    both = concatenate(split.take(torch.tensor([1])), other.take(torch.tensor([1, 0])))
    assert rows(both) == [rows(split)[1], rows(other)[1], rows(other)[0]]
    assert rows(concatenate(split.take(torch.tensor([1])), split)) == [rows(split)[1], *rows(split)]
    assert both.lengths.tolist() == [3, 5, len(rows(other)[0])]


def test_take_all_is_the_split(tokenizer: PreTrainedTokenizerBase) -> None:
    split = tokenize(PAIR, tokenizer, max_length=10)
    assert equal(split.take(torch.arange(2)), split)


def test_take_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    taken = tokenize(SINGLE, tokenizer, max_length=10).take(torch.tensor([], dtype=torch.int64))
    assert len(taken) == 0
    assert taken.offsets.tolist() == [0]


@pytest.mark.parametrize("task", [CLASSES, SCORE])
def test_from_disk_as_written(task: Task, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    corpus = tokenize_corpus(Corpus(task, SINGLE, {"dev": PAIR, "dev_mm": SINGLE}), tokenizer, 10)
    write_tokens(corpus, tmp_path)
    read = read_tokens(tmp_path)
    assert read.task == task
    assert list(read.dev) == ["dev", "dev_mm"]
    assert equal(read.train, corpus.train)
    assert all(equal(read.dev[name], corpus.dev[name]) for name in corpus.dev)


def test_the_files_are_json_and_safetensors(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    write_tokens(tokenize_corpus(Corpus(CLASSES, SINGLE, {"dev": SINGLE}), tokenizer, 10), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["dev.safetensors", "task.json", "train.safetensors"]
