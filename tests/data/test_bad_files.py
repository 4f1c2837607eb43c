"""Files of the user's own that cannot be read or learned from: each is refused with its path, its line, a remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hskd_lightning.data.text import TextFiles
from hskd_lightning.errors import ConfigError

ROWS = [(f"example {number}", ("neg", "pos")[number % 2]) for number in range(12)]
DEV = "text,label\nso so,pos\nmeh,neg\n"
MEGABYTES = 10_000_000


def table(rows: list[tuple[str, object]]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)


def files(folder: Path, train: str | bytes, suffix: str = ".csv", dev: str = DEV, **settings: object) -> TextFiles:
    """`train` byte for byte as the training file, and a sound CSV to score."""
    (folder / f"train{suffix}").write_bytes(train.encode() if isinstance(train, str) else train)
    (folder / "dev.csv").write_text(dev)
    chosen = {"text": "text", "label": "label", **settings}
    return TextFiles(str(folder / f"train{suffix}"), str(folder / "dev.csv"), **chosen)  # type: ignore[arg-type]


def refusal(source: TextFiles) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        source.task  # noqa: B018  read before anything is downloaded or trained
    assert len(str(caught.value)) < 1500
    str(caught.value).encode()
    return caught.value


def json_lines(folder: Path, *lines: str) -> TextFiles:
    good = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    return files(folder, "\n".join([*good, *lines]), ".jsonl")


# Formats and encodings.


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(table(ROWS).encode("utf-16"), "UTF-16", id="UTF-16"),
        pytest.param(b"\x1f\x8b\x08\x00\x01", "gzip", id="gzip"),
        pytest.param(b"PK\x03\x04\x01", "a ZIP archive, as .xlsx is", id="xlsx"),
        pytest.param(b"PAR1\x01", "Parquet", id="parquet"),
    ],
)
def test_another_format_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    assert refusal(files(tmp_path, content)).value == f"{tmp_path}/train.csv: {kind}, and not UTF-8 text"


def test_latin_1_is_placed_at_its_line(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([*ROWS, ("café", "pos")]).encode("latin-1")))
    assert str(error.value).startswith(f"{tmp_path}/train.csv:14: not UTF-8")


def test_utf_16_without_a_byte_order_mark(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table(ROWS).encode("utf-16-le")))
    assert (error.value, error.remedy) == (f"{tmp_path}/train.csv:1: a NUL byte", "save the file as UTF-8 text")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_lines_that_end_in_cr_alone(tmp_path: Path, suffix: str) -> None:
    error = refusal(files(tmp_path, "text,label\ra,x\rb,y\r", suffix))
    assert error.value == f"{tmp_path}/train{suffix}: lines that end in CR alone"


def test_crlf_is_fine(tmp_path: Path) -> None:
    assert files(tmp_path, table(ROWS).replace("\n", "\r\n")).task.labels == ("neg", "pos")


def test_suffix_in_capitals_is_fine(tmp_path: Path) -> None:
    assert files(tmp_path, table(ROWS), ".CSV").task.labels == ("neg", "pos")


def test_semicolons_are_no_commas(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table(ROWS).replace(",", ";")))
    assert error.remedy.startswith("a .csv has commas between its columns, a .tsv tabs")


def test_blank_before_a_column_name_can_be_seen(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table(ROWS).replace("text,label", "text, label")))
    assert error.value == f"{tmp_path}/train.csv: no columns named 'label' among: text, ' label'"


def test_three_thousand_columns_are_not_listed(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, json.dumps({f"k{number}": 0 for number in range(3000)})))
    assert str(error.value).endswith("among: k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, ... (3,000 in all)")


def test_damaged_parquet(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}), tmp_path / "a"
    )
    content = (tmp_path / "a").read_bytes()
    error = refusal(files(tmp_path, content[:20] + b"\xff" * 100 + content[120:], ".parquet"))
    assert str(error.value).startswith(f"{tmp_path}/train.parquet: cannot be read as Parquet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_file_without_permission(tmp_path: Path) -> None:
    source = files(tmp_path, table(ROWS))
    (tmp_path / "train.csv").chmod(0)
    assert refusal(source).value == f"{tmp_path}/train.csv: Permission denied"


def test_name_too_long_for_a_file(tmp_path: Path) -> None:
    source = TextFiles("a" * 300 + ".csv", str(tmp_path / "dev.csv"), text="text", label="label")
    assert str(refusal(source).value).endswith(".csv: File name too long")


# Characters and cells.


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_nul_byte_is_placed_at_its_line(tmp_path: Path, suffix: str) -> None:
    first = {".csv": "text,label", ".tsv": "text\tlabel", ".jsonl": '{"text": "a", "label": 1}'}[suffix]
    assert refusal(files(tmp_path, f"{first}\na\0b\n", suffix)).value == f"{tmp_path}/train{suffix}:2: a NUL byte"


def test_nul_escaped_in_json(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, r'{"text": "a\u0000b", "label": "pos"}'))
    assert error.value == rf"{tmp_path}/train.jsonl:13: text: the character '\x00' after 'a'"


def test_nul_in_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b\0"], "label": ["neg", "pos"]}), tmp_path / "a")
    error = refusal(files(tmp_path, (tmp_path / "a").read_bytes(), ".parquet"))
    assert error.value == rf"{tmp_path}/train.parquet:2: text: the character '\x00' after 'b'"


@pytest.mark.parametrize(("text", "label", "column"), [(r"a\ud800", "pos", "text"), ("a", r"a\ud800", "the label")])
def test_lone_surrogate(tmp_path: Path, text: str, label: str, column: str) -> None:
    error = refusal(json_lines(tmp_path, f'{{"text": "{text}", "label": "{label}"}}'))
    assert error.value == rf"{tmp_path}/train.jsonl:13: {column}: the character '\ud800' after 'a'"


def test_lone_surrogate_in_a_column_name_can_be_printed(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, r'{"\ud800": "a", "label": "pos"}'))
    assert str(error.value).endswith(r"among: '\ud800', label")


def test_json_nested_too_deep(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, '{"text": ' + "[" * 100_000))
    assert error.value == f"{tmp_path}/train.jsonl:13: JSON nested too deep"


def test_json_integer_of_thousands_of_digits(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, '{"text": "a", "label": ' + "1" * 5000 + "}"))
    assert error.value == f"{tmp_path}/train.jsonl:13: an integer of thousands of digits"


def test_ten_megabytes_in_a_csv_cell(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([*ROWS, ("word " * (MEGABYTES // 5), "pos")])))
    assert error.allowed == "cells of at most 131,072 characters"
    assert error.remedy.startswith("close its quotation mark, or cut it")


def test_ten_megabytes_of_text_are_fine_elsewhere(tmp_path: Path) -> None:
    line = json.dumps({"text": "word " * (MEGABYTES // 5), "label": "pos"})
    assert json_lines(tmp_path, line).task.labels == ("neg", "pos")


def test_ten_megabytes_that_are_no_object_are_not_printed(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, json.dumps("word " * (MEGABYTES // 5))))
    assert str(error.value).endswith("(10,000,002 characters)")


def test_ten_megabytes_of_blanks_are_not_printed(tmp_path: Path) -> None:
    error = refusal(json_lines(tmp_path, json.dumps({"text": " " * MEGABYTES, "label": "pos"})))
    assert error.allowed == "text that is not empty"


# Classes.


def test_text_in_the_column_of_classes(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([*ROWS, ("a", "word " * 100)])))
    assert (error.allowed, error.remedy) == (
        "a class name of at most 200 characters",
        "set data.label to the column of the classes",
    )


def test_blanks_around_a_class_name(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([*ROWS, ("a", " pos")])))
    assert error.value == f"{tmp_path}/train.csv:14: the label ' pos'"


def test_blanks_inside_a_class_name_are_fine(tmp_path: Path) -> None:
    assert files(tmp_path, table([*ROWS, ("a", "very good")])).task.labels == ("neg", "pos", "very good")


@pytest.mark.parametrize("name", ["nan", "NaN", "null", "None"])
def test_class_that_is_called_like_a_missing_value_stays_a_name(tmp_path: Path, name: str) -> None:
    labels = files(tmp_path, table([*ROWS, ("a", name)])).task.labels
    assert labels is not None and name in labels


def test_missing_label_is_placed_at_its_line(tmp_path: Path) -> None:
    assert (
        refusal(json_lines(tmp_path, '{"text": "a", "label": NaN}')).value
        == f"{tmp_path}/train.jsonl:13: the label nan"
    )


def test_three_hundred_classes_are_not_listed(tmp_path: Path) -> None:
    rows = [(f"example {number}", f"c{number % 300}") for number in range(900)]
    error = refusal(files(tmp_path, table(rows), dev="text,label\na,other\n"))
    assert error.allowed == "c0, c1, c10, c100, c101, c102, c103, c104, c105, c106, ... (300 in all)"


def test_a_class_for_each_row_looks_like_a_score(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([(f"example {number}", number / 8) for number in range(30)])))
    assert error.value == f"{tmp_path}/train.csv: 30 classes in 30 rows: 'label' looks like a score or free text"
    assert error.remedy.startswith("set data.regression=true for scores")


def test_a_class_for_each_row_may_be_listed_by_hand(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(30)]
    rows = table([(f"example {name}", name) for name in names])
    assert files(tmp_path, rows, dev="text,label\na,c3\n", labels=names).task.labels == tuple(names)


def test_whole_floats_of_csv_are_other_names_than_integers(tmp_path: Path) -> None:
    rows = table([(text, number % 2) for number, (text, _) in enumerate(ROWS)])
    error = refusal(files(tmp_path, rows, dev="text,label\na,1.0\n"))
    assert (error.value, error.allowed) == (f"{tmp_path}/dev.csv:2: the label '1.0'", "0, 1")


def test_json_booleans_are_classes(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": text, "label": label == "pos"}) + "\n" for text, label in ROWS)
    assert files(tmp_path, lines, ".jsonl", dev="text,label\na,True\n").task.labels == ("False", "True")


def test_score_beyond_float32(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, "text,label\na,1e39\n", regression=True))
    assert error.value == f"{tmp_path}/train.csv:2: the score '1e39'"


# Splits.


def test_one_file_as_train_and_dev(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text(table(ROWS))
    error = refusal(TextFiles(path, path, text="text", label="label"))
    assert (error.key, error.value) == ("data.dev", f"{path}: the examples of data.train, {path}")
    assert error.remedy.startswith("hold some rows of it out in a file of their own")


def test_the_training_file_in_another_order_as_dev(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table(ROWS), dev=table(ROWS[::-1])))
    assert error.value == f"{tmp_path}/dev.csv: the examples of data.train, {tmp_path}/train.csv"


def test_some_of_the_training_examples_as_dev_are_allowed(tmp_path: Path) -> None:
    assert files(tmp_path, table(ROWS), dev=table(ROWS[:4])).task.labels == ("neg", "pos")


def test_scores_of_dev_that_are_all_alike(tmp_path: Path) -> None:
    rows = table([(text, number) for number, (text, _) in enumerate(ROWS)])
    error = refusal(files(tmp_path, rows, dev="text,label\na,3\nb,3\n", regression=True))
    assert (error.key, error.value) == ("data.dev", f"{tmp_path}/dev.csv: every score is 3.0")
    assert error.allowed == "labels that differ: else pearson_spearman is not defined"


def test_scores_of_train_that_are_all_alike(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([("a", 3), ("b", 3)]), dev="text,label\na,1\nb,2\n", regression=True))
    assert error.value == f"{tmp_path}/train.csv: every score is 3.0, of 2 in all"


def test_one_score_to_train_on(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([("a", 3)]), dev="text,label\na,1\nb,2\n", regression=True))
    assert error.allowed == "at least 2 examples with different scores"


def test_classes_of_dev_that_are_all_alike_have_no_mcc(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table(ROWS), dev="text,label\na,pos\n", metric="mcc"))
    assert error.value == f"{tmp_path}/dev.csv: every label is 'pos'"


def test_classes_of_dev_that_are_all_alike_have_an_accuracy(tmp_path: Path) -> None:
    assert files(tmp_path, table(ROWS), dev="text,label\na,pos\n").task.metric == "accuracy"


def test_f1_of_three_classes(tmp_path: Path) -> None:
    error = refusal(files(tmp_path, table([*ROWS, ("a", "mid")]), metric="accuracy_f1"))
    assert (error.key, error.remedy) == ("data.metric", "write data.metric=accuracy")
    assert error.allowed == "accuracy or mcc: there are 3 classes, and F1 is of the second of two"


# Settings.


@pytest.mark.parametrize("key", ["train", "dev"])
@pytest.mark.parametrize("value", ["", 3, ["a.csv"]])
def test_a_path_that_is_none(key: str, value: object) -> None:
    settings = {"train": "a.csv", "dev": "b.csv", "text": "text", "label": "label", key: value}
    with pytest.raises(ConfigError, match=f"`data.{key}`.*(?s:.*)a path ending in .csv, .tsv, .jsonl, .parquet"):
        TextFiles(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["folder", "folder.csv"])
def test_a_folder_as_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError) as caught:
        TextFiles(str(tmp_path / name), "b.csv", text="text", label="label")
    assert (caught.value.key, caught.value.value) == ("data.train", f"{tmp_path / name}: a folder")


def test_a_file_of_a_user_that_there_is_not() -> None:
    error = refusal(TextFiles("~no-such-user/a.csv", "b.csv", text="text", label="label"))
    assert error.value == "~no-such-user/a.csv: no such file"


@pytest.mark.parametrize("text", ["label", ["text", "label"]])
def test_the_label_as_input(text: str | list[str]) -> None:
    with pytest.raises(ConfigError, match="`data.label` = 'label'.*(?s:.*)a column that is no input"):
        TextFiles("a.csv", "b.csv", text=text, label="label")


@pytest.mark.parametrize("text", [{"a": "b"}, [None], "", True])
def test_text_columns_that_are_no_names(text: object) -> None:
    with pytest.raises(ConfigError, match="`data.text`"):
        TextFiles("a.csv", "b.csv", text=text, label="label")  # type: ignore[arg-type]


def test_columns_that_are_called_as_numbers(tmp_path: Path) -> None:
    rows = "2023,2024\na,x\nb,y\n"
    assert files(tmp_path, rows, dev="2023,2024\nc,x\n", text=2023, label=2024).task.labels == ("x", "y")


@pytest.mark.parametrize("labels", ["pos", 3, {"neg": 0}])
def test_listed_labels_that_are_no_list(labels: object) -> None:
    with pytest.raises(ConfigError, match=r"`data.labels`.*(?s:.*)write data.labels=\[neg,pos\]"):
        TextFiles("a.csv", "b.csv", text="text", label="label", labels=labels)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", [None, True, float("nan"), 1.0])
def test_a_listed_label_that_the_command_line_takes_for_a_value(label: object) -> None:
    with pytest.raises(ConfigError, match="`data.labels`.*(?s:.*)quote it as the file spells it"):
        TextFiles("a.csv", "b.csv", text="text", label="label", labels=["pos", label])  # type: ignore[list-item]


def test_regression_that_is_neither_true_nor_false() -> None:
    with pytest.raises(ConfigError, match="`data.regression` = 'maybe'.*(?s:.*)true or false"):
        TextFiles("a.csv", "b.csv", text="text", label="label", regression="maybe")  # type: ignore[arg-type]
