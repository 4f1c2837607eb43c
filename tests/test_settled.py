"""A cell's name without models is the name that it has with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from hskd_lightning.config import plain
from hskd_lightning.experiment import Experiment
from hskd_lightning.finished import finished_score
from hskd_lightning.pipeline import run
from hskd_lightning.runs.folder import CellFolder
from hskd_lightning.settled import cell_id, is_at_hand
from tests.helpers import only_cell, refusal

Small = Callable[..., DictConfig]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("knowledge=logits",),
        ("knowledge=labels", "depth=skip"),
        ("length=cls_first", "depth.keep=1", "length.keep=2", "width.keep=3"),
        ("control=shuffled",),
        ("student=tinybert4", "student.shape.num_attention_heads=4"),
        ("preset=paper", "knowledge=online"),
    ],
)
def test_the_name_without_models_is_the_experiments(overrides: tuple[str, ...], small: Small) -> None:
    config = plain(small(*overrides))
    assert cell_id(config) == Experiment.resolve(config).cell_id


def test_a_checkpoint_that_comes_within_reach_is_another_cell(small: Small, tmp_path: Path) -> None:
    config = plain(small("student=tinybert4", f"student.path={tmp_path}/model"))
    before = cell_id(config)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps({"model_type": "bert"}))
    assert is_at_hand(f"{tmp_path}/model") and cell_id(config) != before


def test_a_folder_without_a_readable_configuration_is_not_at_hand(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[")
    assert (
        not is_at_hand(str(tmp_path))
        and not is_at_hand("no/such")
        and not is_at_hand("no such: name")
        and not is_at_hand(None)
    )


def test_a_finished_cell_answers_and_one_of_other_data_does_not(small: Small, tmp_path: Path) -> None:
    score = run(small())
    assert finished_score(plain(small())) == score
    assert finished_score(plain(small("threads=1", "workers=1"))) == score
    assert finished_score(plain(small("data.source.seed=1"))) is None
    assert finished_score(plain(small("seed=1"))) is None


@pytest.mark.parametrize("more", ["force=true", "export=true", "explain=true", "logger=wandb", "trainer.devices=2"])
def test_what_asks_for_more_than_the_result_takes_the_longer_way(more: str, small: Small) -> None:
    run(small())
    assert finished_score(plain(small())) is not None
    assert finished_score(plain(small(more))) is None


def test_a_damaged_result_is_named_and_not_answered(small: Small, tmp_path: Path) -> None:
    run(small())
    result = only_cell(tmp_path) / "result.json"
    result.write_text(result.read_text().replace('"score": 0.', '"score": 1.'))
    with refusal("cell", "result.json"):
        finished_score(plain(small()))
    assert CellFolder(only_cell(tmp_path)).state == "DAMAGED"
