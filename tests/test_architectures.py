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
from hskd_lightning.experiment import Experiment
from hskd_lightning.models import encoder
from hskd_lightning.pipeline import run
from tests.conftest import SMALL
from tests.models.conftest import CONFIGS

pytestmark = pytest.mark.slow
NO_TINY = [override for override in SMALL if not override.startswith("teacher.init")]


@pytest.fixture
def pretrained(configure: Callable[..., DictConfig], tmp_path: Path) -> Callable[[str], Path]:
    """A folder as a hub would give it: an encoder of this kind with a tokenizer of the toy text."""
    texts = Experiment.resolve(plain(configure(*SMALL))).source.load().train.first
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


@pytest.mark.parametrize("kind", encoder.SUPPORTED)
def test_any_encoder_teaches_a_narrow_bert(
    configure: Callable[..., DictConfig], pretrained: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    teacher = ["teacher=hub", f"teacher.init.path={pretrained(kind)}"]
    run(configure(*NO_TINY, *teacher, "data.max_length=34", "length=attention_received", "length.keep=3"))
    (path,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(path.read_text())["knowledge_scalars"] > 0
