"""Sizes that a user wrote out: what no model can be built of is refused by the user's own key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.models.shapes import Checkpoint, Sizes
from hskd_lightning.models.teacher_init import PretrainedTeacher, ScratchTeacher
from hskd_lightning.models.written_out import written_out

TASK = Task("polarity", "accuracy", ("negative", "positive"))
SHAPE: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_dropout_prob": 0.1,
}


def refusal(**changed: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        written_out({**SHAPE, **changed}, TASK, "student.shape", vocab_size=100)
    return caught.value


def test_sizes_are_taken_and_the_head_is_the_tasks() -> None:
    config = written_out(SHAPE, TASK, "student.shape", vocab_size=100)
    assert (config.hidden_size, config.vocab_size, config.id2label) == (32, 100, {0: "negative", 1: "positive"})


def test_heads_that_do_not_divide_the_width() -> None:
    error = refusal(num_attention_heads=3)
    assert (error.key, error.value) == ("student.shape.num_attention_heads", 3)
    assert error.allowed == "a number of heads that divides the width, 32: 1, 2, 4, 8, 16, 32"


def test_heads_are_called_as_the_architecture_calls_them() -> None:
    shape = {"model_type": "distilbert", "dim": 32, "n_heads": 3, "n_layers": 1, "hidden_dim": 8}
    with pytest.raises(ConfigError, match="`student.shape.n_heads` = 3"):
        written_out(shape, TASK, "student.shape")


@pytest.mark.parametrize(("kind", "near"), [("gpt7", "gptj"), ("robert", "roberta"), ("brt", "bert")])
def test_an_architecture_that_there_is_not_names_near_ones(kind: str, near: str) -> None:
    error = refusal(model_type=kind)
    assert (error.key, error.value) == ("student.shape.model_type", kind)
    assert f"did you mean {near} or" in error.remedy


@pytest.mark.parametrize("kind", ["vit", None, 3, ["bert"]])
def test_an_architecture_without_a_head_for_text(kind: object) -> None:
    error = refusal(model_type=kind)
    assert (error.key, error.value) == ("student.shape.model_type", kind)
    assert "bert, roberta, electra" in error.allowed


@pytest.mark.parametrize("size", ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"])
@pytest.mark.parametrize("value", [0, -8, 8.5, "big", None, True])
def test_a_size_that_is_none(size: str, value: object) -> None:
    error = refusal(**{size: value})
    assert (error.key, error.value, error.allowed) == (f"student.shape.{size}", value, "a whole number from 1")


@pytest.mark.parametrize("value", [2, -0.1, float("nan")])
def test_a_dropout_that_is_no_share(value: float) -> None:
    error = refusal(hidden_dropout_prob=value)
    assert (error.key, error.allowed) == ("student.shape.hidden_dropout_prob", "a share from 0 to 1")


def test_a_setting_of_another_type() -> None:
    error = refusal(hidden_dropout_prob="x")
    assert (error.key, error.value) == ("student.shape.hidden_dropout_prob", "x")
    assert "expected float, got str" in error.remedy


def test_a_value_that_the_architecture_does_not_have() -> None:
    assert (refusal(hidden_act="foo").key, refusal(hidden_act="foo").value) == ("student.shape.hidden_act", "foo")


def test_a_setting_that_there_is_not_names_the_nearest() -> None:
    error = refusal(hiden_size=8)
    assert error.key == "student.shape.hiden_size"
    assert error.remedy.startswith("did you mean hidden_size")


@pytest.mark.parametrize("name", ["num_labels", "id2label"])
def test_a_setting_that_the_data_decide(name: str) -> None:
    assert (refusal(**{name: 7}).key, refusal(**{name: 7}).remedy) == (f"student.shape.{name}", "leave it out")


def test_a_student_names_its_own_key() -> None:
    with pytest.raises(ConfigError, match=r"`student.shape.hidden_size` = 0"):
        Sizes("bert", hidden_size=0).config(BertConfig(), TASK)


def test_a_teacher_names_its_own_key() -> None:
    with pytest.raises(ConfigError, match=r"`teacher.init.shape.hidden_size` = 0"):
        ScratchTeacher({**SHAPE, "hidden_size": 0}, 100).config(TASK)


@pytest.mark.parametrize("vocabulary", [0, 5, -1, 1.5, "many", None, True])
def test_a_vocabulary_that_is_none(vocabulary: object) -> None:
    with pytest.raises(ConfigError, match=r"`teacher.init.vocabulary`(?s:.*)a whole number above 5"):
        ScratchTeacher(SHAPE, vocabulary)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [None, 3, "bert"])
def test_a_teachers_shape_that_is_none(shape: object) -> None:
    with pytest.raises(ConfigError, match=r"`teacher.init.shape`"):
        ScratchTeacher(shape, 100)  # type: ignore[arg-type]


# Paths of models.


@pytest.mark.parametrize("path", [None, "", " ", 3])
def test_a_path_of_a_teacher_that_is_none(path: object) -> None:
    with pytest.raises(ConfigError, match=r"`teacher.init.path`(?s:.*)write teacher.init.path=bert-base-uncased"):
        PretrainedTeacher(path)  # type: ignore[arg-type]


def test_a_checkpoint_that_is_none_names_its_own_key() -> None:
    with pytest.raises(ConfigError, match=r"`teacher.checkpoint` = ''"):
        PretrainedTeacher("", "teacher.checkpoint")


@pytest.mark.parametrize("path", [None, ""])
def test_a_path_of_a_student_that_is_none(path: object) -> None:
    with pytest.raises(ConfigError, match=r"`student.path`(?s:.*)a Hugging Face folder or hub id"):
        Checkpoint(path)  # type: ignore[arg-type]


def test_a_file_where_a_model_folder_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(ConfigError, match=re.escape("hub id: this is a file")):
        Checkpoint(str(tmp_path / "model.safetensors"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this folder has no config.json"):
        PretrainedTeacher(str(tmp_path))
