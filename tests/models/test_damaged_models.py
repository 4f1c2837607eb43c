"""A model folder of the user's own has no digests: what of it cannot be read, or is not there, is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import BertConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.data.vocabulary import load_tokenizer, train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.teacher_init import PretrainedTeacher

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 40}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder.build_classifier(BertConfig(**SIZES)).save_pretrained(tmp_path)
    train_wordpiece(["a few words", "of text"], 40).save_pretrained(tmp_path)
    return tmp_path


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "a list": lambda data: b"[]",
    "no text": lambda data: b"\xff\xfe\x00",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_model_that_cannot_be_read(folder: Path, name: str, damage: str) -> None:
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(ConfigError, match=f"(?s)= '{folder}'.*check the spelling"):
        encoder.load_classifier(str(folder))


def test_weights_of_a_teacher_that_cannot_be_read_name_the_users_key(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=f"(?s)`teacher.init.path` = '{folder}'"):
        PretrainedTeacher(str(folder)).create(Task("polarity", "accuracy", ("negative", "positive")), seed=0)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_configuration_that_cannot_be_read(folder: Path, damage: str) -> None:
    (folder / "config.json").write_bytes(DAMAGES[damage]((folder / "config.json").read_bytes()))
    with pytest.raises(ConfigError, match=f"(?s)`teacher.checkpoint` = '{folder}'"):
        encoder.load_config(str(folder), "teacher.checkpoint")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_tokenizer_that_cannot_be_read(folder: Path, name: str, damage: str) -> None:
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    with pytest.raises(ConfigError, match=f"(?s)`path` = '{folder}'.*a tokenizer's files"):
        load_tokenizer(str(folder))


def test_weights_that_are_missing_are_not_drawn(folder: Path) -> None:
    """transformers would: a teacher of noise, without a word."""
    path = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if not name.startswith("classifier")}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="(?s)all of its weights; classifier.bias, classifier.weight are missing"):
        encoder.load_classifier(str(folder))
    assert encoder.load_classifier(str(folder), fresh_head=True).classifier.out_features == 2


def test_weights_of_another_model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    wider = tmp_path_factory.mktemp("wider")
    encoder.build_classifier(BertConfig(**{**SIZES, "hidden_size": 16})).save_pretrained(wider)
    (folder / "model.safetensors").write_bytes((wider / "model.safetensors").read_bytes())
    with pytest.raises(ConfigError, match=f"(?s)= '{folder}'"):
        encoder.load_classifier(str(folder))
