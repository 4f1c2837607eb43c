"""Teachers and students of every supported architecture through the whole program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from transformers import AutoModelForSequenceClassification

from hskd_lightning.config import plain
from hskd_lightning.data.vocabulary import train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.models import encoder
from hskd_lightning.pipeline import run
from tests.helpers import SMALL, with_option
from tests.models.tiny_models import CONFIGS

pytestmark = pytest.mark.slow
NO_TINY = [override for override in SMALL if not override.startswith("teacher.init")]


@pytest.fixture
def pretrained(configure: Callable[..., DictConfig], tmp_path: Path) -> Callable[[str], Path]:
    """A folder as a hub would give it: an encoder of this kind with a tokenizer of the toy text."""
    texts = Experiment.resolve(plain(configure(*SMALL))).dataset.load().train.first
    tokenizer = train_wordpiece(texts, 90)

    def make(kind: str) -> Path:
        folder = tmp_path / kind
        encoder.build_classifier(CONFIGS[kind]()).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.mark.parametrize("kind", encoder.SUPPORTED)
def test_any_encoder_teaches_a_student_of_its_own_blocks(
    configure: Callable[..., DictConfig], pretrained: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    teacher = ["teacher=hub", f"teacher.init.path={pretrained(kind)}", "student=layer_drop", "student.shape.blocks=2"]
    run(configure(*NO_TINY, *teacher, "data.max_length=34", "length.keep=3", "depth.keep=2"))
    (path,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(path.read_text())["layer_map"] == "1<-2, 2<-3"
    student = AutoModelForSequenceClassification.from_pretrained(path.parent / "student")
    assert (student.config.model_type, student.config.num_hidden_layers) == (kind, 2)


@pytest.fixture
def dropping(configure: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., Experiment]:
    """An experiment with a teacher of this kind in train mode; of the teacher there is but a configuration."""

    def resolved(kind: str, *overrides: str) -> Experiment:
        CONFIGS[kind]().save_pretrained(tmp_path / kind)
        teacher = ["teacher=hub", f"teacher.init.path={tmp_path / kind}", "preset.teacher_dropout=true"]
        return Experiment.resolve(plain(configure(*teacher, "knowledge=online", "data.max_length=34", *overrides)))

    return resolved


@pytest.mark.parametrize("length", with_option("length", "attention_from"))
@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert"])
def test_dropout_is_refused_where_attention_is_read_behind_it(
    dropping: Callable[..., Experiment], kind: str, length: str
) -> None:
    with pytest.raises(ConfigError, match=rf"`preset.teacher_dropout` = True(.|\n)*{kind}(.|\n)*length=cls_first"):
        dropping(kind, f"length={length}")


@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert"])
def test_dropout_is_not_refused_where_no_attention_is_asked(dropping: Callable[..., Experiment], kind: str) -> None:
    assert dropping(kind, "length=cls_first").plan is not None


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
def test_dropout_is_not_refused_where_scores_are_caught_before_it(
    dropping: Callable[..., Experiment], kind: str
) -> None:
    assert dropping(kind, "length=attention").plan is not None


@pytest.mark.parametrize("kind", encoder.SUPPORTED)
def test_any_encoder_teaches_a_narrow_bert(
    configure: Callable[..., DictConfig], pretrained: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    teacher = ["teacher=hub", f"teacher.init.path={pretrained(kind)}"]
    run(configure(*NO_TINY, *teacher, "data.max_length=34", "length=attention_received", "length.keep=3"))
    (path,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(path.read_text())["knowledge_scalars"] > 0
