"""The toy corpus: reproducible, balanced, right by hand, and not solved by counting words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from hskd_lightning.data.examples import Examples
from hskd_lightning.data.grammar import SCALES
from hskd_lightning.data.toy import TASKS, Toy
from hskd_lightning.data.vocabulary import (
    SPECIAL,
    load_tokenizer,
    texts_of,
    tokenizer_digest,
    train_wordpiece,
)
from hskd_lightning.errors import ConfigError

PRAISE = {scale.praise for scale in SCALES}
FLIP = re.compile(r"\b(never|hardly|not|fail to|refuse to|forget to|anything but|far from)\b")
JOIN = re.compile(r" (yet|although|even if|and|or|(?<!anything )but) | , ")


def clause_praises(clause: str) -> bool:
    """An independent reading of a clause: its last word against the parity of its flips."""
    return (clause.split()[-1] in PRAISE) != (len(FLIP.findall(clause)) % 2 == 1)


def sentence_praises(sentence: str) -> bool:
    """An independent reading of a sentence of one or two clauses."""
    fronted = sentence.startswith("although ")
    text = sentence.removeprefix("although ")
    found = JOIN.search(text)
    if found is None:
        return clause_praises(text)
    first, second = clause_praises(text[: found.start()]), clause_praises(text[found.end() :])
    if fronted or found[1] in ("but", "yet"):
        return second
    return {"and": first and second, "or": first or second}.get(found[1], first)


def follows(premise: str, hypothesis: str) -> bool:
    """An independent reading of a pair: both place the hypothesis's person on the same side."""
    person = hypothesis.split()[1]
    parts = JOIN.split(premise.removeprefix("although "))
    about = next(part for part in parts if part and person in part.split())
    return clause_praises(about) == clause_praises(hypothesis)


def hits(train: Examples, dev: Examples, grams: int) -> float:
    """Development accuracy of a logistic regression on the words (1) or on words and word pairs (2)."""
    index: dict[str, int] = {}

    def features(split: Examples, grow: bool) -> torch.Tensor:
        rows = []
        for position, first in enumerate(split.first):
            words = first.split() + ["|"] + (split.second[position].split() if split.second else [])
            keys = words + ([f"{a} {b}" for a, b in pairwise(words)] if grams == 2 else [])
            rows.append([index.setdefault(key, len(index)) if grow else index.get(key) for key in keys])
        matrix = torch.zeros(len(rows), len(index))
        for row, columns in enumerate(rows):
            matrix[row, [column for column in columns if column is not None]] = 1.0
        return matrix

    inputs, target = features(train, grow=True), torch.tensor(train.labels, dtype=torch.float)
    weight = torch.zeros(inputs.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.05, weight_decay=1e-4)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weight + bias, target).backward()
        optimizer.step()
    said = features(dev, grow=False) @ weight + bias > 0
    return (said == torch.tensor(dev.labels).bool()).float().mean().item()


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("the waiter is kind", True),
        ("the waiter is far from kind", False),
        ("the waiter will never fail to be kind", True),
        ("the waiter can hardly forget to be anything but kind", False),
        ("the rude cook does not stumble", True),
        ("the cook is anything but rude yet the pilot does annoy", False),
        ("although the clerk will refuse to help , the actor is fair", True),
        ("the clerk does help although the actor is unfair", True),
        ("the clerk does help even if the actor will annoy", True),
        ("the guard is fair and the tailor does not seem to be polite", False),
        ("the guard is unfair or the tailor does seem to be polite", True),
    ],
)
def test_independent_reading_agrees_with_hand(sentence: str, label: bool) -> None:
    assert sentence_praises(sentence) is label


def test_every_polarity_label_is_right() -> None:
    train = Toy("polarity", train=3000, dev=10).load().train
    assert [int(sentence_praises(sentence)) for sentence in train.first] == train.labels


def test_every_entailment_label_is_right() -> None:
    train = Toy("entailment", train=3000, dev=10).load().train
    assert train.second is not None
    assert [int(follows(*pair)) for pair in zip(train.first, train.second, strict=True)] == train.labels


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_corpus(task: str) -> None:
    assert Toy(task, 300, 50, seed=3).load() == Toy(task, 300, 50, seed=3).load()
    assert Toy(task, 300, 50, seed=3).load() != Toy(task, 300, 50, seed=4).load()


@pytest.mark.parametrize("task", TASKS)
def test_dev_shares_nothing_with_train_and_labels_balance(task: str) -> None:
    corpus = Toy(task).load()
    train, dev = corpus.train, corpus.dev["dev"]
    keys = [list(zip(split.first, split.second or split.first, strict=True)) for split in (train, dev)]
    assert (len(keys[0]), len(keys[1])) == (12000, 2000)
    assert len(set(keys[0] + keys[1])) == 14000
    assert len(set(train.ids + dev.ids)) == 14000
    for split in (train, dev):
        assert 0.46 < sum(split.labels) / len(split.labels) < 0.54


@pytest.mark.parametrize("task", TASKS)
def test_counting_words_is_not_enough(task: str) -> None:
    corpus = Toy(task, train=6000, dev=2000).load()
    assert hits(corpus.train, corpus.dev["dev"], grams=1) < 0.65
    assert hits(corpus.train, corpus.dev["dev"], grams=2) < 0.75


def test_hypothesis_alone_says_nothing() -> None:
    corpus = Toy("entailment", train=6000, dev=2000).load()
    alone = [Examples(s.ids, s.second or [], None, s.labels) for s in (corpus.train, corpus.dev["dev"])]
    assert hits(*alone, grams=1) < 0.55


TRAINED = """
from hskd_lightning.data.toy import TASKS, Toy
from hskd_lightning.data.vocabulary import texts_of, tokenizer_digest, train_wordpiece
for task in TASKS:
    print(tokenizer_digest(train_wordpiece(list(texts_of(Toy(task, 2000, 100).load().train)), 300)))
"""


def tokenizer_of(toy: Toy) -> PreTrainedTokenizerBase:
    return train_wordpiece(list(texts_of(toy.load().train)), 300)


def digests_in_a_process(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", TRAINED]
    return subprocess.check_output(command, env=environment, text=True).split()


def test_tokenizer_is_the_same_in_every_process() -> None:
    here = [tokenizer_digest(tokenizer_of(Toy(task, 2000, 100))) for task in TASKS]
    assert digests_in_a_process("1") == digests_in_a_process("2") == here


@pytest.mark.parametrize("task", TASKS)
def test_tokenizer_survives_saving(task: str, tmp_path: Path) -> None:
    toy = Toy(task, 2000, 100)
    tokenizer = tokenizer_of(toy)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    dev = toy.load().dev["dev"]
    before, after = tokenizer(dev.first, dev.second), loaded(dev.first, dev.second)
    assert dict(before) == dict(after)
    assert set(after) == {"input_ids", "token_type_ids", "attention_mask"}
    assert tokenizer_digest(loaded) == tokenizer_digest(tokenizer)
    assert loaded.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3, 4]
    assert all(loaded.unk_token_id not in ids for ids in after["input_ids"])


def test_tokenizer_digest_does_not_change_by_use() -> None:
    tokenizer = tokenizer_of(Toy("polarity", 500, 10))
    before = tokenizer_digest(tokenizer)
    tokenizer("the cook is kind", truncation=True, max_length=4, padding="max_length")
    assert tokenizer_digest(tokenizer) == before


def test_tokenizer_digest_tells_vocabularies_apart() -> None:
    texts = list(texts_of(Toy("polarity", 500, 10).load().train))
    assert len({tokenizer_digest(train_wordpiece(texts, size)) for size in (150, 200)}) == 2


def test_tokenizer_marks_pairs_and_splits_words() -> None:
    tokenizer = tokenizer_of(Toy("entailment", 2000, 100))
    encoded = tokenizer("the cook is kind", "the cook is kind")
    assert encoded["token_type_ids"] == sorted(encoded["token_type_ids"])
    assert set(encoded["token_type_ids"]) == {0, 1}
    assert encoded["input_ids"].count(tokenizer.sep_token_id) == 2
    assert any(piece.startswith("##") for piece in tokenizer.tokenize(" ".join(s.praise for s in SCALES)))


def test_digest_names_every_parameter() -> None:
    toys = [Toy(), Toy("entailment"), Toy(train=11000), Toy(dev=1000), Toy(seed=1)]
    assert len({toy.digest() for toy in toys}) == len(toys)
    assert Toy().digest() == Toy().digest()


def test_wrong_task_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="(?s)`data.task` = 'sentiment'.*polarity, entailment"):
        Toy("sentiment")


@pytest.mark.parametrize("name", ["train", "dev"])
@pytest.mark.parametrize("value", [0, -5000, 1.5, "many", True])
def test_a_number_of_examples_that_is_none(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"`data.source.{name}`.*(?s:.*)a whole number from 1"):
        Toy(**{name: value})  # type: ignore[arg-type]


def test_a_seed_that_is_no_number() -> None:
    with pytest.raises(ConfigError, match="`data.source.seed` = 'abc'"):
        Toy(seed="abc")  # type: ignore[arg-type]


def test_a_vocabulary_without_room_for_the_letters() -> None:
    with pytest.raises(ConfigError, match="`teacher.init.vocabulary` = 10(?s:.*)11 or more: .* 3 different letters"):
        train_wordpiece(["abc", "cab"], 10)
