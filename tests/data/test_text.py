"""The user's own files: every format, and every slip that has to be named."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hskd_lightning.data.examples import Examples
from hskd_lightning.data.text import TextFiles
from hskd_lightning.errors import ConfigError

GOOD = "text,label\nfine,pos\npoor,neg\n"
DEV = "text,label\nso so,pos\nmeh,neg\n"


def csv_files(folder: Path, train: str = GOOD, dev: str = DEV) -> tuple[str, str]:
    (folder / "train.csv").write_bytes(train.encode())
    (folder / "dev.csv").write_bytes(dev.encode())
    return str(folder / "train.csv"), str(folder / "dev.csv")


def from_csv(folder: Path, train: str = GOOD, dev: str = DEV) -> TextFiles:
    return TextFiles(*csv_files(folder, train, dev), text="text", label="label")


def scores(folder: Path, train: str) -> TextFiles:
    return TextFiles(*csv_files(folder, train, "text,y\nc,1\nd,2\n"), text="text", label="y", regression=True)


def json_file(folder: Path, *lines: object) -> TextFiles:
    """JSON lines to train on, a string as it stands, and one example of the first one's class as dev."""
    path, dev = folder / "rows.jsonl", folder / "dev.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    label = next((line["label"] for line in lines if isinstance(line, dict)), "x")
    dev.write_text(json.dumps({"text": "dev", "label": label}))
    return TextFiles(str(path), str(dev), text="text", label="label")


def parquet_file(folder: Path, **columns: list[object]) -> TextFiles:
    path, dev = folder / "rows.parquet", folder / "dev.csv"
    pq.write_table(pa.table(columns), path)
    dev.write_text("text,label\ndev,x\n")
    return TextFiles(str(path), str(dev), text="text", label="label")


def refusal(files: TextFiles) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        files.load()
    return caught.value


# The formats.


def test_csv_classes_are_sorted(tmp_path: Path) -> None:
    corpus = from_csv(tmp_path).load()
    assert corpus.task.labels == ("neg", "pos")
    assert corpus.train == Examples([0, 1], ["fine", "poor"], None, [1, 0])


def test_csv_quoted_cells_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    text = 'text,label\n"a, ""b""\nc",pos\nd,neg\n'
    assert from_csv(tmp_path, text).load().train.first == ['a, "b"\nc', "d"]


def test_csv_with_byte_order_mark(tmp_path: Path) -> None:
    assert from_csv(tmp_path, "\ufeff" + GOOD).load().train.first == ["fine", "poor"]


def test_csv_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert from_csv(tmp_path, GOOD + "\nso,pos\n").load().train.ids == [0, 1, 2]


def test_tsv_quotation_marks_are_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('text\tlabel\n"a\tpos\nb"\tneg\n')
    corpus = TextFiles(str(path), csv_files(tmp_path)[1], text="text", label="label").load()
    assert corpus.train.first == ['"a', 'b"']


def test_jsonl_skips_blank_lines_and_other_keys(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "by": 7}, " ", {"label": "y", "text": "b"}]
    train = json_file(tmp_path, *rows).load().train
    assert (train.ids, train.first, train.labels) == ([0, 1], ["a", "b"], [0, 1])


def test_parquet_rows(tmp_path: Path) -> None:
    train = parquet_file(tmp_path, label=["y", "x"], text=["a", "b"], other=[1, 2]).load().train
    assert (train.first, train.labels) == (["a", "b"], [1, 0])


def test_train_and_dev_may_differ_in_format(tmp_path: Path) -> None:
    train, _ = csv_files(tmp_path)
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"text": "meh", "label": "neg"}\n')
    corpus = TextFiles(train, str(dev), text="text", label="label").load()
    assert (corpus.dev["dev"].first, corpus.dev["dev"].labels) == (["meh"], [0])


def test_two_text_columns(tmp_path: Path) -> None:
    rows, dev = "b,label,a\nright,1,left\nunten,0,oben\n", "a,b,label\nleft,left,0\n"
    train = TextFiles(*csv_files(tmp_path, rows, dev), text=["a", "b"], label="label").load().train
    assert (train.first, train.second) == (["left", "oben"], ["right", "unten"])


# Classes and scores.


def test_integer_classes_sort_by_value(tmp_path: Path) -> None:
    corpus = from_csv(tmp_path, "text,label\na,10\nb,2\nc,-1\n", "text,label\nd,2\n").load()
    assert corpus.task.labels == ("-1", "2", "10")
    assert corpus.train.labels == [2, 1, 0]


def test_integers_of_jsonl_match_digits_of_csv(tmp_path: Path) -> None:
    train = json_file(tmp_path, {"text": "a", "label": 0}, {"text": "b", "label": 1}).load()
    assert train.task.labels == ("0", "1")


def test_listed_labels_fix_the_order(tmp_path: Path) -> None:
    files = TextFiles(*csv_files(tmp_path), text="text", label="label", labels=["pos", "neg"])
    corpus = files.load()
    assert corpus.task.labels == ("pos", "neg")
    assert corpus.train.labels == [0, 1]


def test_listed_class_may_be_absent_from_train(tmp_path: Path) -> None:
    paths = csv_files(tmp_path, dev="text,label\nso so,mid\n")
    corpus = TextFiles(*paths, text="text", label="label", labels=["neg", "mid", "pos"]).load()
    assert corpus.dev["dev"].labels == [1]


def test_regression_reads_floats(tmp_path: Path) -> None:
    corpus = scores(tmp_path, "text,y\na,1\nb,-2.5\n").load()
    assert corpus.task.labels is None
    assert corpus.train.labels == [1.0, -2.5]


def test_default_metrics(tmp_path: Path) -> None:
    assert from_csv(tmp_path).load().task.metric == "accuracy"
    assert scores(tmp_path, "text,y\na,1\nb,2\n").load().task.metric == "pearson_spearman"


def test_metric_and_name_reach_the_task(tmp_path: Path) -> None:
    files = TextFiles(*csv_files(tmp_path), text="text", label="label", metric="mcc", task="reviews")
    task = files.load().task
    assert (task.name, task.metric) == ("reviews", "mcc")


# Settings that are refused before a file is opened.


@pytest.mark.parametrize("key", ["train", "dev", "label"])
def test_null_setting_says_how_to_set_it(key: str) -> None:
    settings: dict[str, str | None] = {"train": "a.csv", "dev": "b.csv", "label": "label", key: None}
    with pytest.raises(ConfigError, match=f"set data.{key}=...") as caught:
        TextFiles(text="text", **settings)  # type: ignore[arg-type]
    assert caught.value.key == f"data.{key}"


@pytest.mark.parametrize("text", [None, [], ["a", "a"], ["a", "b", "c"]])
def test_text_columns_are_one_or_two(text: list[str] | None) -> None:
    with pytest.raises(ConfigError, match="two different names") as caught:
        TextFiles("a.csv", "b.csv", text=text, label="label")
    assert caught.value.key == "data.text"


def test_unknown_suffix_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="the suffix .csv or .tsv or .jsonl or .parquet") as caught:
        TextFiles("a.csv", "b.xlsx", text="text", label="label")
    assert (caught.value.key, caught.value.value) == ("data.dev", "b.xlsx: the suffix '.xlsx'")


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "a"], [1, "1"]])
def test_listed_labels_are_two_different_ones_or_more(labels: list[str | int]) -> None:
    with pytest.raises(ConfigError, match="two different class names or more"):
        TextFiles("a.csv", "b.csv", text="text", label="label", labels=labels)


def test_listed_labels_contradict_regression() -> None:
    with pytest.raises(ConfigError, match="scores have no classes"):
        TextFiles("a.csv", "b.csv", text="text", label="label", labels=["a", "b"], regression=True)


def test_metric_of_classes_contradicts_regression() -> None:
    with pytest.raises(ConfigError, match="data.regression=false") as caught:
        TextFiles("a.csv", "b.csv", text="text", label="label", metric="accuracy", regression=True)
    assert (caught.value.key, caught.value.allowed) == ("data.metric", "pearson_spearman")


# Files that are refused.


def test_missing_train_file(tmp_path: Path) -> None:
    files = from_csv(tmp_path)
    (tmp_path / "train.csv").unlink()
    error = refusal(files)
    assert (error.key, error.value) == ("data.train", f"{tmp_path}/train.csv: no such file")


def test_missing_dev_file(tmp_path: Path) -> None:
    files = from_csv(tmp_path)
    (tmp_path / "dev.csv").unlink()
    error = refusal(files)
    assert (error.key, error.value) == ("data.dev", f"{tmp_path}/dev.csv: no such file")


def test_empty_file(tmp_path: Path) -> None:
    assert refusal(from_csv(tmp_path, "")).value == f"{tmp_path}/train.csv: the file is empty"


def test_header_without_rows(tmp_path: Path) -> None:
    assert refusal(from_csv(tmp_path, "text,label\n")).value == f"{tmp_path}/train.csv: no rows of data"


def test_csv_missing_column_lists_those_found(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, "review,label\na,x\n"))
    assert error.value == f"{tmp_path}/train.csv: no columns named 'text' among: review, label"


def test_csv_ambiguous_column(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, "text,text,label\na,b,x\nc,d,y\n"))
    assert "2 columns named 'text'" in str(error)


def test_jsonl_missing_column_is_placed_at_its_line(tmp_path: Path) -> None:
    error = refusal(json_file(tmp_path, {"text": "a", "label": "x"}, {"text": "b", "lable": "y"}))
    assert error.value == f"{tmp_path}/rows.jsonl:2: no columns named 'label' among: text, lable"


def test_parquet_missing_column_lists_those_found(tmp_path: Path) -> None:
    error = refusal(parquet_file(tmp_path, text=["a"], stars=[4]))
    assert error.value == f"{tmp_path}/rows.parquet: no columns named 'label' among: text, stars"


def test_csv_row_of_wrong_length_is_placed_where_it_starts(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, 'text,label\n"a\nb",x\n"c\nd",y,z\n'))
    assert error.value == f"{tmp_path}/train.csv:4: 3 columns"
    assert error.allowed == "2 columns: text, label"


def test_csv_quotation_mark_never_closed(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, 'text,label\na,x\n"b,y\nc,x\n'))
    assert str(error.value).startswith(f"{tmp_path}/train.csv:3: broken CSV")


def test_broken_json_is_placed_at_its_line(tmp_path: Path) -> None:
    error = refusal(json_file(tmp_path, {"text": "a", "label": "x"}, '{"text": "b"'))
    assert str(error.value).startswith(f"{tmp_path}/rows.jsonl:2: broken JSON")


def test_json_that_is_no_object(tmp_path: Path) -> None:
    assert refusal(json_file(tmp_path, "[1, 2]")).value == f"{tmp_path}/rows.jsonl:1: the JSON value [1, 2]"


def test_file_that_is_not_parquet(tmp_path: Path) -> None:
    files = parquet_file(tmp_path, text=["a"], label=["x"])
    (tmp_path / "rows.parquet").write_text(GOOD)
    assert "rows.parquet: cannot be read as Parquet" in str(refusal(files))


# Values that are refused.


@pytest.mark.parametrize("blank", ["", "  "])
def test_empty_text(tmp_path: Path, blank: str) -> None:
    error = refusal(from_csv(tmp_path, f"text,label\na,x\n{blank},y\n"))
    assert error.value == f"{tmp_path}/train.csv:3: text = {blank!r}"


def test_text_that_is_not_a_string(tmp_path: Path) -> None:
    error = refusal(parquet_file(tmp_path, text=[3, 4], label=["x", "y"]))
    assert error.value == f"{tmp_path}/rows.parquet:1: text = 3"


def test_csv_empty_label(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, "text,label\na,x\nb,\n"))
    assert error.value == f"{tmp_path}/train.csv:3: the label ''"


@pytest.mark.parametrize("label", [None, float("nan"), 1.5, ["x"]])
def test_json_label_that_is_neither_name_nor_integer(tmp_path: Path, label: object) -> None:
    error = refusal(json_file(tmp_path, {"text": "a", "label": "x"}, {"text": "b", "label": label}))
    assert error.value == f"{tmp_path}/rows.jsonl:2: the label {label!r}"
    assert error.allowed == "a class name or an integer"


def test_dev_label_never_seen_in_train(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, dev="text,label\na,pos\nb,mid\n"))
    assert (error.key, error.value) == ("data.dev", f"{tmp_path}/dev.csv:3: the label 'mid'")
    assert error.allowed == "neg, pos"


def test_train_label_not_listed(tmp_path: Path) -> None:
    files = TextFiles(*csv_files(tmp_path), text="text", label="label", labels=["good", "pos"])
    error = refusal(files)
    assert (error.key, error.value) == ("data.train", f"{tmp_path}/train.csv:3: the label 'neg'")


def test_one_class_only(tmp_path: Path) -> None:
    error = refusal(from_csv(tmp_path, "text,label\na,pos\nb,pos\n"))
    assert error.value == f"{tmp_path}/train.csv: one class only: 'pos'"


@pytest.mark.parametrize("value", ["high", "", "nan", "inf"])
def test_score_that_is_no_finite_number(tmp_path: Path, value: str) -> None:
    error = refusal(scores(tmp_path, f"text,y\na,1\nb,{value}\n"))
    assert error.value == f"{tmp_path}/train.csv:3: the score {value!r}"


@pytest.mark.parametrize("value", [None, float("nan"), True])
def test_json_score_that_is_no_number(tmp_path: Path, value: object) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a", "y": value}))
    error = refusal(TextFiles(str(path), str(path), text="text", label="y", regression=True))
    assert error.value == f"{path}:1: the score {value!r}"


# The digest.


def test_digest_follows_a_changed_byte(tmp_path: Path) -> None:
    before = from_csv(tmp_path).digest()
    assert len(before) == 16 and int(before, 16) >= 0
    assert from_csv(tmp_path, dev=DEV.replace("meh", "Meh")).digest() != before


def test_digest_tells_train_from_dev(tmp_path: Path) -> None:
    other = GOOD + "so,pos\n"
    assert from_csv(tmp_path, GOOD, other).digest() != from_csv(tmp_path, other, GOOD).digest()


def test_digest_follows_the_choice_of_columns(tmp_path: Path) -> None:
    paths = csv_files(tmp_path)
    assert (
        TextFiles(*paths, text="text", label="label").digest() != TextFiles(*paths, text="label", label="text").digest()
    )


def test_digest_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        TextFiles(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), text="text", label="label").digest()
