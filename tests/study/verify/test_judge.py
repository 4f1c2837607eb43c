"""A second run beside a committed one: what is let through, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hskd_lightning.study.verify.judge import Spread, judge, out, same_bits, seals
from hskd_lightning.study.verify.recipe import Near, Order, Recipe
from tests.helpers import ROOT

ORDER = Order(more="full", less="logits", by=0.05)
RECIPE = Recipe(settings={"full": "", "logits": ""}, seeds=[0, 1, 2], floor=0.02, orders=[ORDER])
FULL, LOGITS = (0.90, 0.91, 0.92), (0.80, 0.81, 0.82)


def rows(figure: str, scores: tuple[float, ...], **columns: Any) -> pd.DataFrame:
    """A setting's cells, seeds 0, 1, 2."""
    common = {"figure": figure, "task": "toy", "student": "tiny", "knowledge": "offline", "width": figure, **columns}
    return pd.DataFrame(
        {**common, "cell_id": f"{figure}{seed}", "seed": seed, "score": score} for seed, score in enumerate(scores)
    )


def study(full: tuple[float, ...] = FULL, logits: tuple[float, ...] = LOGITS, **columns: Any) -> pd.DataFrame:
    counted = {"knowledge_bytes": 142.0, "teacher_weights": "a", **columns}
    return pd.concat([rows("full", full, **counted), rows("logits", logits, **counted)])


def failed(committed: pd.DataFrame, now: pd.DataFrame, recipe: Recipe = RECIPE) -> list[str]:
    return [check.what for check in out(judge(committed, now, recipe))]


def test_the_same_again_holds() -> None:
    assert failed(study(), study()) == []


def test_a_band_by_hand() -> None:
    assert Spread(0.01, 4).half(0.95, 3, 3, floor=0.0) == pytest.approx(2.776445 * 0.01 * (2 / 3) ** 0.5)


def test_no_band_is_narrower_than_the_floor() -> None:
    assert Spread(0.0, 4).half(0.95, 3, 3, floor=0.02) == Spread(0.0, 0).half(0.95, 1, 1, floor=0.02) == 0.02


def test_scores_within_the_committed_spread_hold() -> None:
    assert failed(study(), study(full=(0.92, 0.90, 0.91))) == []


def test_a_cell_that_moved_by_fifteen_points_is_out_though_its_mean_is_not() -> None:
    found = failed(study(), study(full=(0.90, 0.76, 1.06)))
    assert "full: seed 1" in found and "full: mean of 3" not in found


def test_a_committed_score_that_was_raised_by_five_points_is_out() -> None:
    others = [rows(f"setting{at}", (0.80, 0.80, 0.80)) for at in range(30)]  # the study's seeds agree, mostly
    tampered = pd.concat([study(full=(0.90, 0.90, 0.95)), *others])
    assert failed(tampered, study(full=(0.90, 0.90, 0.90))) == ["full: seed 2"]


def test_means_that_come_too_close_are_out() -> None:
    assert failed(study(), study(logits=(0.86, 0.87, 0.87))) == ["full minus logits"]


def test_an_order_that_the_study_itself_does_not_show_is_out() -> None:
    recipe = Recipe(settings={"full": "", "logits": ""}, seeds=[0], floor=1.0, orders=[ORDER])
    assert failed(study(logits=FULL), study(), recipe) == ["full minus logits"]


def test_a_control_that_leaves_chance_is_out() -> None:
    near = Near(setting="logits", score=0.8, within=0.02)
    recipe = Recipe(settings={"full": "", "logits": ""}, seeds=[0, 1, 2], floor=1.0, near=[near])
    assert failed(study(), study(), recipe) == []
    assert failed(study(), study(logits=(0.82, 0.83, 0.84)), recipe) == ["logits: known"]


def test_a_byte_more_is_out() -> None:
    assert failed(study(), study(knowledge_bytes=143.0)) == ["full: knowledge_bytes", "logits: knowledge_bytes"]


def test_steps_that_there_were_none_of_are_out() -> None:
    none, some = study(steps_hidden=float("nan")), study(steps_hidden=282.0)
    assert failed(none, none) == []
    assert failed(none, some) == ["full: steps_hidden", "logits: steps_hidden"]


def test_a_column_that_older_tables_lack_is_not_asked_of_them() -> None:
    assert failed(study().drop(columns="knowledge_bytes"), study()) == []


def test_the_last_bits_of_a_mean_of_counts_are_no_byte() -> None:
    assert failed(study(), study(knowledge_bytes=142.00000000000003)) == []


def test_a_cell_that_is_none_of_the_committed_is_out() -> None:
    now = study()
    assert failed(study(), now.assign(cell_id=now["cell_id"] + "x")) == ["full: cells", "logits: cells"]


def test_a_cell_that_did_not_run_is_out() -> None:
    assert failed(study(), study().iloc[1:]) == ["full: cells"]


def test_how_much_is_the_same_to_the_bit_is_said() -> None:
    assert same_bits(study(), study(full=(0.90, 0.91, 0.93))) == (
        "the teacher is the same to the bit; 5 of 6 scores are equal to the digit"
    )


def test_a_row_that_was_edited_is_named(tmp_path: Path) -> None:
    text = (ROOT / "results/toy/results.csv").read_text()
    (tmp_path / "results.csv").write_text(text.replace(",0.745,", ",0.795,", 1))
    found = seals(tmp_path / "results.csv")
    assert not found.ok and found.now == "371 3103729d2b"
    assert seals(ROOT / "results/toy/results.csv").ok
