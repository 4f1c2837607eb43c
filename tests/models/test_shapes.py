"""What a student looks like, as a function of its teacher."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, BertConfig, PreTrainedConfig

from hskd_lightning.data.examples import Task
from hskd_lightning.errors import ConfigError
from hskd_lightning.models import encoder
from hskd_lightning.models.shapes import Checkpoint, FewerBlocks, Rosita, Sizes
from tests.models.tiny_models import CONFIGS

TASK = Task("polarity", "accuracy", ("negative", "positive"))
BERT_BASE = BertConfig()
ROSITA6 = {"blocks": 6, "heads": 2, "ffn": 768, "embedding_rank": 128}
TINYBERT4 = {"num_hidden_layers": 4, "hidden_size": 312, "num_attention_heads": 12, "intermediate_size": 1200}


def teacher(kind: str = "bert") -> PreTrainedConfig:
    """3 blocks, 32 wide, 4 heads of 8, 48 neurons, 100 words."""
    return CONFIGS[kind]()


PAPER = {
    "ROSITA6": (Rosita(**ROSITA6), 14_465_282),
    "ROSITA8": (Rosita(**{**ROSITA6, "blocks": 8, "ffn": 512}), 14_474_754),
    "TinyBERT4": (Sizes("bert", **TINYBERT4), 14_350_874),
    "all of BERT-base": (FewerBlocks(12), 109_483_778),
}


@pytest.mark.parametrize("name", PAPER)
def test_students_of_bert_base_have_the_papers_parameters(name: str) -> None:
    shape, parameters = PAPER[name]
    assert encoder.count_from_config(shape.config(BERT_BASE, TASK)) == parameters


def test_a_rosita_keeps_what_pruning_does_not_touch() -> None:
    large = BertConfig(hidden_act="relu", layer_norm_eps=1e-7, max_position_embeddings=77, vocab_size=1000)
    config = Rosita(**ROSITA6).config(large, TASK)
    assert (config.hidden_act, config.layer_norm_eps) == ("relu", 1e-7)
    assert (config.max_position_embeddings, config.vocab_size, config.hidden_size) == (77, 1000, 768)
    assert config.id2label == {0: "negative", 1: "positive"}


def test_a_rositas_heads_are_of_the_teachers_size() -> None:
    assert Rosita(2, 3, 10, 4).config(teacher(), TASK).head_size == 8


def test_a_rositas_embedding_size_is_its_rank_whatever_the_teachers_file_says() -> None:
    odd = BertConfig(embedding_size=77)
    assert [Rosita(2, 3, 10, rank).config(odd, TASK).embedding_size for rank in (4, None)] == [4, 768]


SIZES: dict[str, Any] = {"blocks": 2, "heads": 2, "ffn": 10, "embedding_rank": 4}
TOO_LARGE = {"blocks": 4, "heads": 5, "ffn": 49, "embedding_rank": 33}
MOST = {"blocks": 3, "heads": 4, "ffn": 48, "embedding_rank": 32}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", ["too large", 0, -1, 2.5, True])
def test_a_size_the_teacher_does_not_have_is_refused(size: str, value: object) -> None:
    value = TOO_LARGE[size] if value == "too large" else value
    message = rf"`student.shape.{size}` = {re.escape(repr(value))}(.|\n)*1 to {MOST[size]}, the teacher's"
    with pytest.raises(ConfigError, match=message):
        Rosita(**{**SIZES, size: value}).config(teacher(), TASK)


@pytest.mark.parametrize("size", SIZES)
def test_the_teachers_own_size_is_allowed(size: str) -> None:
    assert Rosita(**{**SIZES, size: MOST[size]}).config(teacher(), TASK) is not None


@pytest.mark.parametrize("kind", sorted(set(CONFIGS) - {"bert"}))
def test_only_a_bert_can_be_pruned(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"`teacher` = '{kind}'(.|\n)*student=layer_drop"):
        Rosita(**SIZES).config(teacher(kind), TASK)


def test_half_of_the_blocks_by_default(kind: str) -> None:
    assert FewerBlocks().config(teacher(kind), TASK).num_hidden_layers == 1


@pytest.mark.parametrize("blocks", [0, 4])
def test_blocks_the_teacher_does_not_have_are_refused(blocks: int) -> None:
    with pytest.raises(ConfigError, match=rf"`student.shape.blocks` = {blocks}(.|\n)*1 to 3"):
        FewerBlocks(blocks).config(teacher(), TASK)


def test_fewer_blocks_leave_the_teachers_configuration_alone(kind: str) -> None:
    given = teacher(kind)
    FewerBlocks(2).config(given, TASK)
    assert given.num_hidden_layers == 3


def test_a_checkpoint_out_of_reach_is_named() -> None:
    with pytest.raises(ConfigError, match=r"`student.path` = 'no/such'"):
        Checkpoint("no/such").config(teacher(), TASK)


def test_a_hub_that_does_not_answer_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(path: str) -> PreTrainedConfig:
        asked.append(path)
        raise OSError("no route")

    monkeypatch.setattr(AutoConfig, "from_pretrained", silent)
    for _ in range(2):
        with pytest.raises(ConfigError, match="no route"):
            encoder.load_config("no/answer")
    assert asked == ["no/answer"]


def test_a_folder_is_read_each_time_and_given_out_as_a_copy(tmp_path: Path) -> None:
    teacher().save_pretrained(tmp_path)
    encoder.load_config(str(tmp_path)).num_hidden_layers = 77
    assert encoder.load_config(str(tmp_path)).num_hidden_layers == 3
    FewerBlocks(2).config(teacher(), TASK).save_pretrained(tmp_path)
    assert encoder.load_config(str(tmp_path)).num_hidden_layers == 2
