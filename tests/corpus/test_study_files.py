"""What a study reads of its folder, sealed as it should be and still not what it should be: each is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from hskd_lightning.data.predictions import read_predictions
from hskd_lightning.errors import ConfigError
from hskd_lightning.integrity import write_json
from hskd_lightning.study import examples, rules
from hskd_lightning.study.report.answer import answer_html
from hskd_lightning.study.results import finished, settings_of
from hskd_lightning.study.seals import sealed
from hskd_lightning.study.sweep import collect
from hskd_lightning.study.sweep.found import read_answer
from hskd_lightning.study.sweep.rates import Rates
from tests.helpers import ROOT, refusal

ANSWER = {
    key: value
    for key, value in json.loads((ROOT / "results/toy/minimum/answer.json").read_text()).items()
    if key != "seal"
}
STUDY = {"seeds": [0, 1], "margin": 0.01, "alpha": 0.05, "level": 0.95}
ARM = {"arm": ["hsk.amount=0.1"], "student": "tiny", "taught": "a part", "winner": ["student.lr.hidden=0.1"]}
TUNED = {"task": "polarity", "teacher": "tiny", "arms": [ARM]}


def read_tuned(folder: Path) -> Rates:
    return Rates.read(folder / "tuned.json")


Read = Callable[[Path], Any]
FILES: dict[str, tuple[dict[str, Any], Read]] = {
    "study.json": (STUDY, rules.read),
    "answer.json": (ANSWER, read_answer),
    "tuned.json": (TUNED, read_tuned),
}
RAW = {
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "no seal": b"{}",
    "a seal alone": b'{"seal": "0"}',
    "UTF-16": '{"seal": "0"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"seal": "0"}',
    "Latin-1": b'{"a": "\xe9", "seal": "0"}',
    "half of it": b'{"a": [1, 2',
    "too deep": b"[" * 100_000,
    "an integer without end": b'{"a": ' + b"1" * 5000 + b', "seal": "0"}',
    "NULs": b"\0" * 100,
}


@pytest.mark.parametrize("name", FILES)
def test_what_the_tests_below_begin_with_is_read(tmp_path: Path, name: str) -> None:
    said, read = FILES[name]
    write_json(tmp_path / name, said)
    assert read(tmp_path) is not None


@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize("name", FILES)
def test_bytes_that_are_no_such_file(tmp_path: Path, name: str, raw: str) -> None:
    (tmp_path / name).write_bytes(RAW[raw])
    with pytest.raises(ConfigError, match=f"{name}"):
        FILES[name][1](tmp_path)


@pytest.mark.parametrize("name", ["study.json", "answer.json"])
def test_a_folder_in_its_place(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with refusal("study", "Is a directory"):
        FILES[name][1](tmp_path)


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [
        ("study.json", {"seeds": 3}, "seeds"),
        ("study.json", {"seeds": ["0"]}, "seeds.0"),
        ("study.json", {"seeds": [[0]]}, "seeds.0"),
        ("study.json", {"seeds": [0.5]}, "seeds.0"),
        ("study.json", {"margin": "0.01"}, "margin"),
        ("study.json", {"margin": float("nan")}, "margin"),
        ("study.json", {"margin": -1}, "margin"),
        ("study.json", {"alpha": None}, "alpha"),
        ("study.json", {"level": 95}, "level"),
        ("answer.json", {"sentence": 1}, "sentence"),
        ("answer.json", {"ladder": {}}, "ladder"),
        ("answer.json", {"ladder": [{}]}, "ladder.0.name"),
        ("answer.json", {"ladder": [{**ANSWER["ladder"][0], "bytes": "1"}]}, "ladder.0.bytes"),
        ("answer.json", {"ladder": [{**ANSWER["ladder"][0], "these_sentences": None}]}, "ladder.0.these_sentences"),
        ("answer.json", {"cost": {}}, "cost.cells"),
        ("answer.json", {"rules": 1}, "rules"),
        ("answer.json", {"space": "all"}, "space"),
        ("tuned.json", {"arms": {}}, "arms"),
        ("tuned.json", {"arms": ["student.lr.hidden=0.1"]}, "arms.0"),
        ("tuned.json", {"arms": [{**ARM, "winner": "student.lr.hidden=0.1"}]}, "arms.0.winner"),
        ("tuned.json", {"arms": [{**ARM, "student": None}]}, "arms.0.student"),
        ("tuned.json", {"arms": [{**ARM, "taught": "much"}]}, "arms.0.taught"),
        ("tuned.json", {"teacher": ["tiny"]}, "teacher"),
    ],
)
def test_a_field_that_is_not_of_its_type(tmp_path: Path, name: str, changed: dict[str, Any], field: str) -> None:
    said, read = FILES[name]
    write_json(tmp_path / name, {**said, **changed})
    with pytest.raises(ConfigError, match=f"(?s){name}.*field '{field}' is "):
        read(tmp_path)


def test_an_answer_of_today_is_shown(tmp_path: Path) -> None:
    write_json(tmp_path / "answer.json", {**ANSWER, "sentence": "<script>alert(1)</script>"})
    answer = read_answer(tmp_path)
    assert answer is not None and "<script>" not in answer_html(answer)


# predictions.safetensors: four examples, two classes.

SOUND = {"ids": torch.arange(4), "labels": torch.zeros(4, dtype=torch.int64), "logits": torch.zeros(4, 2)}
TENSORS = {
    "one id": {"ids": torch.tensor(1)},
    "ids of fractions": {"ids": torch.rand(4)},
    "ids in two columns": {"ids": torch.zeros(4, 2, dtype=torch.int64)},
    "an id twice": {"ids": torch.tensor([0, 1, 1, 2])},
    "labels of fewer": {"labels": torch.zeros(3)},
    "labels in two columns": {"labels": torch.zeros(4, 2)},
    "logits of no class": {"logits": torch.zeros(4, 0)},
    "logits in a row": {"logits": torch.zeros(4)},
    "logits of fewer": {"logits": torch.zeros(3, 2)},
    "logits that are whole": {"logits": torch.zeros(4, 2, dtype=torch.int64)},
    "logits that are complex": {"logits": torch.zeros(4, 2, dtype=torch.complex64)},
    "logits in bfloat16": {"logits": torch.zeros(4, 2, dtype=torch.bfloat16)},
    "logits in eight bits": {"logits": torch.zeros(4, 2).to(torch.float8_e4m3fn)},
}


def predictions(folder: Path, changed: dict[str, torch.Tensor]) -> Any:
    save_file({f"dev.{name}": tensor for name, tensor in (SOUND | changed).items()}, folder / "p.safetensors")
    return read_predictions(folder / "p.safetensors", "dev", "cell", "make it anew")


def test_sound_predictions_are_read(tmp_path: Path) -> None:
    assert predictions(tmp_path, {}).predicted.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_no_predictions(tmp_path: Path, name: str) -> None:
    with refusal("cell", "make it anew"):
        predictions(tmp_path, TENSORS[name])


# examples.parquet.

ROW = {"cell_id": ["a"], "id": [1], "label": [1.0], "predicted": [1.0]}
NO_UTF8 = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")]
)
TABLES = {
    "words for numbers": {**ROW, "id": ["x"]},
    "nothing for a number": {**ROW, "predicted": [None]},
    "fractions for ids": {**ROW, "id": [0.5]},
    "lists": {**ROW, "label": [[1.0]]},
    "a cell that is no UTF-8": {**ROW, "cell_id": NO_UTF8},
    "a column too few": {"cell_id": ["a"], "id": [1]},
    "another digest": ROW,
}


def table(folder: Path, columns: dict[str, Any], digest: bytes = b"\xff0") -> None:
    pq.write_table(pa.table(columns).replace_schema_metadata({b"sha256": digest}), folder / examples.FILE)


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_no_examples(tmp_path: Path, name: str) -> None:
    table(tmp_path, TABLES[name])
    with refusal("examples", "remedy:  collect it again"):
        examples.read(tmp_path)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    columns = [pa.array(value) for value in (["a"], ["a"], [1], [1.0], [1.0])]
    twice = pa.Table.from_arrays(columns, ["cell_id", *ROW]).replace_schema_metadata({b"sha256": b"0"})
    pq.write_table(twice, tmp_path / examples.FILE)
    with refusal("examples", "cannot be read"):
        examples.read(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_every_part_of_an_examples_file_may_be_damaged(tmp_path: Path, damage: str) -> None:
    """What is read of it is what was written, or it is refused: in some bytes there is nothing to read."""
    written = pd.DataFrame({"cell_id": ["a", "b"], "id": [0, 1], "label": [0.0, 1.0], "predicted": [0.0, 1.0]})
    examples.write(written, tmp_path)
    whole, sound = (tmp_path / examples.FILE).read_bytes(), examples.read(tmp_path)
    for at in np.linspace(0, len(whole) - 1, 60).astype(int):
        flipped = whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :]
        (tmp_path / examples.FILE).write_bytes(whole[:at] if damage == "cut" else flipped)
        try:
            pd.testing.assert_frame_equal(examples.read(tmp_path), sound)
        except ConfigError as error:
            assert examples.FILE in str(error)
        else:
            assert damage == "flipped"


# results.csv.

CELL = {"figure": "depth", "cell_id": "abc", "task": "t", "student": "s", "knowledge": "offline"}
RESULT = {**CELL, "seed": "0", "score": "0.5"}


def read_results(folder: Path) -> list[Any]:
    settings = settings_of(finished(collect.read(folder / "results.csv")))
    return [dict(setting.scores) for setting in settings]


def results(folder: Path, *rows: dict[str, str]) -> list[Any]:
    sealed(pd.DataFrame(rows)).to_csv(folder / "results.csv", index=False)
    return read_results(folder)


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("seed", "inf", None),
        ("seed", "1e400", None),
        ("seed", "nan", None),
        ("seed", "1.5", None),
        ("seed", "0x1", None),
        ("seed", "", None),
        ("seed", "7.0", [{7: 0.5}]),
        ("teacher_seed", "0.5", None),
        ("score", "inf", [{}]),
        ("score", "x", []),
        ("score", "", []),
        ("cell_id", "", None),
        ("task", "", None),
        ("student", "", None),
        ("knowledge", "", None),
        ("depth_top", "inf", None),
        ("depth_keep", "x", None),
        ("hsk_amount", "-inf", None),
        ("hsk_amount", "", [{0: 0.5}]),
        ("schema", "99", None),
        ("figure", "../../x", [{0: 0.5}]),
        ("task", "<script>", [{0: 0.5}]),
    ],
)
def test_a_cell_of_a_table_of_results(tmp_path: Path, column: str, value: str, read: list[Any] | None) -> None:
    asked = partial(results, tmp_path, {**RESULT, column: value})
    if read is not None:
        assert asked() == read
        return
    with pytest.raises(ConfigError, match="schema" if column == "schema" else f"results: {column}"):
        asked()


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b'"', b"a\0b", b"\xff\xfe", b"PAR1", b"figure,figure\n1,2\n", ",".join(RESULT).encode() + b"\n1,2\n"],
    ids=repr,
)
def test_bytes_that_are_no_table_of_results(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "results.csv").write_bytes(raw)
    with refusal("results", "collect it again"):
        read_results(tmp_path)
