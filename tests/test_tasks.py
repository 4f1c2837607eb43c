"""The program on other kinds of data: the user's own files, pairs, scores, two dev sets, real text."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from hskd_lightning.assets import Assets
from hskd_lightning.config import plain
from hskd_lightning.data.vocabulary import train_wordpiece
from hskd_lightning.errors import ConfigError
from hskd_lightning.experiment import Experiment
from hskd_lightning.pipeline import run
from tests.helpers import TINY, result_of

pytestmark = pytest.mark.slow
Configure = Callable[..., DictConfig]
FILES = (
    "data.hidden_epochs=1",
    "data.prediction_epochs=1",
    "data.max_length=32",
    "teacher.init.shape.hidden_size=16",
    "teacher.init.shape.num_attention_heads=2",
    "teacher.init.shape.intermediate_size=32",
    "teacher.training.epochs=1",
    "trainer.accelerator=cpu",
)


def write_csv(path: Path, rows: int, label: Callable[[int], object]) -> None:
    lines = [f"the {'red' if i % 2 else 'blue'} ball number {i},a {i % 7} b,{label(i)}" for i in range(rows)]
    path.write_text("one,two,y\n" + "\n".join(lines) + "\n")


def own_files(tmp_path: Path, *more: str) -> list[str]:
    files = [f"data.{split}={tmp_path}/{split}.csv" for split in ("train", "dev")]
    return ["data=text", *files, "data.label=y", *FILES, *TINY, *more]


def test_own_classes(configure: Configure, tmp_path: Path) -> None:
    for split, rows in (("train", 80), ("dev", 20)):
        write_csv(tmp_path / f"{split}.csv", rows, lambda i: ("odd", "even")[i % 2])
    run(configure(*own_files(tmp_path, "data.text=one")))
    assert (result_of(tmp_path)["task"], result_of(tmp_path)["metric"]) == ("text", "accuracy")


def test_own_pairs_of_texts(configure: Configure, tmp_path: Path) -> None:
    for split, rows in (("train", 80), ("dev", 20)):
        write_csv(tmp_path / f"{split}.csv", rows, lambda i: i % 3)
    run(configure(*own_files(tmp_path, "data.text=[one,two]", "length.pin_cls=true")))
    student = next(tmp_path.glob("runs/*/student"))
    assert AutoModelForSequenceClassification.from_pretrained(student).config.num_labels == 3


def regression(configure: Configure, tmp_path: Path, *more: str) -> torch.Tensor:
    """Train on scores; the student's output layer."""
    for split, rows in (("train", 80), ("dev", 20)):
        write_csv(tmp_path / f"{split}.csv", rows, lambda i: i / 10)
    run(configure(*own_files(tmp_path, "data.text=one", "data.regression=true", *more)))
    student = next((tmp_path).glob("runs/*/student"))
    return AutoModelForSequenceClassification.from_pretrained(student).classifier.weight.detach()


def test_own_scores_are_distilled_from_the_teachers(configure: Configure, tmp_path: Path) -> None:
    assert regression(configure, tmp_path).shape == (1, 8)
    assert result_of(tmp_path)["metric"] == "pearson_spearman"
    assert set(result_of(tmp_path)["dev"]["dev"]) == {"pearson_spearman", "pearson", "spearman"}


def test_regression_target_of_the_released_code_is_gold(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(), (tmp_path / "theirs").mkdir()
    ours = regression(configure, tmp_path / "ours", f"paths.root={tmp_path}/ours")
    more = ("preset.regression_target=labels", f"paths.root={tmp_path}/theirs")
    assert not torch.equal(ours, regression(configure, tmp_path / "theirs", *more))


def test_mnli_is_scored_on_both_dev_sets_and_headed_by_the_matched(configure: Configure, tmp_path: Path) -> None:
    folder = tmp_path / "glue/MNLI"
    folder.mkdir(parents=True)
    columns = "index promptID pairID genre a b c d sentence1 sentence2 label1 gold_label".split()
    names = ("entailment", "neutral", "contradiction")
    for file, rows in (("train", 60), ("dev_matched", 12), ("dev_mismatched", 9)):
        body = [["0"] * 8 + [f"text {i}", f"other {i % 3}", "x", names[i % 3]] for i in range(rows)]
        text = "\n".join("\t".join(row) for row in [columns, *body])
        (folder / f"{file}.tsv").write_text(text + "\n")
    run(configure("data=mnli", f"data.root={tmp_path}/glue", *FILES, *TINY))
    found = result_of(tmp_path)
    assert list(found["dev"]) == ["dev", "dev_mm"]
    assert found["score"] == found["dev"]["dev"]["accuracy"]


def teacher_of_ones_own(folder: Path, labels: dict[int, str], texts: list[str]) -> Path:
    tokenizer = train_wordpiece(texts, 200)
    shape = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), id2label=labels, **shape)
    config.label2id = {name: number for number, name in labels.items()}
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def texts(small: Configure) -> list[str]:
    return Experiment.resolve(plain(small())).dataset.load().train.first


def test_a_checkpoint_is_taken_as_it_is_with_labels_by_name(small: Configure, tmp_path: Path, texts: list[str]) -> None:
    teacher = teacher_of_ones_own(tmp_path / "mine", {0: "POSITIVE", 1: "NEGATIVE"}, texts)
    experiment = Experiment.resolve(plain(small(f"teacher.checkpoint={teacher}")))
    assert experiment.label_order == [1, 0]
    run(small(f"teacher.checkpoint={teacher}", f"paths.artifacts={tmp_path}/own"))
    assert not (tmp_path / "own/teacher").exists()


def test_layer_drop_puts_the_checkpoints_head_in_the_tasks_order(
    small: Configure, tmp_path: Path, texts: list[str]
) -> None:
    teacher = teacher_of_ones_own(tmp_path / "mine", {0: "positive", 1: "negative"}, texts)
    config = plain(small(f"teacher.checkpoint={teacher}", "student=layer_drop"))
    student = AutoModelForSequenceClassification.from_pretrained(Assets(Experiment.resolve(config)).student.folder)
    head = AutoModelForSequenceClassification.from_pretrained(teacher).classifier
    assert torch.equal(student.classifier.weight, head.weight.flip(0))
    assert student.config.id2label == {0: "negative", 1: "positive"}


def test_labels_without_names_are_refused_with_the_way_out(small: Configure, tmp_path: Path, texts: list[str]) -> None:
    teacher = teacher_of_ones_own(tmp_path / "mine", {0: "LABEL_0", 1: "LABEL_1"}, texts)
    with pytest.raises(ConfigError, match=r"LABEL_0, LABEL_1(.|\n)*teacher.label_map=\{negative: 0, positive: 1\}"):
        run(small(f"teacher.checkpoint={teacher}"))
    run(small(f"teacher.checkpoint={teacher}", "teacher.label_map={negative: 1, positive: 0}"))


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("teacher.checkpoint=no/such", "teacher.checkpoint"),
        ("student=hub student.path=no/such", "student.path"),
    ],
)
def test_a_model_out_of_reach_is_named_with_its_key(small: Configure, override: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"`{key}` = 'no/such'(.|\n)*a local folder"):
        run(small(*override.split()))


def test_a_student_with_another_tokenizer_is_refused_but_may_learn_from_labels(
    small: Configure, tmp_path: Path
) -> None:
    other = teacher_of_ones_own(tmp_path / "other", {0: "a", 1: "b"}, ["entirely other words here"] * 3)
    student = ("student=hub", f"student.path={other}")
    with pytest.raises(ConfigError, match=r"tokenizer is the teacher's(.|\n)*knowledge=labels"):
        run(small(*student))
    run(small(*student, "knowledge=labels"))
    tokenizer = AutoTokenizer.from_pretrained(next(tmp_path.glob("runs/*/student")))
    assert "entirely" in tokenizer.get_vocab()


needs_glue = pytest.mark.skipif("GLUE_ROOT" not in os.environ, reason="GLUE_ROOT is not set")


@needs_glue
@pytest.mark.parametrize("task", ["cola", "rte", "sst2"])
def test_real_text_end_to_end(configure: Configure, tmp_path: Path, task: str) -> None:
    root = f"data.root={os.environ['GLUE_ROOT']}"
    run(configure(f"data={task}", root, "data.limit=120", *FILES, *TINY, "length=cls_first", "length.keep=1"))
    found = result_of(tmp_path)
    assert found["task"] == task
    assert -1 <= found["score"] <= 1
