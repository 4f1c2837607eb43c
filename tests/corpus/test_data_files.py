"""Files of text that are not quite what they should be: what is read of each, or what its refusal says.

A new one is a new row. `tests/data/test_bad_files.py` has what a user is told at length.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hskd_lightning.data.examples import Examples
from hskd_lightning.data.glue import Glue
from hskd_lightning.data.text import TextFiles
from hskd_lightning.errors import ConfigError

ROWS = [f"e {number},{('neg', 'pos')[number % 2]}" for number in range(12)]
CSV = "\n".join(["text,label", *ROWS]) + "\n"
TSV = CSV.replace(",", "\t")
LABELS = [row.partition(",")[2] for row in ROWS]
TEXTS = [row.partition(",")[0] for row in ROWS]
JSON = "".join(f'{{"text": "{text}", "label": "{label}"}}\n' for text, label in zip(TEXTS, LABELS, strict=True))
Write = Callable[[Path], Any]


def parquet(
    text: Any = TEXTS, label: Any = LABELS, names: tuple[str, ...] = ("text", "label"), **options: Any
) -> Write:
    """A file with these columns."""
    return lambda path: pq.write_table(
        pa.Table.from_arrays([pa.array(text), pa.array(label)], list(names)), path, **options
    )


def cut(size: int) -> Write:
    """A Parquet file of which the first bytes are there; of a negative size, all but the last."""

    def write(path: Path) -> None:
        parquet()(path)
        path.write_bytes(path.read_bytes()[:size])

    return write


NONE = pa.array([], pa.string())


def no_utf8() -> pa.Array:
    offsets = pa.array(range(13), pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.string(), 12, [None, offsets, pa.py_buffer(b"abc\xffdefghijk")])


READ: dict[str, tuple[str, str | bytes | Write, int]] = {
    # name: suffix, content, rows that are read
    "a byte order mark": (".csv", "\ufeff" + CSV, 12),
    "a byte order mark in a tsv": (".tsv", "\ufeff" + TSV, 12),
    "a byte order mark in json": (".jsonl", "\ufeff" + JSON, 12),
    "lines that end in one way and the other": (".csv", CSV.replace("\n", "\r\n", 5), 12),
    "no end of the last line": (".csv", CSV.rstrip("\n"), 12),
    "lines without anything": (".csv", CSV.replace("\n", "\n\n"), 12),
    "blank lines in json": (".jsonl", JSON.replace("\n", "\n \n"), 12),
    "a line end inside quotes": (".csv", CSV + '"a\nb",pos\n', 13),
    "doubled quotes": (".csv", CSV + '"a ""b"" c",pos\n', 13),
    "a quote in a tsv": (".tsv", TSV + 'a "b\tpos\n', 13),
    "separators of Unicode in a text": (".csv", CSV + "a\u2028b\x85c\x0cd,pos\n", 13),
    "columns that nobody asked for": (".csv", "n,text,label\n" + "".join(f"1,{row}\n" for row in ROWS), 12),
    "the same row twice": (".csv", CSV + ROWS[0] + "\n", 13),
    "an id column of duplicates": (".csv", "id,text,label\n" + "".join(f"7,{row}\n" for row in ROWS), 12),
    "nested json beside": (".jsonl", JSON.replace("}", ', "more": {"a": [1, {"b": null}]}}'), 12),
    "labels true and false in json": (".jsonl", JSON.replace('"pos"', "true").replace('"neg"', "false"), 12),
    "dictionaries of Parquet": (".parquet", parquet(pa.array(TEXTS).dictionary_encode()), 12),
    "large strings": (".parquet", parquet(pa.array(TEXTS, pa.large_string())), 12),
    "views": (".parquet", parquet(pa.array(TEXTS, pa.string_view())), 12),
    "many row groups": (".parquet", parquet(row_group_size=1), 12),
    "a codec": (".parquet", parquet(compression="zstd"), 12),
    "a column beside, of that name and more": (".parquet", lambda path: pq.write_table(
        pa.table({"text.a": LABELS, "text": TEXTS, "label": LABELS, "more": [{"text": 1}] * 12}), path), 12),
}  # fmt: skip

REFUSED: dict[str, tuple[str, str | bytes | Write, str]] = {
    # name: suffix, content, words of the refusal; {file} is the file
    "nothing": (".csv", "", "{file}: the file is empty"),
    "a byte order mark alone": (".csv", "\ufeff", "{file}: the file is empty"),
    "line ends alone": (".tsv", "\n\r\n\n", "{file}: the file is empty"),
    "a header alone": (".csv", "text,label\n", "{file}: no rows of data"),
    "no line of json": (".jsonl", "\n", "{file}: no rows of data"),
    "one class": (".csv", CSV.replace("neg", "pos"), "{file}: one class only: 'pos'"),
    "two byte order marks": (".csv", "\ufeff\ufeff" + CSV, "{file}: no columns named 'text' among: '\\ufefftext'"),
    "UTF-16": (".jsonl", JSON.encode("utf-16"), "{file}: UTF-16, and not UTF-8 text"),
    "UTF-32": (".csv", CSV.encode("utf-32"), "{file}: UTF-32, and not UTF-8 text"),
    "cp1252": (".tsv", TSV.replace("e 3", "\u20ac 3").encode("cp1252"), "{file}:5: not UTF-8"),
    "Latin-1 in the header": (".csv", CSV.replace("text", "t\xe9xt").encode("latin-1"), "{file}:1: not UTF-8"),
    "half a character at the end": (".csv", CSV.encode() + "a\u20ac".encode()[:2], "{file}:14: not UTF-8"),
    "gzip": (".csv", gzip.compress(CSV.encode()), "{file}: gzip, and not UTF-8 text"),
    "half of a gzip": (".jsonl", gzip.compress(JSON.encode())[:40], "{file}: gzip, and not UTF-8 text"),
    "a NUL in the header": (".csv", "text,la\0bel\n", "{file}:1: a NUL byte"),
    "nothing but NULs": (".tsv", b"\0" * 1000, "{file}:1: a NUL byte"),
    "a row too short": (".csv", CSV + "a\n", "{file}:14: 1 columns"),
    "a row too long": (".tsv", TSV + "a\tb\tc\n", "{file}:14: 3 columns"),
    "a quote that nobody closes": (".csv", CSV + '"a,pos\n' * 3, "{file}:14: broken CSV"),
    "a quote that closes too early": (".csv", CSV + '"a"b,pos\n', "{file}:14: broken CSV"),
    "a CR in the middle of a row": (".csv", CSV + "a\rb,pos\n", "{file}:14: broken CSV"),
    "a cell of a megabyte": (".csv", CSV + "a" * 2**20 + ",pos\n", "{file}:14: a cell that goes on and on"),
    "a column twice": (".csv", CSV.replace("text,label", "text,text"), "{file}: 2 columns named 'text'"),
    "a header of blanks": (".csv", CSV.replace("text,label", " , "), "{file}: no columns named 'text'"),
    "an empty label": (".csv", CSV + "a,\n", "{file}:14: the label ''"),
    "an empty text": (".tsv", TSV + "\tpos\n", "{file}:14: text = ''"),
    "a text of blanks": (".csv", CSV + "\u3000\t,pos\n", "{file}:14: text = "),
    "a label of two lines": (".csv", CSV + 'a,"pos\n"\n', "{file}:14: the label 'pos\\n'"),
    "a list where an object should be": (".jsonl", JSON + '["a", "pos"]\n', "{file}:13: the JSON value ['a', 'pos']"),
    "half an object": (".jsonl", JSON + '{"text": "a"', "{file}:13: broken JSON"),
    "two objects a line": (".jsonl", JSON + JSON.replace("\n", ""), "{file}:13: broken JSON: Extra data"),
    "an object over two lines": (".jsonl", JSON.replace(", ", ",\n"), "{file}:1: broken JSON"),
    "a key twice": (".jsonl", JSON + '{"text": "a", "text": "b", "label": "pos"}', "{file}:13: the key 'text' twice"),
    "a key that is missing": (".jsonl", JSON + '{"text": "a"}', "{file}:13: no columns named 'label' among: text"),
    "a label that is a float": (".jsonl", JSON + '{"text": "a", "label": 1.0}', "{file}:13: the label 1.0"),
    "a label that is NaN": (".jsonl", JSON + '{"text": "a", "label": NaN}', "{file}:13: the label nan"),
    "a label that is null": (".jsonl", JSON + '{"text": "a", "label": null}', "{file}:13: the label None"),
    "a label that is a list": (".jsonl", JSON + '{"text": "a", "label": ["pos"]}', "{file}:13: the label ['pos']"),
    "a text that is a number": (".jsonl", JSON + '{"text": 7, "label": "pos"}', "{file}:13: text = 7"),
    "Parquet that is none": (".parquet", CSV, "{file}: cannot be read as Parquet"),
    "Parquet without a byte": (".parquet", b"", "{file}: cannot be read as Parquet"),
    "the head of a Parquet": (".parquet", cut(100), "{file}: cannot be read as Parquet"),
    "a Parquet that lacks its last byte": (".parquet", cut(-1), "{file}: cannot be read as Parquet"),
    "Parquet without rows": (".parquet", parquet(NONE, NONE), "{file}: no rows of data"),
    "Parquet of one column twice": (".parquet", parquet(names=("text", "text")), "{file}: 2 columns named 'text'"),
    "a struct for a text": (".parquet", parquet([{"a": "b"}] * 12), "{file}:1: text = {'a': 'b'}"),
    "a list for a text": (".parquet", parquet([["a"]] * 12), "{file}:1: text = ['a']"),
    "bytes for a text": (".parquet", parquet([b"a"] * 12), "{file}:1: text = b'a'"),
    "a text that is no UTF-8": (".parquet", parquet(no_utf8()), "{file}:4: a value that cannot be read"),
    "a text that is missing": (".parquet", parquet([*TEXTS[:11], None]), "{file}:12: text = None"),
    "labels that are all missing": (".parquet", parquet(label=pa.nulls(12)), "{file}:1: the label None"),
    "labels that are floats": (".parquet", parquet(label=[0.0, 1.0] * 6), "{file}:1: the label 0.0"),
    "labels that are dates": (".parquet", parquet(label=[date(2020, 1, 1)] * 12), "{file}:1: the label datetime.date"),
    "a date beyond the calendar": (
        ".parquet", parquet(label=pa.array([2**30] * 12, pa.date32())), "{file}:1: a value that cannot be read"),
    "a time beyond the calendar": (
        ".parquet", parquet(label=pa.array([2**60] * 12, pa.timestamp("ms"))), "{file}:1: a value that cannot be read"),
    "a map for a label": (".parquet", parquet(label=pa.array([[("a", 1)]] * 12, pa.map_(pa.string(), pa.int32()))),
        "{file}:1: the label [('a', 1)]"),
}  # fmt: skip

SCORES = ["nan", "inf", "-inf", "1e39", "1_0", "\u0663", "0x1p3", "1,5", "true", "", "1 2"]


def written(folder: Path, name: str, content: str | bytes | Write) -> Path:
    path = folder / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def of(path: Path, **settings: Any) -> Examples:
    """The training examples of a file, beside a sound dev file of the labels that it has."""
    dev = path.parent / "dev.jsonl"
    labels = ("1.5", "2.5") if settings else ("true", "false") if "true" in path.name else ('"pos"', '"neg"')
    dev.write_text("".join(f'{{"text": "other", "label": {label}}}\n' for label in labels))
    return TextFiles(str(path), str(dev), text="text", label="label", **settings).load().train


def refusal(path: Path, **settings: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        of(path, **settings)
    assert caught.value.key == "data.train" and len(str(caught.value)) < 2500
    return caught.value


@pytest.mark.parametrize("name", READ)
def test_it_is_read(tmp_path: Path, name: str) -> None:
    suffix, content, rows = READ[name]
    assert len(of(written(tmp_path, f"{'true' if 'true' in name else 'train'}{suffix}", content))) == rows


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_its_file_and_line(tmp_path: Path, name: str) -> None:
    suffix, content, words = REFUSED[name]
    path = written(tmp_path, f"train{suffix}", content)
    assert str(refusal(path).value).startswith(words.replace("{file}", str(path)))


@pytest.mark.parametrize("name", SCORES)
def test_it_is_no_score(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, "train.csv", f'text,label\na,1.5\nb,"{name}"\n')
    assert str(refusal(path, regression=True).value) == f"{path}:3: the score {name!r}"


def test_ids_are_the_rows_whatever_a_column_of_that_name_says(tmp_path: Path) -> None:
    assert of(written(tmp_path, "train.csv", READ["an id column of duplicates"][1])).ids == list(range(12))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "a folder"),
        (os.mkfifo, "a pipe or a device"),
        (lambda path: path.symlink_to("/dev/null"), "a pipe or a device"),
        (lambda path: path.symlink_to(path), "no such file"),
        (lambda path: path.symlink_to("gone"), "no such file"),
    ],
    ids=["folder", "pipe", "device", "a link to itself", "a link to nothing"],
)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Write, words: str) -> None:
    make(tmp_path / "train.csv")
    assert refusal(tmp_path / "train.csv").value == f"{tmp_path}/train.csv: {words}"


GLUE: dict[str, tuple[str, str, str]] = {
    # name: what is replaced in a sound train.tsv of STS-B, by what; words of the refusal
    "a score above the scale": ("\t2.0", "\t5.1", "train.tsv:3: the score 5.1"),
    "a score that is NaN": ("\t2.0", "\tnan", "train.tsv:3: the score 'nan'"),
    "a score with a line below": ("\t2.0", "\t0_2", "train.tsv:3: the score '0_2'"),
    "a row too short": ("\t2.0", "", "train.tsv:3: 2 columns"),
    "a NUL": ("two", "t\0o", "train.tsv:3: a NUL byte"),
    "no header": ("sentence1", "sentence", "train.tsv: no columns named 'sentence1'"),
}


@pytest.mark.parametrize("name", GLUE)
def test_a_file_of_glue_that_is_not_quite_one(tmp_path: Path, name: str) -> None:
    sound = "sentence1\tsentence2\tscore\na\tone\t1.0\nb\ttwo\t2.0\n"
    before, after, words = GLUE[name]
    (tmp_path / "STS-B").mkdir()
    (tmp_path / "STS-B" / "dev.tsv").write_text(sound)
    (tmp_path / "STS-B" / "train.tsv").write_text(sound.replace(before, after, 1))
    with pytest.raises(ConfigError) as caught:
        Glue("stsb", str(tmp_path)).load()
    assert caught.value.key == "data.root"
    assert str(caught.value.value).startswith(f"{tmp_path}/STS-B/{words}")
