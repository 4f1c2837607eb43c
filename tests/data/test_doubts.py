"""What may be meant is not refused, but said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hskd_lightning.data.doubts import MANY, doubts
from hskd_lightning.data.examples import Corpus, Examples, Task
from hskd_lightning.data.text import TextFiles


def corpus(labels: tuple[str, ...], train: list[str], dev: list[str], wanted: list[int] | None = None) -> Corpus:
    def split(texts: list[str], numbers: list[int]) -> Examples:
        return Examples(list(range(len(texts))), texts, None, numbers)

    known = [number % len(labels) for number in range(len(train))]
    return Corpus(Task("t", "accuracy", labels), split(train, known), {"dev": split(dev, wanted or [0, 1])})


def test_sound_data_raise_no_doubt() -> None:
    assert list(doubts(corpus(("neg", "pos"), ["a", "b"], ["c", "d"]))) == []


def test_inputs_of_dev_that_are_trained_on() -> None:
    (doubt,) = doubts(corpus(("neg", "pos"), ["a", "b"], ["b", "c"]))
    assert doubt == "dev: 1 of 2 inputs are in the training file too, which flatters the score"


def test_a_dev_split_of_one_class() -> None:
    (doubt,) = doubts(corpus(("neg", "pos"), ["a", "b"], ["c", "d"], wanted=[1, 1]))
    assert doubt == "dev: every example has the class 'pos', so whoever always says so is right"


def test_a_class_called_nan() -> None:
    (doubt,) = doubts(corpus(("nan", "pos"), ["a", "b"], ["c", "d"]))
    assert doubt == "nan is taken for the name of a class: if it stands for a missing label, drop its rows"


def test_classes_that_differ_in_capitals_alone() -> None:
    (doubt,) = doubts(corpus(("Pos", "neg", "pos"), ["a", "b"], ["c", "d"]))
    assert doubt == "the classes Pos, pos differ in capitals alone: if they are one, spell them alike"


def test_so_many_classes_that_they_may_be_scores() -> None:
    (doubt,) = doubts(corpus(tuple(map(str, range(MANY + 1))), ["a", "b"], ["c", "d"]))
    assert doubt == "101 classes: if they are scores, set data.regression=true"


def test_a_doubt_is_logged_once_however_often_the_data_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n")
    (tmp_path / "dev.csv").write_text("text,label\na,x\nc,y\n")
    source = TextFiles(str(tmp_path / "train.csv"), str(tmp_path / "dev.csv"), text="text", label="label")
    with caplog.at_level(logging.WARNING):
        source.load(), source.load()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/train.csv: dev: 1 of 2 inputs are in the training file too, which flatters the score"
    ]
