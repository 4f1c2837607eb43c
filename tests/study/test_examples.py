"""What students said of each dev example, beside results.csv."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hskd_lightning.data.predictions import Predictions
from hskd_lightning.study import examples
from hskd_lightning.study.results import CONTRIBUTIONS, settings_of
from tests.helpers import refusal


def said(*right: int, ids: tuple[int, ...] = (7, 3, 5)) -> Predictions:
    """Class 1 is true of everything; `right` says where the model says so."""
    logits = np.array([[0.0, 1.0] if one else [1.0, 0.0] for one in right], dtype=np.float32)
    return Predictions(np.array(ids), np.ones(len(right), dtype=np.int64), logits)


def results(*scores: float) -> pd.DataFrame:
    rows = [
        {"figure": "f", "cell_id": f"c{seed}", "task": "t", "student": "s", "knowledge": "logits", "seed": seed}
        | {"score": score, "metric": "accuracy", "dev_examples": 3}
        for seed, score in enumerate(scores)
    ]
    return pd.DataFrame(rows)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = examples.table_of({"c0": said(1, 0, 1), "c1": said(0, 0, 0)})
    examples.write(table, tmp_path)
    read = examples.read(tmp_path)
    assert read is not None
    assert read[["cell_id", "id", "predicted"]].values.tolist() == [
        *(["c0", 3, 0.0], ["c0", 5, 1.0], ["c0", 7, 1.0]),
        *(["c1", 3, 0.0], ["c1", 5, 0.0], ["c1", 7, 0.0]),
    ]


def test_no_file_is_no_examples(tmp_path: Path) -> None:
    assert examples.read(tmp_path) is None


def test_no_cells_are_an_empty_table(tmp_path: Path) -> None:
    examples.write(examples.table_of({}), tmp_path)
    read = examples.read(tmp_path)
    assert read is not None and read.empty


def test_a_changed_answer_is_damage(tmp_path: Path) -> None:
    path = tmp_path / examples.FILE
    digests = []
    for right in (1, 0):
        examples.write(examples.table_of({"c0": said(1, right, 1)}), tmp_path)
        digests.append(pq.read_schema(path).metadata)
    pq.write_table(pq.read_table(path).replace_schema_metadata(digests[0]), path)
    with refusal("examples", "its digest is another"):
        examples.read(tmp_path)


def test_a_table_of_somebody_elses_is_no_examples(tmp_path: Path) -> None:
    examples.table_of({"c0": said(1, 0, 1)}).to_parquet(tmp_path / examples.FILE)
    with refusal("examples", "cannot be read"):
        examples.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1PAR1"])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / examples.FILE).write_bytes(content)
    with refusal("examples", examples.FILE):
        examples.read(tmp_path)


def test_contributions_come_by_rising_id_whatever_order_they_were_asked_in() -> None:
    joined = examples.joined(results(2 / 3), examples.table_of({"c0": said(1, 0, 1)}))
    assert joined[CONTRIBUTIONS][0].tolist() == [0.0, 1.0, 1.0]


def test_a_setting_whose_seeds_all_answered_knows_its_examples() -> None:
    joined = examples.joined(results(2 / 3, 0.0), examples.table_of({"c0": said(1, 0, 1), "c1": said(0, 0, 0)}))
    (setting,) = settings_of(joined)
    assert setting.scores.table is not None
    assert setting.scores.table.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


def test_a_setting_with_a_seed_of_unknown_answers_knows_how_many_there_were() -> None:
    joined = examples.joined(results(2 / 3, 0.0), examples.table_of({"c0": said(1, 0, 1)}))
    (setting,) = settings_of(joined)
    assert setting.scores.table is None
    assert setting.scores.examples == 3


def test_answers_to_other_examples_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    other = said(1, 1, 1, ids=(1, 2, 3))
    with caplog.at_level(logging.WARNING):
        joined = examples.joined(results(2 / 3, 1.0), examples.table_of({"c0": said(1, 0, 1), "c1": other}))
    assert joined[CONTRIBUTIONS][1] is None
    assert "c1 answered other dev examples" in caplog.text


def test_answers_that_do_not_come_to_the_score_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        joined = examples.joined(results(0.5), examples.table_of({"c0": said(1, 0, 1)}))
    assert joined[CONTRIBUTIONS][0] is None
    assert "0.6667" in caplog.text
