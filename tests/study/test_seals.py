"""results.csv after it was written: moved, put together, edited, damaged."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.__main__ import main
from hskd_lightning.study.figures.draw import charts
from hskd_lightning.study.report.tables import settings_table
from hskd_lightning.study.sweep.collect import read, write
from tests.helpers import ROOT

ROWS = pd.DataFrame(
    {
        "figure": "depth",
        "cell_id": ["a1", "b2", "c3"],
        "task": "t",
        "student": "s, small",
        "knowledge": "offline",
        "control": [None, "random", None],
        "seed": [0, 1, 2],
        "score": [0.8165, 0.7995, 0.9],
    }
)
"""Their last text before the seal is the score."""


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write(ROWS, tmp_path)


def changed(csv: Path, old: str, new: str) -> Path:
    text = csv.read_text()
    assert text.count(old) == 1
    csv.write_text(text.replace(old, new))
    return csv


def cells(csv: Path) -> list[str]:
    return list(read(csv)["cell_id"])


# What breaks no seal.


def test_a_row_ends_in_its_seal_and_is_read_without_it(csv: Path) -> None:
    header, first, *_ = csv.read_text().splitlines()
    assert header.endswith(",score,seal")
    said = {"cell_id": "a1", "figure": "depth", "knowledge": "offline", "score": "0.8165", "seed": "0"}
    told = json.dumps([*map(list, {**said, "student": "s, small", "task": "t"}.items())])
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    assert first == f'depth,a1,t,"s, small",offline,,0,0.8165,{digest}'
    pd.testing.assert_frame_equal(read(csv), ROWS)


def test_parquet_has_the_same_seals(csv: Path) -> None:
    kept = pd.read_parquet(csv.with_suffix(".parquet"))
    assert list(kept["seal"]) == list(pd.read_csv(csv)["seal"])


def test_what_was_read_is_written_with_the_same_seals(csv: Path, tmp_path: Path) -> None:
    assert write(read(csv), tmp_path / "again").read_text() == csv.read_text()


def as_text(csv: Path) -> pd.DataFrame:
    return pd.read_csv(csv, dtype=str)


def test_rows_and_columns_in_another_order_are_whole(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = as_text(csv)
    table[sorted(table)][::-1].to_csv(csv, index=False)
    assert cells(csv) == ["c3", "b2", "a1"] and caplog.text == ""


def test_two_tables_of_different_columns_put_together_are_whole(
    csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = write(ROWS.assign(cell_id=["d4", "e5", "f6"], width_keep=[1, 2, 4]), tmp_path / "other")
    pd.concat([as_text(csv), as_text(other)]).to_csv(csv, index=False)
    assert cells(csv) == ["a1", "b2", "c3", "d4", "e5", "f6"] and caplog.text == ""


def test_lines_of_one_table_below_another_are_whole(csv: Path, tmp_path: Path) -> None:
    other = write(ROWS.assign(cell_id=["d4", "e5", "f6"]), tmp_path / "other")
    csv.write_text(csv.read_text() + "".join(other.read_text().splitlines(keepends=True)[1:]))
    assert len(cells(csv)) == 6


def test_a_spreadsheets_mark_and_line_ends_break_nothing(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    csv.write_bytes(b"\xef\xbb\xbf" + csv.read_bytes().replace(b"\n", b"\r\n"))
    assert cells(csv) == ["a1", "b2", "c3"] and caplog.text == ""


def test_another_studys_file_is_a_whole_table(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(ROOT / "results/sst2/results.csv", csv)
    assert set(read(csv)["task"]) == {"sst2"} and caplog.text == ""


def test_a_row_pasted_twice_counts_once(csv: Path) -> None:
    before = [chart.rows() for chart in charts(read(csv))]
    csv.write_text(csv.read_text() + csv.read_text().splitlines(keepends=True)[1])
    assert len(read(csv)) == 4
    assert repr([chart.rows() for chart in charts(read(csv))]) == repr(before)


# What does.


def test_a_row_with_a_score_edited_by_hand_is_left_out_by_name(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    changed(csv, "0.7995", "0.9995")
    assert cells(csv) == ["a1", "c3"]
    (said,) = caplog.messages
    assert str(csv) in said and "depth b2" in said and "a1" not in said
    assert "python -m hskd_lightning.study collect" in said


def test_a_letter_in_a_score_leaves_the_others_numbers(csv: Path) -> None:
    changed(csv, "0.7995", "0.7p95")
    assert list(read(csv)["score"]) == [0.8165, 0.9]


def test_any_one_flipped_bit_of_a_row_is_noticed(csv: Path) -> None:
    whole = csv.read_bytes()
    start = whole.index(b"depth,b2")
    for at in range(start, whole.index(b"\n", start)):
        for bit in range(8):
            csv.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
            try:
                assert cells(csv) == ["a1", "c3"], (at, bit)
            except ConfigError as error:
                assert str(csv) in str(error), (at, bit)


def test_a_table_cut_anywhere_is_refused_or_has_whole_rows_alone(csv: Path) -> None:
    whole = csv.read_bytes()
    for end in range(len(whole)):
        csv.write_bytes(whole[:end])
        try:
            kept = read(csv)
        except ConfigError as error:
            assert str(csv) in str(error), end
        else:
            pd.testing.assert_frame_equal(kept[["cell_id", "score"]], ROWS[["cell_id", "score"]][: len(kept)])


def test_a_row_without_its_seal_among_sealed_ones_is_left_out(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    csv.write_text(csv.read_text() + 'depth,d4,t,"s, small",offline,,3,0.99,\n')
    assert cells(csv) == ["a1", "b2", "c3"] and "depth d4" in caplog.text


def test_a_table_of_which_no_row_is_whole_is_refused(csv: Path) -> None:
    csv.write_text(csv.read_text().replace("offline", "online"))
    with pytest.raises(ConfigError, match=r"results\.csv: not one row is as it was written(.|\n)*collect it again"):
        read(csv)


def test_a_table_from_before_there_were_seals_is_taken_and_told(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    as_text(csv).drop(columns="seal").to_csv(csv, index=False)
    assert cells(csv) == ["a1", "b2", "c3"]
    assert [f"{csv} has no seals" in said for said in caplog.messages] == [True]


HEAD = b"figure,cell_id,task,student,knowledge,seed,score"
ROW = b"depth,a1,t,s,offline,0,0.9"
DAMAGED = {
    "empty": (b"", "no rows"),
    "of a header alone": (HEAD + b"\n", "no rows"),
    "cut in a row": (HEAD + b"\n" + ROW + b"\ndepth,b2,t", "line 3 has 3 of 7 columns"),
    "cut in a quoted text": (HEAD + b'\ndepth,"a1', "unexpected end of data"),
    "with a row too long": (HEAD + b"\n" + ROW + b",1,2", "line 2 has 9 of 7 columns"),
    "not utf-8": (HEAD + b"\n" + ROW.replace(b"t", b"\xe9"), "can't decode byte 0xe9"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "can't decode byte 0x89"),
    "json": (b'[{"figure": "depth"}]\n{"a": 1}\n', "no column figure, cell_id"),
    "with a column twice": (HEAD + b",score\n" + ROW + b",0.1", "more than one column score"),
    "without a column": (HEAD.replace(b",seed", b"") + b"\n" + ROW.replace(b",0,", b","), "no column seed"),
}


@pytest.mark.parametrize(("content", "found"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_no_table_of_results_is_named(content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path / "results.csv")
    assert found in str(refused.value) and str(tmp_path / "results.csv") in str(refused.value)
    assert "collect it again: python -m hskd_lightning.study collect" in str(refused.value)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read(tmp_path)


# What is made of it.


def test_figures_of_a_damaged_table_end_in_a_message(tmp_path: Path) -> None:
    (tmp_path / "results.csv").touch()
    with pytest.raises(SystemExit, match=r"results\.csv: no rows(.|\n)*collect it again"):
        main(["figures", "--to", str(tmp_path)])


def test_figures_are_drawn_of_the_rows_that_are_whole(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    changed(write(ROWS.assign(figure="curve", control=None), csv.parent), ",0.7995,", ",0.1,")
    main(["figures", "--to", str(csv.parent)])
    assert "curve b2" in caplog.text
    assert list(pd.read_csv(csv.parent / "figures/curve.csv")["cells"]) == ["a1 c3"]
    assert "2 finished cells" in (csv.parent / "report.html").read_text()


def test_no_figure_and_no_table_of_a_study_shows_seals(csv: Path) -> None:
    table = pd.read_csv(csv).assign(control=None, figure="curve")
    (row,) = settings_table(table, "curve")
    shown = [
        *row,
        *row.values(),
        *(value for chart in charts(table) for line in chart.rows() for value in line.values()),
    ]
    assert "seal" not in shown and not set(table["seal"]) & set(map(str, shown))
